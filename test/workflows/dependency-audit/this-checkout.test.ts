import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { auditEngines } from "../../../workflows/dependency-audit/engines.js";
import { auditLicence } from "../../../workflows/dependency-audit/licence.js";
import { planAudit } from "../../../workflows/dependency-audit/plan.js";
import { renderMarkdown } from "../../../workflows/dependency-audit/render-markdown.js";
import { renderTable } from "../../../workflows/dependency-audit/render-table.js";
import { auditReport } from "../../../workflows/dependency-audit/report.js";
import { auditSize } from "../../../workflows/dependency-audit/size.js";
import { surveyProject } from "../../../workflows/dependency-audit/survey.js";

const checks = { "audit-licence": auditLicence, "audit-size": auditSize, "audit-engines": auditEngines } as const;

it("audits this very checkout: every package read, its own dependencies permissive and fit for this Node", async () => {
  const survey = await surveyProject(fileURLToPath(new URL("../../../", import.meta.url)));
  const plan = planAudit(survey, "audit-self");
  const outputs = plan.packageTasks.map(
    async ({ taskId, type, input }) => [taskId, await checks[type](input)] as const,
  );
  const results: Record<string, unknown> = Object.fromEntries(await Promise.all(outputs));

  const report = await auditReport(plan.reportTask.input, results);

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
  // What the join is given travels in its assignment; small outputs keep that to some hundred bytes for each task.
  expect(Buffer.byteLength(JSON.stringify(results)) / plan.packageTasks.length).toBeLessThan(250);
});
