import fc from "fast-check";
import { expect, it } from "vitest";
import type { LockedPackage } from "../../../workflows/dependency-audit/lock-file.js";
import { PackageTaskInput, packageTaskTypes, ReportTaskInput } from "../../../workflows/dependency-audit/messages.js";
import { packagesMax, partsOf, planAudit, submissionBatches } from "../../../workflows/dependency-audit/plan.js";
import { type Survey, surveyProject } from "../../../workflows/dependency-audit/survey.js";
import { packageTaskIds, reportTaskId } from "../../../workflows/dependency-audit/task-ids.js";
import { directoryWith, lockFileWith } from "./project-on-disk.js";

const idOnTheWire = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

function surveyOf(names: readonly string[]): Survey {
  const packages = names.map(
    (name): LockedPackage => ({
      name,
      version: "1.0.0",
      path: `node_modules/${name}`,
      dev: false,
      optional: false,
      engines: null,
    }),
  );
  const project = { name: "shop", version: "1.0.0" };
  const lockFile = { project, sha256: "0".repeat(64), packages, refused: [], linked: [] };
  return { projectPath: "/shop", lockFile, installed: packages, absent: [], refused: [] };
}

it("plans one task for each package and capability, and a join that depends on all of them", () => {
  const { packageTasks, reportTask } = planAudit(surveyOf(["zod", "@nats-io/kv"]), "audit-3f2a");
  expect(packageTasks.map(({ type, input }) => [type, input.packagePath])).toEqual([
    ["audit-licence", "node_modules/zod"],
    ["audit-licence", "node_modules/@nats-io/kv"],
    ["audit-size", "node_modules/zod"],
    ["audit-size", "node_modules/@nats-io/kv"],
    ["audit-engines", "node_modules/zod"],
    ["audit-engines", "node_modules/@nats-io/kv"],
  ]);
  expect(packageTasks.every(({ type, requiredCapabilities }) => requiredCapabilities.join() === type)).toBe(true);
  expect(packageTasks[1]?.taskId).toMatch(/^audit-3f2a-licence-nats-io-kv-[0-9a-f]{8}$/);
  expect(reportTask).toMatchObject({
    taskId: "audit-3f2a-report",
    type: "audit-report",
    requiredCapabilities: ["audit-report"],
    dependencies: packageTasks.map(({ taskId }) => taskId),
  });
});

it("gives every task an input that its schema takes", () => {
  const { packageTasks, reportTask } = planAudit(surveyOf(["zod"]), "a");
  for (const { input } of packageTasks) expect(PackageTaskInput.parse(input)).toEqual(input);
  expect(ReportTaskInput.parse(reportTask.input)).toEqual(reportTask.input);
});

it("plans the same audit the same way again", () => {
  const survey = surveyOf(["zod", "xstate"]);
  expect(planAudit(survey, "a")).toEqual(planAudit(survey, "a"));
});

it("plans only what is on disk", async () => {
  const packages = { "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "1.0.0", optional: true } };
  const root = await directoryWith({ "package-lock.json": lockFileWith(packages), "node_modules/a/package.json": {} });
  const survey = await surveyProject(root);
  expect(survey.absent.map(({ name }) => name)).toEqual(["b"]);
  expect(new Set(planAudit(survey, "a").packageTasks.map(({ input }) => input.packagePath))).toEqual(
    new Set(["node_modules/a"]),
  );
});

it("says how to install when nothing is", async () => {
  const root = await directoryWith({ "package-lock.json": lockFileWith({ "node_modules/a": { version: "1.0.0" } }) });
  const survey = await surveyProject(root);
  expect(() => planAudit(survey, "a")).toThrow(
    expect.objectContaining({ code: "NOTHING_INSTALLED", message: expect.stringContaining("npm ci") }),
  );
});

it("says that a project without dependencies has nothing to audit", () => {
  expect(() => planAudit(surveyOf([]), "a")).toThrow(
    expect.objectContaining({ code: "NOTHING_INSTALLED", message: expect.stringContaining("lists no packages") }),
  );
});

it("makes valid ids that differ whenever the paths do", () => {
  const paths = fc.uniqueArray(fc.string({ unit: "binary", minLength: 1 }).map((name) => `node_modules/${name}`));
  fc.assert(
    fc.property(paths, fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/), (packagePaths, auditId) => {
      const ids = [...packageTaskIds(auditId, packagePaths).values()].flatMap((each) => Object.values(each));
      expect(new Set([...ids, reportTaskId(auditId)]).size).toBe(packagePaths.length * 3 + 1);
      for (const id of ids) expect(id).toMatch(idOnTheWire);
    }),
  );
});

it.each(["", "-a", "a b", "a.b", "a".repeat(33), "a>"])("refuses %j as an audit's id", (auditId) => {
  expect(() => packageTaskIds(auditId, [])).toThrow(expect.objectContaining({ code: "AUDIT_ID_INVALID" }));
});

it("divides a plan into batches of bounded size, dependencies before dependents, nothing lost", () => {
  const plan = planAudit(surveyOf(Array.from({ length: 100 }, (_, index) => `package-${index}`)), "a");
  const batches = submissionBatches([...plan.packageTasks, plan.reportTask], { bytesMax: 10_000 });
  expect(batches.flat()).toEqual([...plan.packageTasks, plan.reportTask]);
  const [last, ...others] = [...batches].reverse();
  expect(last).toContain(plan.reportTask);
  for (const batch of others) expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThanOrEqual(10_001);
});

it.each([
  { packages: 1, firstPart: 2 },
  { packages: 10, firstPart: 15 },
  { packages: 1600, firstPart: 480 },
])("divides the plan for $packages packages into two parts, the join in the second", ({ packages, firstPart }) => {
  const plan = planAudit(surveyOf(Array.from({ length: packages }, (_, index) => `package-${index}`)), "a");
  const [first, second] = partsOf(plan);
  expect(first).toHaveLength(firstPart);
  expect(second.at(-1)).toEqual(plan.reportTask);
  expect(new Set([...first, ...second])).toEqual(new Set([...plan.packageTasks, plan.reportTask]));
  expect(first.length + second.length).toBe(3 * packages + 1);
});

it("puts every kind of check into both parts, so that every agent has work in both", () => {
  const plan = planAudit(surveyOf(Array.from({ length: 10 }, (_, index) => `package-${index}`)), "a");
  for (const part of partsOf(plan)) {
    for (const type of packageTaskTypes) expect(part.filter((task) => task.type === type)).toHaveLength(5);
  }
});

it("keeps every message of the largest audit far below the server's 1 MiB", () => {
  const names = Array.from({ length: packagesMax }, (_, index) => `a-package-with-quite-a-long-name-${index}`);
  const plan = planAudit(surveyOf(names), "a".repeat(32));
  for (const batch of submissionBatches([...plan.packageTasks, plan.reportTask])) {
    expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThan(400_000);
  }
  expect(plan.reportTask.dependencies.length).toBeLessThanOrEqual(5000);
});

it("refuses a checkout with more packages than one join can depend on", () => {
  const survey = surveyOf(Array.from({ length: packagesMax + 1 }, (_, index) => `p${index}`));
  expect(() => planAudit(survey, "a")).toThrow(
    expect.objectContaining({ code: "TOO_MANY_PACKAGES", message: expect.stringContaining("npm ci --omit=dev") }),
  );
});
