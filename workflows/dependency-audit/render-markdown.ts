/**
 * The report as Markdown (GitHub's dialect), the findings first. Names, versions, licences and paths come from
 * packages, so all of them stand in code spans, where only a backtick, a line break and a table's bar can do anything:
 * no `@scope` becomes a mention of somebody, no name a link or an image.
 */
import { agreementText, classText, enginesText, licenceText, sizeText, totalsText } from "./cell-text.js";
import type { AuditReport, Finding } from "./messages.js";

/** Ends in a line feed. */
export function renderMarkdown(report: AuditReport): string {
  const { name, version, path } = report.project;
  const sections = [
    `# Dependency audit of ${code([name ?? path, version].filter((it) => it !== null).join(" "))}`,
    table(
      ["", ""],
      totalsText(report).map(([label, value]) => [label, escapeText(value)]),
    ),
    section("Look at first", findingItems(report.findings), "Nothing."),
    section("Duplicate versions", duplicateItems(report), "None."),
    section("Not installed", notInstalledItems(report), "Nothing: every package of the lock file is on disk."),
    ...(report.refused.length === 0
      ? []
      : [
          section(
            "Not read",
            report.refused.map(({ path: refused, reason }) => `- ${code(refused)}: ${escapeText(reason)}`),
            "",
          ),
        ]),
    ...(report.linked.length === 0
      ? []
      : [
          section(
            "The project's own folders, not audited",
            report.linked.map(({ path: from, target }) => `- ${code(from)} is ${code(target)}`),
            "",
          ),
        ]),
    `## All packages\n\n${packageTable(report)}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

function section(title: string, items: readonly string[], whenEmpty: string): string {
  return `## ${title}\n\n${items.length === 0 ? whenEmpty : items.join("\n")}`;
}

function findingItems(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ name, path, rank, sentence }) => {
    const subject = name ?? path;
    return `- **${rank}** ${subject === null ? "" : `${code(subject)}: `}${escapeText(sentence)}`;
  });
}

function duplicateItems({ duplicates }: AuditReport): readonly string[] {
  return duplicates.map(({ name, versions }) => {
    const list = versions.map(({ version, paths }) => `${code(version)} at ${paths.map(code).join(", ")}`);
    return `- ${code(name)}: ${list.join("; ")}`;
  });
}

function notInstalledItems({ notInstalled }: AuditReport): readonly string[] {
  const titles = {
    missing: "Missing",
    optional: "Optional (another platform, or left out)",
    development: "For development, left out",
  } as const;
  return (["missing", "optional", "development"] as const).flatMap((why) => {
    const entries = notInstalled.filter((entry) => entry.why === why);
    if (entries.length === 0) return [];
    return [
      `- ${titles[why]}: ${entries.map(({ name, version }) => code(`${name} ${version ?? ""}`.trim())).join(", ")}`,
    ];
  });
}

function packageTable({ rows }: AuditReport): string {
  return table(
    ["Package", "Version", "For", "Licence", "Class", "Licence file", "Size", "Node"],
    rows.map((row) => [
      cellCode(row.name),
      row.version === null ? "" : cellCode(row.version),
      row.scope,
      cellCode(licenceText(row)),
      classText(row),
      escapeText(agreementText(row)),
      sizeText(row),
      row.engines.outcome === "checked" && row.engines.verdict === "not-satisfied"
        ? cellCode(enginesText(row))
        : escapeText(enginesText(row)),
    ]),
  );
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(headings), line(headings.map(() => "---")), ...rows.map(line)].join("\n");
}

/** As a code span: fenced by more backticks than the text has in a row. */
function code(text: string): string {
  const plain = oneLine(text);
  const longestRun = Math.max(0, ...[...plain.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longestRun + 1);
  const padding = plain.startsWith("`") || plain.endsWith("`") || plain.trim() === "" ? " " : "";
  return `${fence}${padding}${plain}${padding}${fence}`;
}

/** In a table a bar ends the cell even inside a code span, unless a backslash stands before it. */
function cellCode(text: string): string {
  return code(text).replaceAll("|", "\\|");
}

/** Words of this audit that may quote a package: nothing in them is markup. */
function escapeText(text: string): string {
  return oneLine(text)
    .replaceAll("&", "&amp;")
    .replace(/[\\`*_{}[\]<>#|~!$]/g, "\\$&")
    .replaceAll("@", "&#64;\u200b")
    .replace(/:\/\//g, ":\u200b//");
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, " ");
}
