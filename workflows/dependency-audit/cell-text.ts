/**
 * The words both renderers put into a row, so that the table and the Markdown say the same. Nothing is escaped here;
 * names and texts from packages may hold anything, and each renderer makes them safe for its own output.
 */
import type { AuditReport, LicenceClass, ReportRow } from "./messages.js";

/** Decimal units, as file managers and npm show them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  // 999.95 would be rounded to "1000.0".
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit] ?? ""}`;
}

const classNames: Readonly<Record<LicenceClass, string>> = {
  permissive: "permissive",
  "weak-copyleft": "weak copyleft",
  "strong-copyleft": "strong copyleft",
  unknown: "unknown",
};

export function className(licenceClass: LicenceClass): string {
  return classNames[licenceClass];
}

export function licenceText({ licence }: ReportRow): string {
  if (licence.outcome !== "read") return licence.outcome === "unreadable" ? "unreadable" : "removed";
  return licence.declared ?? (licence.found.length > 0 ? `${licence.found.join(", ")} (by text)` : "none");
}

/** What the licence files say about the declaration, in a word or two. */
export function agreementText({ licence }: ReportRow): string {
  if (licence.outcome !== "read") return "";
  switch (licence.agreement) {
    case "agrees":
      return "as declared";
    case "more-found":
      return "and others";
    case "differs":
      return `is ${licence.found.join(", ")}`;
    case "undeclared":
      return "undeclared";
    case "no-text":
      return "no file";
    case "unrecognised":
      return "not recognised";
    case "nothing":
      return "nothing";
  }
}

export function classText({ licence }: ReportRow): string {
  return className(licence.outcome === "read" ? licence.class : "unknown");
}

export function sizeText({ size }: ReportRow): string {
  return size.outcome === "measured" ? formatBytes(size.bytes) : "?";
}

export function enginesText({ engines }: ReportRow): string {
  if (engines.outcome !== "checked") return "?";
  switch (engines.verdict) {
    case "satisfied":
      return "ok";
    case "not-satisfied":
      return `needs ${engines.range ?? "?"}`;
    case "unreadable":
      return "unreadable";
    case "unstated":
      return "-";
  }
}

/** The report's totals as label and value, in the order they are read. */
export function totalsText(report: AuditReport): readonly (readonly [string, string])[] {
  const { totals } = report;
  const classes = Object.entries(classNames).map(
    ([key, name]) => [name, totals.licences[key as LicenceClass]] as const,
  );
  return [
    ["Packages", `${totals.packages} (${totals.production} for production)`],
    ["On disk", `${formatBytes(totals.bytes)} in ${totals.files} files`],
    [
      "Licences",
      classes
        .filter(([, count]) => count > 0)
        .map(([name, count]) => `${count} ${name}`)
        .join(", "),
    ],
    ["Node", `${report.nodeVersions.join(", ")}: ${totals.enginesMismatches} packages need another`],
    ["Duplicates", `${totals.duplicated} packages in more than one version`],
    ["Not installed", notInstalledText(report)],
  ];
}

function notInstalledText({ notInstalled }: AuditReport): string {
  const labels = { optional: "optional", development: "for development", missing: "missing" } as const;
  const parts = (["missing", "optional", "development"] as const)
    .map((why) => ({ why, count: notInstalled.filter((entry) => entry.why === why).length }))
    .filter(({ count }) => count > 0)
    .map(({ why, count }) => `${count} ${labels[why]}`);
  return parts.length === 0 ? "0" : parts.join(", ");
}
