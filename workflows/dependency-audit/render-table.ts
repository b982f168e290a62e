/** The report for a terminal: one row a package, totals, and what to look at first nearest to the prompt. */
import { agreementText, classText, enginesText, formatBytes, licenceText, sizeText, totalsText } from "./cell-text.js";
import type { AuditReport, Finding } from "./messages.js";

export interface TerminalStyle {
  /** Columns; at least 60 are assumed. */
  readonly width: number;
  readonly colour: "ansi" | "plain";
}

const widthMin = 60;
/** Where nobody says how wide the output is: a pipe, a file, a CI log. */
const widthOfNoTerminal = 120;
/** The whole list is in the Markdown; nobody reads further down a terminal. */
const findingsShownMax = 15;
const largestShownMax = 5;

/** Colour only on a terminal whose user has not asked for none (no-color.org). */
export function terminalStyle(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
): TerminalStyle {
  const wanted = (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb";
  return {
    width: stream.columns === undefined || stream.columns < 1 ? widthOfNoTerminal : stream.columns,
    colour: stream.isTTY === true && wanted ? "ansi" : "plain",
  };
}

/** Lines without trailing blanks, ending in a line feed. Text from packages reaches the terminal without control characters. */
export function renderTable(report: AuditReport, style: TerminalStyle): string {
  const width = Math.max(widthMin, Math.floor(style.width));
  const { name, version, path } = report.project;
  const heading = `Dependency audit of ${[name, version].filter((it) => it !== null).join(" ")} (${path})`;
  const sections = [
    [paint(style, "bold", cut(printable(heading), width))],
    tableLines(report, width, style),
    totalsText(report).map(([label, value]) => cut(printable(`${label.padEnd(14)} ${value}`), width)),
    largestLines(report, width),
    ...listSections(report, width),
    findingLines(report, width, style),
  ];
  const lines = sections.filter((section) => section.length > 0).map((section) => section.join("\n"));
  return `${lines.join("\n\n").replace(/ +$/gm, "")}\n`;
}

interface Column {
  readonly heading: string;
  readonly align: "left" | "right";
  /** Narrowest width this column is squeezed to. */
  readonly widthMin: number;
  readonly cell: (row: AuditReport["rows"][number]) => string;
}

const allColumns: readonly Column[] = [
  { heading: "package", align: "left", widthMin: 12, cell: ({ name }) => name },
  { heading: "version", align: "left", widthMin: 6, cell: ({ version }) => version ?? "-" },
  { heading: "licence", align: "left", widthMin: 6, cell: licenceText },
  { heading: "class", align: "left", widthMin: 5, cell: classText },
  { heading: "file", align: "left", widthMin: 4, cell: agreementText },
  { heading: "size", align: "right", widthMin: 8, cell: sizeText },
  { heading: "node", align: "left", widthMin: 4, cell: enginesText },
];
const gap = "  ";

/** Left out in this order before names are cut short: what they say of note is among the findings too. */
const expendableHeadings = ["file", "class"] as const;

function tableLines(report: AuditReport, width: number, style: TerminalStyle): readonly string[] {
  const columns = chooseColumns(report, width);
  const cells = cellsOf(report, columns);
  const widths = fitWidths(columns, naturalWidths(columns, cells), width);
  const line = (texts: readonly string[]): string =>
    columns.map((column, index) => pad(texts[index] ?? "", widths[index] ?? 0, column.align)).join(gap);
  return [
    paint(style, "bold", line(columns.map(({ heading }) => heading))),
    ...cells.map((row, index) => {
      const text = line(row);
      return needsAttention(report, index) ? paint(style, "yellow", text) : text;
    }),
  ];
}

function chooseColumns(report: AuditReport, width: number): readonly Column[] {
  let columns = allColumns;
  for (const expendable of expendableHeadings) {
    if (totalWidth(naturalWidths(columns, cellsOf(report, columns))) <= width) break;
    columns = columns.filter(({ heading }) => heading !== expendable);
  }
  return columns;
}

function cellsOf({ rows }: AuditReport, columns: readonly Column[]): readonly (readonly string[])[] {
  return rows.map((row) => columns.map((column) => printable(column.cell(row))));
}

function naturalWidths(columns: readonly Column[], cells: readonly (readonly string[])[]): readonly number[] {
  return columns.map((column, index) =>
    Math.max(column.heading.length, ...cells.map((row) => lengthOf(row[index] ?? ""))),
  );
}

function totalWidth(widths: readonly number[]): number {
  return widths.reduce((sum, it) => sum + it, 0) + gap.length * (widths.length - 1);
}

/** Takes from the widest column that can give, one character at a time, until all fit. */
function fitWidths(columns: readonly Column[], natural: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  for (let excess = totalWidth(widths) - width; excess > 0; excess -= 1) {
    let widest = -1;
    for (const [index, columnWidth] of widths.entries()) {
      const canGive = columnWidth > (columns[index]?.widthMin ?? 0);
      if (canGive && columnWidth > (widths[widest] ?? 0)) widest = index;
    }
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function needsAttention({ findings, rows }: AuditReport, index: number): boolean {
  const path = rows[index]?.path;
  return findings.some((finding) => finding.path === path && finding.rank !== "low");
}

function largestLines({ rows, totals }: AuditReport, width: number): readonly string[] {
  const measured = rows.flatMap(({ name, size }) => (size.outcome === "measured" ? [{ name, bytes: size.bytes }] : []));
  const largest = measured.sort((a, b) => b.bytes - a.bytes).slice(0, largestShownMax);
  if (largest.length === 0 || totals.bytes === 0) return [];
  const sizes = largest.map(({ bytes }) => formatBytes(bytes));
  const sizeWidth = Math.max(...sizes.map((size) => size.length));
  return [
    "Largest",
    ...largest.map(({ name }, index) =>
      cut(`${pad(sizes[index] ?? "", sizeWidth, "right")}  ${printable(name)}`, width),
    ),
  ];
}

function listSections({ linked, refused }: AuditReport, width: number): readonly (readonly string[])[] {
  const list = (title: string, items: readonly string[]): readonly string[] =>
    items.length === 0 ? [] : [title, ...items.map((item) => cut(`  ${printable(item)}`, width))];
  return [
    list(
      "The project's own folders, not audited:",
      linked.map(({ path, target }) => `${path} -> ${target}`),
    ),
    list(
      "Not read:",
      refused.map(({ path, reason }) => `${path}: ${reason}`),
    ),
  ];
}

function findingLines({ findings }: AuditReport, width: number, style: TerminalStyle): readonly string[] {
  if (findings.length === 0) return ["Nothing to look at first."];
  const more = findings.length - findingsShownMax;
  return [
    paint(style, "bold", "Look at first"),
    ...findings.slice(0, findingsShownMax).map((finding) => {
      const subject = finding.name ?? finding.path;
      const text = `${finding.rank.padEnd(6)}  ${subject === null ? "" : `${subject}: `}${finding.sentence}`;
      return paint(style, rankColours[finding.rank], cut(printable(text), width));
    }),
    ...(more > 0 ? [`and ${more} more, all of them in the Markdown report`] : []),
  ];
}

type Colour = "bold" | "red" | "yellow" | "dim";
const colourCodes: Readonly<Record<Colour, number>> = { bold: 1, red: 31, yellow: 33, dim: 2 };
const rankColours: Readonly<Record<Finding["rank"], Colour>> = { high: "red", medium: "yellow", low: "dim" };

function paint(style: TerminalStyle, colour: Colour, text: string): string {
  return style.colour === "plain" ? text : `\u001b[${colourCodes[colour]}m${text.trimEnd()}\u001b[0m`;
}

/** Without control characters (an escape sequence in a package's name could rewrite the screen) and text direction marks. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "?");
}

function lengthOf(text: string): number {
  return [...text].length;
}

function cut(text: string, width: number): string {
  return lengthOf(text) <= width ? text : `${[...text].slice(0, width - 1).join("")}…`;
}

function pad(text: string, width: number, align: Column["align"]): string {
  const fitted = cut(text, width);
  const blanks = " ".repeat(width - lengthOf(fitted));
  return align === "left" ? fitted + blanks : blanks + fitted;
}
