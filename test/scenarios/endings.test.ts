/** Temporal's ways for a run to end from outside: terminate, run and execution time-outs, and the workflow's own retry policy. */
import { ApplicationFailure, TaskFailedError, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const patient = workflow("patient", { queries: { runs: {} } }, async (ctx) => {
  await ctx.condition(() => false);
});

const endOf = (run: { result(): Promise<unknown> }): Promise<unknown> => run.result().catch((error: unknown) => error);

describe("terminate", () => {
  it("ends a run at once with the reason that was given, and none of its code runs", async () => {
    let cleanUps = 0;
    const tidy = workflow("tidy", {}, async (ctx) => {
      try {
        await ctx.condition(() => false);
      } finally {
        cleanUps += 1;
      }
    });
    const environment = testEnvironment({ workflows: [tidy] });
    const run = await environment.start(tidy, undefined);
    await run.terminate("no longer wanted");
    const end = await endOf(run);
    expect(end).toBeInstanceOf(TaskFailedError);
    expect(end).toMatchObject({ state: "terminated", failure: { type: "TERMINATED" } });
    expect((end as TaskFailedError).failure.message).toContain("no longer wanted");
    expect((await run.history()).at(-1)).toMatchObject({
      type: "WorkflowExecutionTerminated",
      reason: "no longer wanted",
    });
    expect(cleanUps).toBe(0);
  });

  it("of a run that has ended is refused, a cancellation is not, and neither changes anything", async () => {
    const quick = workflow("quick", { output: z.string() }, async () => "done");
    const environment = testEnvironment({ workflows: [quick] });
    const run = await environment.start(quick, undefined);
    await run.result();
    await expect(run.terminate("too late")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await run.cancel();
    expect(await run.result()).toBe("done");
  });
});

describe("a time-out", () => {
  it("of the run ends it without running its code", async () => {
    const environment = testEnvironment({ workflows: [patient] });
    const begin = environment.now.getTime();
    const run = await environment.start(patient, undefined, { runTimeout: "1 hour" });
    expect(await endOf(run)).toMatchObject({ state: "timed_out", failure: { type: "WORKFLOW_TIMED_OUT" } });
    expect(environment.now.getTime() - begin).toBe(3_600_000);
  });

  it("of the run is for each run anew, of the execution for all retries together", async () => {
    const environment = testEnvironment({ workflows: [patient] });
    const begin = environment.now.getTime();
    const run = await environment.start(patient, undefined, {
      runTimeout: "1 hour",
      executionTimeout: "150 minutes",
      retry: { initialIntervalMs: 1_000 },
    });
    expect(await endOf(run)).toMatchObject({ state: "timed_out", failure: { type: "WORKFLOW_TIMED_OUT" } });
    expect(environment.now.getTime() - begin).toBe(150 * 60_000);
    const last = await run.describe();
    expect(last.run).toMatchObject({ attempt: 3 });
  });

  it("of the execution bounds a chain that continues as new for ever", async () => {
    const eternal = workflow("eternal", { input: z.number() }, async (ctx, round): Promise<void> => {
      await ctx.sleep("40 minutes");
      ctx.continueAsNew(round + 1);
    });
    const environment = testEnvironment({ workflows: [eternal] });
    const begin = environment.now.getTime();
    const run = await environment.start(eternal, 0, { runTimeout: "1 hour", executionTimeout: "2 hours" });
    expect(await endOf(run)).toMatchObject({ state: "timed_out", failure: { type: "WORKFLOW_TIMED_OUT" } });
    expect(environment.now.getTime() - begin).toBe(2 * 3_600_000);
  });
});

describe("a workflow's own retry policy", () => {
  const flaky = workflow(
    "flaky",
    { input: z.object({ failures: z.number(), type: z.string() }), output: z.string() },
    async (ctx, { failures, type }) => {
      const { attempt, lastFailure } = ctx.info;
      if (attempt <= failures) throw new ApplicationFailure(`attempt ${attempt}`, { type });
      return `attempt ${attempt} after ${lastFailure?.message}`;
    },
  );
  const retry = { maximumAttempts: 3, initialIntervalMs: 10_000, backoffCoefficient: 3 };

  it("runs it again from the start, after a growing delay, and tells the code what failed", async () => {
    const environment = testEnvironment({ workflows: [flaky] });
    const begin = environment.now.getTime();
    const run = await environment.start(flaky, { failures: 2, type: "Weather" }, { retry });
    expect(await run.result()).toBe("attempt 3 after attempt 2");
    expect(environment.now.getTime() - begin).toBe(40_000);
  });

  it("fails it with the last failure when the attempts are used up", async () => {
    const environment = testEnvironment({ workflows: [flaky] });
    const run = await environment.start(flaky, { failures: 9, type: "Weather" }, { retry });
    const end = await endOf(run);
    expect(end).toMatchObject({ state: "failed", attempt: 3, failure: { type: "Weather", message: "attempt 3" } });
    expect((end as TaskFailedError).message).toContain("failed after attempt 3");
  });

  it("does not retry a type that it names, nor a failure that says so itself", async () => {
    const environment = testEnvironment({ workflows: [flaky] });
    const run = await environment.start(
      flaky,
      { failures: 9, type: "Hopeless" },
      { retry: { ...retry, nonRetryableErrorTypes: ["Hopeless"] } },
    );
    expect(await endOf(run)).toMatchObject({ state: "failed", failure: { message: "attempt 1" } });
  });

  it("is none by default: one failure and it is over", async () => {
    const environment = testEnvironment({ workflows: [flaky] });
    const run = await environment.start(flaky, { failures: 1, type: "Weather" });
    expect(await endOf(run)).toMatchObject({ state: "failed", failure: { message: "attempt 1" } });
  });
});
