/**
 * Reads package-lock.json of npm 7 and newer (lockfileVersion 2 and 3), which lists every package by the path it is
 * installed at. It is data from outside: entries whose path is not one of an installed package inside the project are
 * set aside with the reason and never read.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AuditError } from "./audit-error.js";
import type { PackageScope } from "./messages.js";
import { isAbsence, packagePathProblem } from "./package-directory.js";

export const lockFileName = "package-lock.json";

export interface LockedPackage {
  /** The package's real name: for an alias (`npm i x@npm:y`) that is y, while the path ends in x. */
  readonly name: string;
  /** Null where the lock file has none, as for some git and folder dependencies. */
  readonly version: string | null;
  /** Its place in the project, "/" between segments: `node_modules/a/node_modules/b`. */
  readonly path: string;
  /** Only development needs it. */
  readonly dev: boolean;
  /** It may be left out: an optional dependency, often for another platform. */
  readonly optional: boolean;
  /** engines.node as the lock file repeats it, or null. */
  readonly engines: string | null;
}

export interface LockFile {
  readonly project: { readonly name: string | null; readonly version: string | null };
  /** Of the file's bytes, as hex. */
  readonly sha256: string;
  /** In the order of their paths. Workspaces and linked folders are the project's own code and not among them. */
  readonly packages: readonly LockedPackage[];
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
  readonly linked: readonly { readonly path: string; readonly target: string }[];
}

const LockFileShape = z.object({
  name: z.string().optional(),
  version: z.string().optional(),
  lockfileVersion: z.int(),
  packages: z.record(z.string(), z.unknown()).optional(),
});

const LockEntry = z.object({
  name: z.string().optional(),
  version: z.string().optional(),
  resolved: z.string().optional(),
  link: z.boolean().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  devOptional: z.boolean().optional(),
  engines: z.unknown().optional(),
});
type LockEntry = z.infer<typeof LockEntry>;

/** Throws AuditError PROJECT_NOT_FOUND, LOCK_FILE_MISSING, LOCK_FILE_DAMAGED, LOCK_FILE_VERSION. */
export async function readLockFile(projectPath: string): Promise<LockFile> {
  const path = join(projectPath, lockFileName);
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (isAbsence(error)) throw await explainAbsence(projectPath);
    throw error;
  }
  return parseLockFile(bytes, path);
}

/** `path` is for the sentences of errors only. */
export function parseLockFile(bytes: Uint8Array, path: string): LockFile {
  const shape = parseShape(bytes, path);
  const packages: LockedPackage[] = [];
  const refused: { path: string; reason: string }[] = [];
  const linked: { path: string; target: string }[] = [];
  for (const [key, value] of Object.entries(shape.packages)) {
    const parsed = LockEntry.safeParse(value);
    if (!parsed.success) throw damaged(path, `its entry ${JSON.stringify(key)} is not one npm writes`, parsed.error);
    if (parsed.data.link === true) {
      linked.push({ path: key, target: parsed.data.resolved ?? "?" });
      continue;
    }
    const problem = packagePathProblem(key);
    if (problem === null) packages.push(lockedPackage(key, parsed.data));
    else if (!isOwnFolder(key)) refused.push({ path: key, reason: problem });
  }
  return {
    project: { name: shape.name ?? null, version: shape.version ?? null },
    sha256: createHash("sha256").update(bytes).digest("hex"),
    packages: packages.sort((a, b) => (a.path < b.path ? -1 : 1)),
    refused,
    linked,
  };
}

/** Who needs a package. What is optional for production and needed for development counts as optional. */
export function scopeOf({ dev, optional }: Pick<LockedPackage, "dev" | "optional">): PackageScope {
  if (dev) return "development";
  return optional ? "optional" : "production";
}

function parseShape(bytes: Uint8Array, path: string) {
  let json: unknown;
  try {
    json = JSON.parse(
      Buffer.from(bytes)
        .toString("utf8")
        .replace(/^\uFEFF/, ""),
    );
  } catch (error) {
    throw damaged(path, "it is not JSON (a merge conflict left in it, or a file cut short)", error);
  }
  const shape = LockFileShape.safeParse(json);
  if (!shape.success) throw damaged(path, "it has no lockfileVersion and packages as npm writes them", shape.error);
  const { lockfileVersion, packages } = shape.data;
  if (lockfileVersion !== 2 && lockfileVersion !== 3) {
    const cure =
      lockfileVersion < 2
        ? "Write it again with npm 7 or newer: npm install --package-lock-only --lockfile-version 3"
        : "This audit is older than the npm that wrote it.";
    throw new AuditError(
      "LOCK_FILE_VERSION",
      `LOCK_FILE_VERSION: ${path} has lockfileVersion ${lockfileVersion}; only 2 and 3 list where packages are ` +
        `installed in a way this audit knows. ${cure}`,
      { details: { path, lockfileVersion } },
    );
  }
  if (packages === undefined) throw damaged(path, 'it has no "packages"', undefined);
  return { ...shape.data, packages };
}

function lockedPackage(path: string, entry: LockEntry): LockedPackage {
  return {
    name: entry.name ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
    version: entry.version ?? null,
    path,
    dev: entry.dev === true,
    optional: entry.optional === true || entry.devOptional === true,
    engines: nodeRange(entry.engines),
  };
}

function nodeRange(engines: unknown): string | null {
  if (typeof engines !== "object" || engines === null || !("node" in engines)) return null;
  return typeof engines.node === "string" ? engines.node : null;
}

/** The project itself ("") and its workspaces ("packages/a") have entries too; the audit is about dependencies. */
function isOwnFolder(key: string): boolean {
  const segments = key.split(/[\\/]/);
  return key === "" || !(key.startsWith("/") || segments.includes("..") || segments.includes("node_modules"));
}

async function explainAbsence(projectPath: string): Promise<AuditError> {
  const names = await namesIn(projectPath);
  if (names === null) {
    return new AuditError(
      "PROJECT_NOT_FOUND",
      `PROJECT_NOT_FOUND: there is no directory ${projectPath}. Give the folder that has the ${lockFileName}.`,
      { details: { projectPath } },
    );
  }
  const other = ["pnpm-lock.yaml", "yarn.lock", "bun.lock", "npm-shrinkwrap.json"].find((name) => names.includes(name));
  const seen = other === undefined ? "" : ` It has ${other}, which this audit does not read.`;
  return new AuditError(
    "LOCK_FILE_MISSING",
    `LOCK_FILE_MISSING: ${projectPath} has no ${lockFileName}.${seen} Write one with: npm install --package-lock-only`,
    { details: { projectPath } },
  );
}

async function namesIn(directory: string): Promise<readonly string[] | null> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}

function damaged(path: string, what: string, cause: unknown): AuditError {
  return new AuditError(
    "LOCK_FILE_DAMAGED",
    `LOCK_FILE_DAMAGED: cannot use ${path}: ${what}. Restore it from version control, or write it again with: npm install`,
    { details: { path }, cause },
  );
}
