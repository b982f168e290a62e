import { expect, it } from "vitest";
import { formatBytes } from "../../../workflows/dependency-audit/cell-text.js";
import type { AuditReport, ReportRow } from "../../../workflows/dependency-audit/messages.js";
import { renderMarkdown } from "../../../workflows/dependency-audit/render-markdown.js";
import { renderTable, terminalStyle } from "../../../workflows/dependency-audit/render-table.js";

function rowOf(name: string, declared = "MIT"): ReportRow {
  return {
    name,
    version: "1.0.0",
    path: `node_modules/${name}`,
    scope: "production",
    licence: { outcome: "read", declared, found: ["MIT"], agreement: "agrees", class: "permissive", version: "1.0.0" },
    size: { outcome: "measured", files: 3, bytes: 12_345 },
    engines: { outcome: "checked", range: ">=18", verdict: "satisfied", nodeVersion: "20.20.2" },
  };
}

function reportWith(part: Partial<AuditReport>): AuditReport {
  return {
    project: { name: "shop", version: "1.0.0", path: "/shop" },
    nodeVersions: ["20.20.2"],
    totals: {
      packages: 1,
      production: 1,
      files: 3,
      bytes: 12_345,
      licences: { permissive: 1, "weak-copyleft": 0, "strong-copyleft": 0, unknown: 0 },
      enginesMismatches: 0,
      duplicated: 0,
      notInstalled: 0,
    },
    findings: [],
    rows: [rowOf("zod")],
    duplicates: [],
    notInstalled: [],
    refused: [],
    linked: [],
    ...part,
  };
}

const plain = { width: 80, colour: "plain" } as const;

it("shows a package in one row of the terminal's table, and the totals", () => {
  expect(renderTable(reportWith({}), plain)).toBe(`Dependency audit of shop 1.0.0 (/shop)

package  version  licence  class       file            size  node
zod      1.0.0    MIT      permissive  as declared  12.3 kB  ok

Packages       1 (1 for production)
On disk        12.3 kB in 3 files
Licences       1 permissive
Node           20.20.2: 0 packages need another
Duplicates     0 packages in more than one version
Not installed  0

Largest
12.3 kB  zod

Nothing to look at first.
`);
});

it.each([60, 80, 100, 200])("keeps every line of the table within %i columns", (width) => {
  const report = reportWith({
    rows: [
      rowOf(`@${"scope".repeat(20)}/${"name".repeat(20)}`, "(MIT OR Apache-2.0 OR BSD-3-Clause OR ISC)"),
      rowOf("b"),
    ],
    findings: [{ rank: "high", name: "b", path: "node_modules/b", sentence: "Something long. ".repeat(30) }],
    refused: [{ path: "../".repeat(100), reason: "it leaves the project" }],
  });
  const lines = renderTable(report, { width, colour: "plain" }).split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
});

it("leaves columns out before it cuts names short", () => {
  const report = reportWith({ rows: [rowOf("@rolldown/binding-linux-x64-gnu", "MIT OR Apache-2.0")] });
  const [, , headings, row] = renderTable(report, plain).split("\n");
  expect(headings?.split(/ +/)).toEqual(["package", "version", "licence", "size", "node"]);
  expect(row).toContain("@rolldown/binding-linux-x64-gnu  1.0.0    MIT OR Apache-2.0");
});

