/**
 * An audit of a project's npm dependencies, as a workflow. What is looked at on a disk is looked at by agents, three tasks
 * for each package; the worker itself reads the lock file before and writes the report after.
 *
 * All packages are asked for at once: how many are in hand at a time is the agents' affair, the rest waits in the
 * orchestrator's queue and costs the run nothing. What is bounded is the history: a child has the tasks of a few
 * packages, so neither its history nor its parent's grows into what is slow to replay, and the children of one audit
 * are spread over the workers.
 */
import { task, workflow } from "perdure";
import { z } from "zod";
import {
  EnginesOutput,
  LicenceOutput,
  PackageChecks,
  PackagePath,
  PackageTaskInput,
  ProjectPath,
  SizeOutput,
} from "./messages.js";
import { PackedReport, packReport } from "./packed-report.js";
import { planAudit } from "./plan.js";
import { auditReport } from "./report.js";
import { surveyProject } from "./survey.js";

/** Reading one package takes milliseconds; an agent that takes this long hangs (a disk that does not answer). */
const check = {
  input: PackageTaskInput,
  timeouts: { startToClose: "30s" },
  retry: { maximumAttempts: 5, initialIntervalMs: 200 },
} as const;

export const checkLicence = task("audit-licence", { ...check, output: LicenceOutput });
export const checkSize = task("audit-size", { ...check, output: SizeOutput });
export const checkEngines = task("audit-engines", { ...check, output: EnginesOutput });

/** The largest project has 100 children, of 48 tasks each. */
const packagesInChild = 16;

export const packageChecks = workflow(
  "package-checks",
  {
    input: z.object({ projectPath: ProjectPath, packagePaths: z.array(PackagePath) }),
    output: z.array(PackageChecks),
  },
  async (ctx, { projectPath, packagePaths }) =>
    await Promise.all(
      packagePaths.map(async (packagePath) => {
        const input = { projectPath, packagePath };
        const [licence, size, engines] = await Promise.all([
          ctx.task(checkLicence, input),
          ctx.task(checkSize, input),
          ctx.task(checkEngines, input),
        ]);
        return { packagePath, licence, size, engines };
      }),
    ),
);

export const dependencyAudit = workflow(
  "dependency-audit",
  {
    input: z.object({ projectPath: ProjectPath }),
    output: PackedReport,
    queries: {
      progress: { output: z.object({ packages: z.int(), audited: z.int() }) },
    },
  },
  async (ctx, { projectPath }) => {
    const checks: PackageChecks[] = [];
    let packages = 0;
    ctx.onQuery("progress", () => ({ packages, audited: checks.length }));

    const { lockFileSha256, packagePaths } = await ctx.step("read-lock-file", async () =>
      planAudit(await surveyProject(projectPath)),
    );
    packages = packagePaths.length;

    await Promise.all(
      slicesOf(packagePaths, packagesInChild).map(async (slice) => {
        checks.push(...(await ctx.child(packageChecks, { projectPath, packagePaths: slice })));
      }),
    );

    return await ctx.step("write-report", async () =>
      packReport(await auditReport(projectPath, lockFileSha256, checks)),
    );
  },
);

function slicesOf(paths: readonly string[], length: number): string[][] {
  const count = Math.ceil(paths.length / length);
  return Array.from({ length: count }, (_, index) => paths.slice(index * length, (index + 1) * length));
}
