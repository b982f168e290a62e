/**
 * Capability `audit-report`: the join. It depends on every other task of the audit and is given their outputs by task
 * id; together with the lock file, read again, they make the report.
 */
import { z } from "zod";
import { AuditError } from "./audit-error.js";
import { findDuplicates } from "./duplicates.js";
import { findThingsToLookAt } from "./findings.js";
import { type LockedPackage, lockFileName, scopeOf } from "./lock-file.js";
import {
  type AuditReport,
  EnginesOutput,
  LicenceOutput,
  licenceClasses,
  type ReportRow,
  type ReportTaskInput,
  SizeOutput,
} from "./messages.js";
import { type Survey, surveyProject } from "./survey.js";
import { type PackageTaskIds, packageTaskIds } from "./task-ids.js";

/** Output by task id, as the assignment of a task with dependencies has it. */
export type DependencyResults = Readonly<Record<string, unknown>>;

/**
 * Throws AuditError LOCK_FILE_CHANGED when the lock file is no longer the one the audit was planned from (its results
 * would be told under the wrong versions), RESULT_INVALID, and what surveyProject throws.
 */
export async function auditReport(input: ReportTaskInput, results: DependencyResults): Promise<AuditReport> {
  const survey = await surveyProject(input.projectPath);
  if (survey.lockFile.sha256 !== input.lockFileSha256) {
    throw new AuditError(
      "LOCK_FILE_CHANGED",
      `LOCK_FILE_CHANGED: ${lockFileName} of ${input.projectPath} changed while audit ${input.auditId} ran, so its ` +
        `results do not belong together. No report was made; run the audit again.`,
      { details: { auditId: input.auditId, projectPath: input.projectPath } },
    );
  }
  return buildReport({ survey, auditId: input.auditId, results });
}

/** The report on a survey from the outputs of the audit's tasks. Packages that had no tasks count as not installed. */
export function buildReport(audit: {
  readonly survey: Survey;
  readonly auditId: string;
  readonly results: DependencyResults;
}): AuditReport {
  const { lockFile, projectPath, refused } = audit.survey;
  const refusedPaths = new Set(refused.map(({ path }) => path));
  const idsByPath = packageTaskIds(
    audit.auditId,
    lockFile.packages.map(({ path }) => path),
  );
  const rows: ReportRow[] = [];
  const audited: LockedPackage[] = [];
  const notInstalled: AuditReport["notInstalled"] = [];
  for (const locked of lockFile.packages) {
    const ids = idsByPath.get(locked.path);
    if (ids !== undefined && hasResults(ids, audit.results)) {
      audited.push(locked);
      rows.push(rowOf(locked, ids, audit.results));
    } else if (!refusedPaths.has(locked.path)) {
      const { name, version, path } = locked;
      notInstalled.push({ name, version, path, why: absenceReason(locked) });
    }
  }
  const facts = {
    rows,
    duplicates: [...findDuplicates(audited)],
    notInstalled,
    refused: [...refused],
    nodeVersions: nodeVersionsOf(rows),
  };
  return {
    project: { ...lockFile.project, path: projectPath },
    totals: totalsOf(facts),
    findings: [...findThingsToLookAt(facts)],
    linked: [...lockFile.linked],
    ...facts,
  };
}

function hasResults(ids: PackageTaskIds, results: DependencyResults): boolean {
  return Object.values(ids).some((id) => Object.hasOwn(results, id));
}

function rowOf(locked: LockedPackage, ids: PackageTaskIds, results: DependencyResults): ReportRow {
  const { name, version, path } = locked;
  return {
    name,
    version,
    path,
    scope: scopeOf(locked),
    licence: outputOf(LicenceOutput, ids["audit-licence"], results),
    size: outputOf(SizeOutput, ids["audit-size"], results),
    engines: outputOf(EnginesOutput, ids["audit-engines"], results),
  };
}

function outputOf<Output>(schema: z.ZodType<Output>, taskId: string, results: DependencyResults): Output {
  const parsed = schema.safeParse(results[taskId]);
  if (parsed.success) return parsed.data;
  throw new AuditError(
    "RESULT_INVALID",
    `RESULT_INVALID: the output of task ${taskId} is not what its type promises: ${z.prettifyError(parsed.error)}. ` +
      `No report was made; look at the agent that answered it.`,
    { details: { taskId }, cause: parsed.error },
  );
}

function absenceReason(locked: LockedPackage): AuditReport["notInstalled"][number]["why"] {
  // Asked first: an optional package of a development tool is absent because of the platform, not of --omit=dev.
  if (locked.optional) return "optional";
  return locked.dev ? "development" : "missing";
}

function nodeVersionsOf(rows: readonly ReportRow[]): string[] {
  const versions = rows.flatMap(({ engines }) => (engines.outcome === "checked" ? [engines.nodeVersion] : []));
  return [...new Set(versions)].sort();
}

function totalsOf(facts: Pick<AuditReport, "rows" | "duplicates" | "notInstalled">): AuditReport["totals"] {
  const { rows, duplicates, notInstalled } = facts;
  const classes = rows.map(({ licence }) => (licence.outcome === "read" ? licence.class : "unknown"));
  const [permissive, weak, strong, unknown] = licenceClasses;
  const count = (wanted: (typeof licenceClasses)[number]): number => classes.filter((it) => it === wanted).length;
  return {
    packages: rows.length,
    production: rows.filter(({ scope }) => scope === "production").length,
    files: sum(rows.map(({ size }) => (size.outcome === "measured" ? size.files : 0))),
    bytes: sum(rows.map(({ size }) => (size.outcome === "measured" ? size.bytes : 0))),
    licences: {
      [permissive]: count(permissive),
      [weak]: count(weak),
      [strong]: count(strong),
      [unknown]: count(unknown),
    },
    enginesMismatches: rows.filter(
      ({ engines }) => engines.outcome === "checked" && engines.verdict === "not-satisfied",
    ).length,
    duplicated: duplicates.length,
    notInstalled: notInstalled.length,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
