import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { ApplicationFailure } from "../../src/workflow/failures.js";
import { eventOf, failureOf, lab, typesOf } from "./lab.js";

const minutes = (env: { readonly now: Date }): number => (env.now.getTime() - Date.UTC(2025, 0, 1)) / 60_000;

test("a run that takes too long ends without any code of it running", async () => {
  let cleaned = false;
  const slow = workflow("slow", {}, async (ctx) => {
    try {
      await ctx.sleep("1h");
    } finally {
      cleaned = true;
    }
  });
  const env = lab(slow);
  const run = await env.start(slow, undefined, { runTimeout: "10m" });
  expect(await run.wait()).toMatchObject({ state: "timed_out", error: { type: "WORKFLOW_TIMED_OUT" } });
  expect(await eventOf(run, "WorkflowExecutionTimedOut")).toMatchObject({ timeoutType: "run" });
  expect(minutes(env)).toBe(10);
  expect(cleaned).toBe(false);
});

test("a workflow is not repeated unless it says so; with a policy each run is one of the chain", async () => {
  const failing = workflow("failing", {}, async (ctx) => {
    const { attempt, lastFailure, runId, firstExecutionRunId } = ctx.info;
    await ctx.sleep("1m");
    if (attempt < 3) throw new ApplicationFailure(`run ${attempt} failed`, { type: "Again" });
    return { attempt, lastFailure: lastFailure?.message, isFirst: runId === firstExecutionRunId };
  });
  const env = lab(failing);
  const once = await env.start(failing, undefined);
  expect(await failureOf(once)).toMatchObject({ type: "Again", message: "run 1 failed" });
  expect(await eventOf(once, "WorkflowExecutionFailed")).toMatchObject({ retryState: "retryPolicyNotSet" });

  const begun = minutes(env);
  const repeated = await env.start(failing, undefined, { retry: { initialIntervalMs: 60_000 } });
  expect(await repeated.result()).toEqual({ attempt: 3, lastFailure: "run 2 failed", isFirst: false });
  // Three runs of a minute; one minute and then two between them.
  expect(minutes(env) - begun).toBe(6);
  expect(await typesOf(repeated)).toHaveLength(6);
});

test("a run's time-out is repeated by the policy, the chain's is not", async () => {
  const stuck = workflow("stuck", {}, async (ctx) => {
    if (ctx.info.attempt === 3) return "third time lucky";
    await ctx.sleep("1 days");
    return "slept";
  });
  const env = lab(stuck);
  const lucky = await env.start(stuck, undefined, { runTimeout: "1h", retry: { initialIntervalMs: 1_000 } });
  expect(await lucky.result()).toBe("third time lucky");
  const late = await env.start(stuck, undefined, {
    runTimeout: "1h",
    executionTimeout: "90m",
    retry: { initialIntervalMs: 1_000 },
  });
  expect(await late.wait()).toMatchObject({ state: "timed_out" });
  expect(await eventOf(late, "WorkflowExecutionTimedOut")).toMatchObject({ timeoutType: "execution" });
});

test("retrying ends with the policy's attempts, its types, and what says that it is not to be", async () => {
  let runs = 0;
  const failing = workflow(
    "failing",
    { input: z.object({ nonRetryable: z.boolean().optional() }) },
    async (_, given) => {
      runs += 1;
      await Promise.resolve();
      throw new ApplicationFailure("no", {
        type: "No",
        ...(given.nonRetryable === true ? { nonRetryable: true } : {}),
      });
    },
  );
  const env = lab(failing);
  const cases = [
    { retry: { maximumAttempts: 4 }, input: {}, expected: 4 },
    { retry: { nonRetryableErrorTypes: ["No"] }, input: {}, expected: 1 },
    { retry: {}, input: { nonRetryable: true }, expected: 1 },
  ];
  for (const { retry, input, expected } of cases) {
    runs = 0;
    await failureOf(await env.start(failing, input, { retry }));
    expect(runs).toBe(expected);
  }
});

test("a cancelled or terminated run is not repeated", async () => {
  const sleepy = workflow("sleepy", {}, async (ctx) => {
    await ctx.sleep("1h");
  });
  const env = lab(sleepy);
  const cancelled = await env.start(sleepy, undefined, { retry: {} });
  await cancelled.cancel();
  expect(await cancelled.wait()).toMatchObject({ state: "cancelled" });
  const terminated = await env.start(sleepy, undefined, { retry: {} });
  await terminated.terminate();
  expect(await terminated.wait()).toMatchObject({ state: "terminated" });
});

test("a signal that comes between two runs of a chain is seen by the next", async () => {
  const waiting = workflow("waiting", { signals: { go: z.string() } }, async (ctx) => {
    if (ctx.info.attempt === 1) throw new Error("first");
    return await ctx.signal("go");
  });
  const env = lab(waiting);
  const run = await env.start(waiting, undefined, { retry: { initialIntervalMs: 3_600_000 } });
  await env.sleep("10m");
  await run.signal("go", "between");
  expect(await run.result()).toBe("between");
});
