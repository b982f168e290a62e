/**
 * What travels between the workflow, the orchestrator and the agents: inputs and outputs, and what a run records.
 *
 * Outputs do not repeat which package they are about: the workflow knows what it asked for. What an agent cannot read is
 * an outcome, not a failed task: one odd package must not keep the whole report from being written.
 */
import { isAbsolute } from "node:path";
import { z } from "zod";

/** Longest text taken over from a package's own files. A real SPDX expression or range is far below it. */
export const quotedCharactersMax = 200;

export const ProjectPath = z.string().max(4096).refine(isAbsolute, "must be an absolute path");
/** As in the lock file, "/" between segments: `node_modules/a/node_modules/@b/c`. */
export const PackagePath = z.string().min(1).max(1024);

export const PackageTaskInput = z.object({
  projectPath: ProjectPath,
  packagePath: PackagePath,
});
export type PackageTaskInput = z.infer<typeof PackageTaskInput>;

const NotInstalled = z.object({ outcome: z.literal("not-installed") });
const Unreadable = z.object({ outcome: z.literal("unreadable"), reason: z.string() });

export const licenceClasses = ["permissive", "weak-copyleft", "strong-copyleft", "unknown"] as const;
export const LicenceClass = z.enum(licenceClasses);
export type LicenceClass = z.infer<typeof LicenceClass>;

/**
 * How package.json and the licence files relate:
 * - agrees: every licence found in the files is declared.
 * - more-found: a declared one is there, and others that are not declared (usually bundled code's).
 * - differs: licences were recognised and none of them is declared.
 * - undeclared: package.json says nothing usable, the files do.
 * - no-text: declared, but there is no licence file.
 * - unrecognised: there is a licence file whose text this audit does not know.
 * - nothing: neither a declaration nor a file.
 */
export const LicenceAgreement = z.enum([
  "agrees",
  "more-found",
  "differs",
  "undeclared",
  "no-text",
  "unrecognised",
  "nothing",
]);
export type LicenceAgreement = z.infer<typeof LicenceAgreement>;

export const LicenceOutput = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("read"),
    /** As package.json has it (legacy shapes joined with OR), cut to `quotedCharactersMax`; null where it has none. */
    declared: z.string().nullable(),
    /** SPDX ids recognised in the licence files, in order of appearance. GPL texts do not tell "only" from "or later". */
    found: z.array(z.string()),
    agreement: LicenceAgreement,
    class: LicenceClass,
    /** From the package.json on disk, to be held against the lock file. */
    version: z.string().nullable(),
  }),
  NotInstalled,
  Unreadable,
]);
export type LicenceOutput = z.infer<typeof LicenceOutput>;

export const SizeOutput = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("measured"), files: z.int().nonnegative(), bytes: z.int().nonnegative() }),
  NotInstalled,
  Unreadable,
]);
export type SizeOutput = z.infer<typeof SizeOutput>;

/** `unstated`: the package has no engines.node. `unreadable`: it has one that is no semver range. */
export const EnginesVerdict = z.enum(["satisfied", "not-satisfied", "unreadable", "unstated"]);
export type EnginesVerdict = z.infer<typeof EnginesVerdict>;

export const EnginesOutput = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("checked"),
    /** Cut to `quotedCharactersMax`. */
    range: z.string().nullable(),
    verdict: EnginesVerdict,
    nodeVersion: z.string(),
  }),
  NotInstalled,
  Unreadable,
]);
export type EnginesOutput = z.infer<typeof EnginesOutput>;

/** The three checks of one package. */
export const PackageChecks = z.object({
  packagePath: PackagePath,
  licence: LicenceOutput,
  size: SizeOutput,
  engines: EnginesOutput,
});
export type PackageChecks = z.infer<typeof PackageChecks>;

/** Who needs a package: `production` unless the lock file marks it as reachable from dev or optional dependencies only. */
export const PackageScope = z.enum(["production", "development", "optional"]);
export type PackageScope = z.infer<typeof PackageScope>;

export const ReportRow = z.object({
  name: z.string(),
  version: z.string().nullable(),
  path: z.string(),
  scope: PackageScope,
  licence: LicenceOutput,
  size: SizeOutput,
  engines: EnginesOutput,
});
export type ReportRow = z.infer<typeof ReportRow>;

export const DuplicatedPackage = z.object({
  name: z.string(),
  /** At least two, oldest first. */
  versions: z.array(z.object({ version: z.string(), paths: z.array(z.string()) })),
});
export type DuplicatedPackage = z.infer<typeof DuplicatedPackage>;

export const findingRanks = ["high", "medium", "low"] as const;
export const Finding = z.object({
  rank: z.enum(findingRanks),
  /** The package, or null for what concerns the whole checkout. */
  name: z.string().nullable(),
  path: z.string().nullable(),
  sentence: z.string(),
});
export type Finding = z.infer<typeof Finding>;

/** What the audit is for, and all that the renderers need. */
export const AuditReport = z.object({
  project: z.object({ name: z.string().nullable(), version: z.string().nullable(), path: z.string() }),
  /** Of the agents that checked engines; more than one when they ran on different Nodes. */
  nodeVersions: z.array(z.string()),
  totals: z.object({
    packages: z.int(),
    production: z.int(),
    files: z.int(),
    bytes: z.int(),
    licences: z.record(LicenceClass, z.int()),
    enginesMismatches: z.int(),
    duplicated: z.int(),
    notInstalled: z.int(),
  }),
  /** Things to look at first, most pressing first. */
  findings: z.array(Finding),
  rows: z.array(ReportRow),
  duplicates: z.array(DuplicatedPackage),
  /** In the lock file, not on disk. `missing`: neither optional nor for development, so it should be there. */
  notInstalled: z.array(
    z.object({
      name: z.string(),
      version: z.string().nullable(),
      path: z.string(),
      why: z.enum(["optional", "development", "missing"]),
    }),
  ),
  /** Entries of the lock file that were not read at all, because their path is not one inside the project. */
  refused: z.array(z.object({ path: z.string(), reason: z.string() })),
  /** Workspaces and linked folders: the project's own code, not audited. */
  linked: z.array(z.object({ path: z.string(), target: z.string() })),
});
export type AuditReport = z.infer<typeof AuditReport>;
