import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { AuditReport } from "../../../workflows/dependency-audit/messages.js";
import { planAudit } from "../../../workflows/dependency-audit/plan.js";
import { auditReport } from "../../../workflows/dependency-audit/report.js";
import { surveyProject } from "../../../workflows/dependency-audit/survey.js";
import { checksOf } from "./checked-here.js";
import { directoryWith, type Files, lockFileWith, mitText, writeFiles } from "./project-on-disk.js";

async function audited(packages: Readonly<Record<string, unknown>>, files: Files) {
  const root = await directoryWith({ "package-lock.json": lockFileWith(packages), ...files });
  const plan = planAudit(await surveyProject(root));
  return auditReport(root, plan.lockFileSha256, await checksOf(plan));
}

const good = { version: "1.0.0", license: "MIT", engines: { node: ">=18" } };

function sentencesAbout(report: AuditReport, name: string): readonly string[] {
  return report.findings.filter((finding) => finding.name === name).map(({ rank, sentence }) => `${rank}: ${sentence}`);
}

it("finds nothing to look at in a project where all is well", async () => {
  const report = await audited(
    { "node_modules/a": { version: "1.0.0" } },
    { "node_modules/a/package.json": good, "node_modules/a/LICENSE": mitText },
  );
  expect(report.findings).toEqual([]);
  expect(report.totals).toEqual({
    packages: 1,
    production: 1,
    files: 2,
    bytes: JSON.stringify(good).length + mitText.length,
    licences: { permissive: 1, "weak-copyleft": 0, "strong-copyleft": 0, unknown: 0 },
    enginesMismatches: 0,
    duplicated: 0,
    notInstalled: 0,
  });
  expect(report.nodeVersions).toEqual([process.versions.node]);
  expect(AuditReport.parse(report)).toEqual(report);
});

it("reports optional packages of other platforms as not installed, and a missing one as the first thing to look at", async () => {
  const report = await audited(
    {
      "node_modules/a": { version: "1.0.0" },
      "node_modules/a-darwin": { version: "1.0.0", optional: true, dev: true },
      "node_modules/b-dev": { version: "1.0.0", dev: true },
      "node_modules/c": { version: "1.0.0" },
    },
    { "node_modules/a/package.json": good, "node_modules/a/LICENSE": mitText },
  );
  expect(report.notInstalled.map(({ name, why }) => [name, why])).toEqual([
    ["a-darwin", "optional"],
    ["b-dev", "development"],
    ["c", "missing"],
  ]);
  expect(report.findings.map(({ name }) => name)).toEqual(["c"]);
});

it.each<[string, Files, string]>([
  [
    "a licence that reaches the whole program",
    { "package.json": { ...good, license: "AGPL-3.0-only" } },
    "high: Its licence AGPL-3.0-only reaches the whole program it is shipped with (strong copyleft).",
  ],
  [
    "weak copyleft",
    { "package.json": { ...good, license: "MPL-2.0" } },
    "medium: Its licence MPL-2.0 asks for changes to its own files to stay open (weak copyleft).",
  ],
  [
    "a contradiction",
    { "package.json": { ...good, license: "ISC" }, LICENSE: mitText },
    "high: It declares ISC, but its licence file is MIT.",
  ],
  [
    "no licence at all",
    { "package.json": { ...good, license: undefined } },
    "high: It names no licence and has no licence file: nothing permits its use.",
  ],
  [
    "an unknown licence",
    { "package.json": { ...good, license: "Frob-1.0" } },
    "high: Its licence Frob-1.0 is not one this audit can place.",
  ],
  [
    "the wrong Node",
    { "package.json": { ...good, engines: { node: "<1" } }, LICENSE: mitText },
    `high: It needs Node <1; this one is ${process.versions.node}.`,
  ],
  [
    "engines nobody can read",
    { "package.json": { ...good, engines: { node: "new" } }, LICENSE: mitText },
    "low: Its engines.node is not a version range: new.",
  ],
  [
    "another version on disk",
    { "package.json": { ...good, version: "0.9.0" }, LICENSE: mitText },
    "high: On disk it is 0.9.0, the lock file says 1.0.0. Run npm ci.",
  ],
  [
    "a broken package.json",
    { "package.json": "{", LICENSE: mitText },
    "medium: It could not be audited in full: package.json is not JSON.",
  ],
])("points at %s", async (_what, files, sentence) => {
  const inPackage = Object.entries(files).map(([name, content]) => [`node_modules/a/${name}`, content]);
  const report = await audited({ "node_modules/a": { version: "1.0.0" } }, Object.fromEntries(inPackage));
  expect(sentencesAbout(report, "a")).toContain(sentence);
});

it("points at a package in two versions", async () => {
  const report = await audited(
    {
      "node_modules/a": { version: "1.0.0" },
      "node_modules/b": { version: "1.0.0" },
      "node_modules/b/node_modules/a": { version: "2.0.0" },
    },
    {
      "node_modules/a/package.json": good,
      "node_modules/a/LICENSE": mitText,
      "node_modules/b/package.json": good,
      "node_modules/b/LICENSE": mitText,
      "node_modules/b/node_modules/a/package.json": { ...good, version: "2.0.0" },
      "node_modules/b/node_modules/a/LICENSE": mitText,
    },
  );
  expect(report.totals.duplicated).toBe(1);
  expect(sentencesAbout(report, "a")).toEqual(["medium: It is installed in 2 versions: 1.0.0, 2.0.0."]);
});

it("does not read what lies outside the project, and says so", async () => {
  const outside = await directoryWith({ "package.json": good });
  const root = await directoryWith({
    "package-lock.json": lockFileWith({
      "node_modules/a": { version: "1.0.0" },
      "node_modules/b": { version: "1.0.0" },
      "../../etc/node_modules/passwd": { version: "1.0.0" },
    }),
    "node_modules/a/package.json": good,
  });
  await symlink(outside, join(root, "node_modules/b"));
  const plan = planAudit(await surveyProject(root));
  const report = await auditReport(root, plan.lockFileSha256, await checksOf(plan));
  expect(report.rows.map(({ name }) => name)).toEqual(["a"]);
  expect(report.notInstalled).toEqual([]);
  expect(report.refused.map(({ path }) => path)).toEqual(["../../etc/node_modules/passwd", "node_modules/b"]);
  expect(report.findings.slice(0, 2).map(({ rank }) => rank)).toEqual(["high", "high"]);
});

it("makes no report when the lock file changed under the audit", async () => {
  const packages = { "node_modules/a": { version: "1.0.0" } };
  const root = await directoryWith({
    "package-lock.json": lockFileWith(packages),
    "node_modules/a/package.json": good,
  });
  const plan = planAudit(await surveyProject(root));
  const checks = await checksOf(plan);
  await writeFiles(root, { "package-lock.json": lockFileWith({ ...packages, "node_modules/b": {} }) });
  await expect(auditReport(root, plan.lockFileSha256, checks)).rejects.toMatchObject({ code: "LOCK_FILE_CHANGED" });
});
