/** The report: the checks of every package, told together with the lock file they were planned from. */
import { AuditError } from "./audit-error.js";
import { findDuplicates } from "./duplicates.js";
import { findThingsToLookAt } from "./findings.js";
import { type LockedPackage, lockFileName, scopeOf } from "./lock-file.js";
import { type AuditReport, licenceClasses, type PackageChecks, type ReportRow } from "./messages.js";
import { type Survey, surveyProject } from "./survey.js";

/**
 * Throws AuditError LOCK_FILE_CHANGED when the lock file is no longer the one the audit was planned from (the checks
 * would be told under the wrong versions), and what surveyProject throws.
 */
export async function auditReport(
  projectPath: string,
  lockFileSha256: string,
  checks: readonly PackageChecks[],
): Promise<AuditReport> {
  const survey = await surveyProject(projectPath);
  if (survey.lockFile.sha256 !== lockFileSha256) {
    throw new AuditError(
      "LOCK_FILE_CHANGED",
      `LOCK_FILE_CHANGED: ${lockFileName} of ${projectPath} changed while the audit ran, so its results do not ` +
        `belong together. No report was made; run the audit again.`,
      { details: { projectPath } },
    );
  }
  return buildReport(survey, checks);
}

/** Packages that were not checked count as not installed. */
export function buildReport(survey: Survey, checks: readonly PackageChecks[]): AuditReport {
  const { lockFile, projectPath, refused } = survey;
  const refusedPaths = new Set(refused.map(({ path }) => path));
  const checksByPath = new Map(checks.map((checked) => [checked.packagePath, checked]));
  const rows: ReportRow[] = [];
  const audited: LockedPackage[] = [];
  const notInstalled: AuditReport["notInstalled"] = [];
  for (const locked of lockFile.packages) {
    const { name, version, path } = locked;
    const checked = checksByPath.get(path);
    if (checked !== undefined) {
      const { licence, size, engines } = checked;
      audited.push(locked);
      rows.push({ name, version, path, scope: scopeOf(locked), licence, size, engines });
    } else if (!refusedPaths.has(path)) {
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
