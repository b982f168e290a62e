import { expect, it } from "vitest";
import type { AuditReport, ReportRow } from "../../../workflows/dependency-audit/messages.js";
import { packReport, unpackReport } from "../../../workflows/dependency-audit/packed-report.js";
import { packagesMax } from "../../../workflows/dependency-audit/plan.js";

/** A task's output may have this many bytes of JSON. */
const outputBytesMax = 128 * 1024;

function reportOn(packages: number): AuditReport {
  const rows = Array.from({ length: packages }, (_, index): ReportRow => {
    // Names and sizes that repeat no more than real ones do.
    const name = `@vendor-${index % 97}/${((index + 1) * 2_654_435_761).toString(36)}`;
    return {
      name,
      version: `${index % 13}.${index % 29}.${index % 7}`,
      path: `node_modules/${name}`,
      scope: index % 3 === 0 ? "production" : "development",
      licence: {
        outcome: "read",
        declared: "MIT",
        found: ["MIT"],
        agreement: "agrees",
        class: "permissive",
        version: "1.0.0",
      },
      size: { outcome: "measured", files: (index * 31) % 211, bytes: (index * 7_919) % 1_000_003 },
      engines: { outcome: "checked", range: ">=18", verdict: "satisfied", nodeVersion: "20.19.0" },
    };
  });
  return {
    project: { name: "shop", version: "1.0.0", path: "/shop" },
    nodeVersions: ["20.19.0"],
    totals: {
      packages,
      production: 1,
      files: 1,
      bytes: 1,
      licences: { permissive: packages, "weak-copyleft": 0, "strong-copyleft": 0, unknown: 0 },
      enginesMismatches: 0,
      duplicated: 0,
      notInstalled: 0,
    },
    findings: [],
    rows,
    duplicates: [],
    notInstalled: [],
    refused: [],
    linked: [],
  };
}

it("gives back the report that was packed", () => {
  const report = reportOn(3);

  expect(unpackReport(JSON.parse(JSON.stringify(packReport(report))))).toEqual(report);
});

it("packs the report of as many packages as an audit takes into one output", () => {
  expect(JSON.stringify(packReport(reportOn(packagesMax))).length).toBeLessThan(outputBytesMax);
});

it.each([[null], [{}], [{ encoding: "json+brotli+base64", data: "AAAA" }], [{ encoding: "json", data: "" }]])(
  "refuses %j, which is no packed report",
  (output) => {
    expect(() => unpackReport(output)).toThrow();
  },
);