it("lets no control character of a package reach the terminal", () => {
  const report = reportWith({
    rows: [rowOf("evil\u001b[2J\u202egpj\n", "MIT\r")],
    linked: [{ path: "a\u0007", target: "b\u009b" }],
  });
  const text = renderTable(report, plain);
  expect(text).toContain("evil?[2J?gpj?");
  expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

it("colours only where it is asked to, and writes the same words either way", () => {
  const report = reportWith({ findings: [{ rank: "high", name: "zod", path: "node_modules/zod", sentence: "Look." }] });
  const coloured = renderTable(report, { width: 80, colour: "ansi" });
  const escapeSequence = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
  expect(coloured).toMatch(escapeSequence);
  expect(coloured.replace(escapeSequence, "")).toBe(renderTable(report, plain));
});

it.each([
  ["a terminal", { isTTY: true, columns: 99 }, {}, { width: 99, colour: "ansi" }],
  ["a pipe", {}, {}, { width: 120, colour: "plain" }],
  [
    "a terminal whose user wants no colour",
    { isTTY: true, columns: 99 },
    { NO_COLOR: "1" },
    { width: 99, colour: "plain" },
  ],
  ["a dumb terminal", { isTTY: true, columns: 0 }, { TERM: "dumb" }, { width: 120, colour: "plain" }],
])("chooses width and colour for %s", (_what, stream, environment, expected) => {
  expect(terminalStyle(stream, environment)).toEqual(expected);
});

it("shows the first findings and says how many more there are", () => {
  const findings = Array.from({ length: 20 }, (_, index) => ({
    rank: "low" as const,
    name: `p${index}`,
    path: `node_modules/p${index}`,
    sentence: "Good to know.",
  }));
  const text = renderTable(reportWith({ findings }), plain);
  expect(text).toContain("p14: Good to know.");
  expect(text).not.toContain("p15: Good to know.");
  expect(text).toContain("and 5 more, all of them in the Markdown report");
  expect(renderMarkdown(reportWith({ findings }))).toContain("`p19`: Good to know.");
});

it("writes Markdown with the findings first and a table of all packages", () => {
  const markdown = renderMarkdown(
    reportWith({
      findings: [{ rank: "high", name: "zod", path: "node_modules/zod", sentence: "It needs Node >=22." }],
      duplicates: [
        {
          name: "zod",
          versions: [
            { version: "3.0.0", paths: ["node_modules/a/node_modules/zod"] },
            { version: "4.0.0", paths: ["node_modules/zod"] },
          ],
        },
      ],
      notInstalled: [{ name: "fsevents", version: "2.0.0", path: "node_modules/fsevents", why: "optional" }],
      refused: [{ path: "../x", reason: "it leaves the project" }],
    }),
  );
  expect(markdown).toContain("# Dependency audit of `shop 1.0.0`\n");
  expect(markdown).toContain("## Look at first\n\n- **high** `zod`: It needs Node \\>=22.\n");
  expect(markdown).toContain("- `zod`: `3.0.0` at `node_modules/a/node_modules/zod`; `4.0.0` at `node_modules/zod`");
  expect(markdown).toContain("- Optional (another platform, or left out): `fsevents 2.0.0`");
  expect(markdown).toContain("## Not read\n\n- `../x`: it leaves the project");
  expect(markdown).toContain("| `zod` | `1.0.0` | production | `MIT` | permissive | as declared | 12.3 kB | ok |");
});

it("lets no name or licence of a package become markup", () => {
  const markdown = renderMarkdown(
    reportWith({
      rows: [rowOf("a|b`c``d\n| x |", "<img src=x>|[l](http://x)")],
      findings: [
        {
          rank: "low",
          name: null,
          path: null,
          sentence: "declares <b>*x*</b> [l](https://evil.example) @somebody | `",
        },
      ],
    }),
  );
  const row = markdown.split("\n").find((line) => line.includes("a\\|b"));
  // Eight cells make nine bars that are not escaped.
  expect(row?.match(/(?<!\\)\|/g)).toHaveLength(9);
  expect(row).toContain("```a\\|b`c``d \\| x \\|```");
  expect(row).toContain("`<img src=x>\\|[l](http://x)`");
  expect(markdown).toContain("\\<b\\>\\*x\\*\\</b\\> \\[l\\](https:\u200b//evil.example) &#64;\u200bsomebody \\| \\`");
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [999_949, "999.9 kB"],
  [999_960, "1.0 MB"],
  [12_345_678, "12.3 MB"],
  [5_000_000_000, "5.0 GB"],
])("writes %i bytes as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
