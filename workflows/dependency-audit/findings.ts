/**
 * What a reader of the report should look at first, each as one sentence that says what was seen and why it matters.
 * High: the project may break or may break a licence. Medium: somebody has to decide. Low: good to know.
 */
import { type AuditReport, type DuplicatedPackage, type Finding, findingRanks, type ReportRow } from "./messages.js";

type Facts = Pick<AuditReport, "rows" | "duplicates" | "notInstalled" | "refused" | "nodeVersions">;

/** Most pressing first; within a rank by what it is about, then by path. */
export function findThingsToLookAt(facts: Facts): readonly Finding[] {
  const findings = [
    ...facts.refused.map(refusedFinding),
    ...facts.notInstalled.filter(({ why }) => why === "missing").map(missingFinding),
    ...facts.rows.flatMap(licenceFindings),
    ...facts.rows.flatMap(enginesFindings),
    ...facts.rows.flatMap(versionFindings),
    ...facts.duplicates.map(duplicateFinding),
    ...nodeVersionFindings(facts.nodeVersions),
    ...facts.rows.flatMap(unreadFindings),
  ];
  // sort() is stable, so the order above is kept within a rank.
  return findings.sort((a, b) => findingRanks.indexOf(a.rank) - findingRanks.indexOf(b.rank));
}

function finding(rank: Finding["rank"], about: { name: string; path: string } | null, sentence: string): Finding {
  return { rank, name: about?.name ?? null, path: about?.path ?? null, sentence };
}

function refusedFinding({ path, reason }: Facts["refused"][number]): Finding {
  return { rank: "high", name: null, path, sentence: `The lock file has a path that was not read: ${reason}.` };
}

function missingFinding(entry: Facts["notInstalled"][number]): Finding {
  return finding("high", entry, "It is in the lock file and needed in production, but not on disk. Run npm ci.");
}

function licenceFindings(row: ReportRow): readonly Finding[] {
  if (row.licence.outcome !== "read") return [];
  return [...classFindings(row, row.licence), ...agreementFindings(row, row.licence)];
}

type ReadLicence = Extract<ReportRow["licence"], { outcome: "read" }>;

function classFindings(row: ReportRow, licence: ReadLicence): readonly Finding[] {
  const name = licence.declared ?? licence.found.join(" and ");
  const shipped = row.scope !== "development";
  switch (licence.class) {
    case "permissive":
      return [];
    case "weak-copyleft":
      return shipped
        ? [
            finding(
              "medium",
              row,
              `Its licence ${name} asks for changes to its own files to stay open (weak copyleft).`,
            ),
          ]
        : [finding("low", row, `Its licence ${name} is weak copyleft; only development needs the package.`)];
    case "strong-copyleft":
      return shipped
        ? [finding("high", row, `Its licence ${name} reaches the whole program it is shipped with (strong copyleft).`)]
        : [finding("low", row, `Its licence ${name} is strong copyleft; only development needs the package.`)];
    case "unknown":
      // Said better by the finding about the missing declaration.
      if (licence.declared === null) return [];
      return [finding(shipped ? "high" : "medium", row, `Its licence ${name} is not one this audit can place.`)];
  }
}

function agreementFindings(row: ReportRow, { agreement, declared, found }: ReadLicence): readonly Finding[] {
  const shipped = row.scope !== "development";
  const texts = found.join(", ");
  switch (agreement) {
    case "agrees":
      return [];
    case "differs":
      return [finding("high", row, `It declares ${declared ?? "nothing"}, but its licence file is ${texts}.`)];
    case "undeclared":
      return [finding("medium", row, `Its package.json names no licence; its files are ${texts}.`)];
    case "nothing":
      return declared === null
        ? [
            finding(
              shipped ? "high" : "medium",
              row,
              "It names no licence and has no licence file: nothing permits its use.",
            ),
          ]
        : [finding("medium", row, `It declares ${declared}, and there is no licence file to read.`)];
    case "unrecognised":
      return [
        finding(
          "medium",
          row,
          `The text of its licence file is not one this audit knows (declared: ${declared ?? "none"}).`,
        ),
      ];
    case "more-found":
      return [finding("low", row, `Its licence files name more than it declares (${declared ?? "none"}): ${texts}.`)];
    case "no-text":
      return [finding("low", row, `It declares ${declared ?? "none"}, but ships no licence file.`)];
  }
}

function enginesFindings(row: ReportRow): readonly Finding[] {
  if (row.engines.outcome !== "checked") return [];
  const { nodeVersion, range, verdict } = row.engines;
  if (verdict === "not-satisfied") {
    return [finding("high", row, `It needs Node ${range ?? "?"}; this one is ${nodeVersion}.`)];
  }
  if (verdict !== "unreadable") return [];
  return [finding("low", row, `Its engines.node is not a version range: ${range ?? "?"}.`)];
}

function versionFindings(row: ReportRow): readonly Finding[] {
  if (row.licence.outcome !== "read" || row.version === null) return [];
  const onDisk = row.licence.version;
  // Build metadata does not make another version; npm leaves it out of the lock file.
  if (onDisk === null || withoutBuild(onDisk) === withoutBuild(row.version)) return [];
  return [finding("high", row, `On disk it is ${onDisk}, the lock file says ${row.version}. Run npm ci.`)];
}

function withoutBuild(version: string): string {
  return version.replace(/^v/, "").replace(/\+.*$/, "");
}

function duplicateFinding({ name, versions }: DuplicatedPackage): Finding {
  const [first] = versions;
  const list = versions.map(({ version, paths }) =>
    paths.length > 1 ? `${version} (${paths.length} times)` : version,
  );
  const path = first?.paths[0] ?? null;
  return {
    rank: "medium",
    name,
    path,
    sentence: `It is installed in ${versions.length} versions: ${list.join(", ")}.`,
  };
}

function nodeVersionFindings(nodeVersions: Facts["nodeVersions"]): readonly Finding[] {
  if (nodeVersions.length < 2) return [];
  const list = nodeVersions.join(" and ");
  return [
    finding("medium", null, `The agents ran on different Nodes (${list}), so engines were not checked against one.`),
  ];
}

/** Each package at most once: three checks that met the same unreadable package are one thing to look at. */
function unreadFindings(row: ReportRow): readonly Finding[] {
  for (const output of [row.licence, row.size, row.engines]) {
    if (output.outcome === "unreadable")
      return [finding("medium", row, `It could not be audited in full: ${output.reason}.`)];
    if (output.outcome === "not-installed") return [finding("medium", row, "It was removed while the audit ran.")];
  }
  return [];
}
