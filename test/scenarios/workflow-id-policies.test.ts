/** Temporal's workflow id reuse and conflict policies. */
import { type RunHandle, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const job = workflow(
  "job",
  { input: z.string(), output: z.string(), signals: { finish: z.string() } },
  async (ctx, name) => {
    const how = await ctx.signal("finish");
    if (how === "fail") throw new Error(`${name} failed`);
    return `${name} ${how}`;
  },
);

async function runIdOf(handle: RunHandle<typeof job>): Promise<string> {
  const { run } = await handle.describe();
  return run?.runId ?? expect.fail("it has no run");
}

async function closedJob(how: "done" | "fail") {
  const environment = testEnvironment({ workflows: [job] });
  const run = await environment.start(job, "a", { workflowId: "job-1" });
  await run.signal("finish", how);
  await run.wait();
  return environment;
}

describe("after the workflow of an id has closed", () => {
  it("allowDuplicate starts another run with another input", async () => {
    const environment = await closedJob("done");
    const again = await environment.start(job, "b", { workflowId: "job-1", idReusePolicy: "allowDuplicate" });
    await again.signal("finish", "done");
    expect(await again.result()).toBe("b done");
  });

  it("allowDuplicate starts another run with the same input, too", async () => {
    const environment = await closedJob("done");
    const first = await environment.workflow("job-1").describe();
    const again = await environment.start(job, "a", { workflowId: "job-1", idReusePolicy: "allowDuplicate" });
    expect(await again.describe()).toMatchObject({ state: "running" });
    expect(await runIdOf(again)).not.toBe(first.run?.runId);
  });

  it("allowDuplicateFailedOnly starts another run only where the one before did not complete", async () => {
    const failed = await closedJob("fail");
    const again = await failed.start(job, "b", { workflowId: "job-1", idReusePolicy: "allowDuplicateFailedOnly" });
    expect(await again.describe()).toMatchObject({ state: "running" });

    const completed = await closedJob("done");
    await expect(
      completed.start(job, "b", { workflowId: "job-1", idReusePolicy: "allowDuplicateFailedOnly" }),
    ).rejects.toMatchObject({ code: "ID_CONFLICT" });
    expect(await completed.workflow(job, "job-1").result()).toBe("a done");
  });

  it("rejectDuplicate starts nothing, however it ended", async () => {
    for (const how of ["done", "fail"] as const) {
      const environment = await closedJob(how);
      await expect(
        environment.start(job, "b", { workflowId: "job-1", idReusePolicy: "rejectDuplicate" }),
      ).rejects.toMatchObject({ code: "ID_CONFLICT" });
    }
  });

  it("without a policy the same start is answered with the workflow that was", async () => {
    const environment = await closedJob("done");
    const again = await environment.start(job, "a", { workflowId: "job-1" });
    expect(await again.result()).toBe("a done");
    await expect(environment.start(job, "b", { workflowId: "job-1" })).rejects.toMatchObject({ code: "ID_CONFLICT" });
  });
});

describe("while the workflow of an id is open", () => {
  async function openJob() {
    const environment = testEnvironment({ workflows: [job] });
    const run = await environment.start(job, "a", { workflowId: "job-1" });
    return { environment, runId: await runIdOf(run) };
  }

  it("fail refuses another start, the same one included", async () => {
    const { environment } = await openJob();
    for (const input of ["a", "b"]) {
      await expect(
        environment.start(job, input, { workflowId: "job-1", idConflictPolicy: "fail" }),
      ).rejects.toMatchObject({ code: "ID_CONFLICT" });
    }
  });

  it("useExisting answers with the run that is open", async () => {
    const { environment, runId } = await openJob();
    const other = await environment.start(job, "b", { workflowId: "job-1", idConflictPolicy: "useExisting" });
    expect(await other.describe()).toMatchObject({ state: "running", run: { runId } });
    await other.signal("finish", "done");
    expect(await other.result()).toBe("a done");
  });

  it("terminateExisting ends the run that is open and starts another", async () => {
    const { environment, runId } = await openJob();
    const other = await environment.start(job, "b", { workflowId: "job-1", idConflictPolicy: "terminateExisting" });
    expect(await other.describe()).toMatchObject({ state: "running" });
    expect(await runIdOf(other)).not.toBe(runId);
    const before = await other.history({ runId });
    expect(before.at(-1)?.type).toBe("WorkflowExecutionTerminated");
    await other.signal("finish", "done");
    expect(await other.result()).toBe("b done");
  });

  it("terminateExisting starts a first one where none is open", async () => {
    const environment = testEnvironment({ workflows: [job] });
    const run = await environment.start(job, "a", { workflowId: "job-1", idConflictPolicy: "terminateExisting" });
    await run.signal("finish", "done");
    expect(await run.result()).toBe("a done");
  });
});
