import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { planAudit } from "../../../workflows/dependency-audit/plan.js";
import { renderMarkdown } from "../../../workflows/dependency-audit/render-markdown.js";
import { renderTable } from "../../../workflows/dependency-audit/render-table.js";
import { auditReport } from "../../../workflows/dependency-audit/report.js";
import { surveyProject } from "../../../workflows/dependency-audit/survey.js";
import { checksOf } from "./checked-here.js";

it("audits this very checkout: every package read, its own dependencies permissive and fit for this Node", async () => {
  const survey = await surveyProject(fileURLToPath(new URL("../../../", import.meta.url)));
  const plan = planAudit(survey);
  const checks = await checksOf(plan);

  const report = await auditReport(plan.projectPath, plan.lockFileSha256, checks);

  expect(report.project.name).toBe("perdure");
  expect(report.rows).toHaveLength(survey.installed.length);
  expect(report.rows.filter(({ licence }) => licence.outcome !== "read")).toEqual([]);
  expect(report.rows.filter(({ size }) => size.outcome !== "measured" || size.bytes === 0)).toEqual([]);
  expect(report.totals.enginesMismatches).toBe(0);
  expect(report.notInstalled.filter(({ why }) => why === "missing")).toEqual([]);
  const shipped = report.rows.filter(({ scope }) => scope === "production");
  expect(shipped.filter(({ licence }) => licence.outcome === "read" && licence.class !== "permissive")).toEqual([]);
  expect(renderTable(report, { width: 100, colour: "plain" })).toContain("zod");
  expect(renderMarkdown(report)).toContain("| `zod` |");
  // The output of a child is one value of its parent's history: 16 packages stay far below its 128 KiB.
  expect(Buffer.byteLength(JSON.stringify(checks)) / checks.length).toBeLessThan(750);
});
