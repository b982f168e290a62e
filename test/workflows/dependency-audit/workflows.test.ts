import { ApplicationFailure, TaskFailedError, TaskFailure, type TaskHandler } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { auditEngines } from "../../../workflows/dependency-audit/engines.js";
import { auditLicence } from "../../../workflows/dependency-audit/licence.js";
import type { PackageTaskInput } from "../../../workflows/dependency-audit/messages.js";
import { unpackReport } from "../../../workflows/dependency-audit/packed-report.js";
import { auditSize } from "../../../workflows/dependency-audit/size.js";
import { dependencyAudit, packageChecks } from "../../../workflows/dependency-audit/workflows.js";
import { projectOf } from "./given-project.js";
import { directoryWith } from "./project-on-disk.js";

const tasks: Readonly<Record<string, TaskHandler>> = {
  "audit-licence": (_, input) => auditLicence(input as PackageTaskInput),
  "audit-size": (_, input) => auditSize(input as PackageTaskInput),
  "audit-engines": (_, input) => auditEngines(input as PackageTaskInput),
};

/** Nothing is kept in memory, so each turn replays those before it. */
function auditEnvironment(given: Readonly<Record<string, TaskHandler>> = tasks) {
  return testEnvironment({ workflows: [dependencyAudit, packageChecks], tasks: given, maxCachedRuns: 0 });
}

it("audits every package once, in children of sixteen, and packs the report", async () => {
  const projectPath = await directoryWith(projectOf(20));
  const run = await auditEnvironment().start(dependencyAudit, { projectPath });

  const report = unpackReport(await run.result());

  expect(report.rows.map(({ path }) => path)).toHaveLength(20);
  expect(new Set(report.rows.map(({ path }) => path)).size).toBe(20);
  expect(report.rows.every(({ licence }) => licence.outcome === "read")).toBe(true);
  const children = (await run.history()).filter(({ type }) => type === "ChildWorkflowExecutionCompleted");
  expect(children).toHaveLength(2);
});

it("says how far it is, while it runs and afterwards", async () => {
  const projectPath = await directoryWith(projectOf(20));
  const { "audit-engines": checkEngines, ...others } = tasks;
  const environment = auditEnvironment(others);
  const run = await environment.start(dependencyAudit, { projectPath });
  await environment.sleep("1s");
  expect(await run.query("progress")).toEqual({ packages: 20, audited: 0 });

  if (checkEngines !== undefined) await environment.onTask("audit-engines", checkEngines);
  await run.result();

  expect(await run.query("progress")).toEqual({ packages: 20, audited: 20 });
});

it("fails with the reason, at once, where the project cannot be audited", async () => {
  const run = await auditEnvironment().start(dependencyAudit, { projectPath: "/nowhere/at/all" });

  const failed = run.result();

  await expect(failed).rejects.toBeInstanceOf(TaskFailedError);
  await expect(failed).rejects.toThrow("PROJECT_NOT_FOUND: there is no directory /nowhere/at/all");
});

it("has a check that failed done again, and fails with a check that fails for good", async () => {
  const projectPath = await directoryWith(projectOf(1));
  let attempts = 0;
  const flaky: TaskHandler = (_, input) => {
    attempts += 1;
    if (attempts === 1) throw new ApplicationFailure("the disk did not answer");
    return auditSize(input as PackageTaskInput);
  };
  const again = await auditEnvironment({ ...tasks, "audit-size": flaky }).start(dependencyAudit, { projectPath });
  expect(unpackReport(await again.result()).totals.packages).toBe(1);
  expect(attempts).toBe(2);

  const broken: TaskHandler = () => {
    throw new TaskFailure("no such agent ever", { nonRetryable: true });
  };
  const run = await auditEnvironment({ ...tasks, "audit-size": broken }).start(dependencyAudit, { projectPath });
  await expect(run.result()).rejects.toThrow("no such agent ever");
});
