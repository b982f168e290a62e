import { expect, test } from "vitest";
import { z } from "zod";
import { TaskFailure, task, workflow } from "../../src/index.js";
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from "../../src/workflow/failures.js";
import { eventOf, failureOf, lab, typesOf } from "./lab.js";

const charge = task("charge", {
  input: z.object({ cents: z.int() }),
  output: z.object({ id: z.string() }),
  retry: { initialIntervalMs: 1_000 },
  timeouts: { startToClose: "1m" },
});

const paying = workflow("paying", { input: z.unknown() }, async (ctx, cents) => {
  return await ctx.task(charge, { cents: cents as number });
});

/** How a run's task went wrong, as its code caught it. */
const caught = workflow("caught", { input: z.record(z.string(), z.unknown()).optional() }, async (ctx, options) => {
  const begun = Date.now();
  try {
    return await ctx.task(charge, { cents: 1 }, options ?? {});
  } catch (reason) {
    if (!(reason instanceof ActivityFailure)) throw reason;
    const { cause, retryState, activityType } = reason;
    const after = Date.now() - begun;
    if (cause instanceof TimeoutFailure) return { timeout: cause.timeoutType, retryState, activityType, after };
    if (!(cause instanceof ApplicationFailure)) throw reason;
    return { type: cause.type, message: cause.message, details: cause.details, retryState, activityType, after };
  }
});

test("an agent does the task, and the code goes on with what it returned", async () => {
  const inputs: unknown[] = [];
  const env = lab(paying, {
    tasks: {
      charge: (context, input) => {
        inputs.push(input, context.attempt, context.workflow);
        return { id: "c-1", more: "is left out by the schema" };
      },
    },
  });
  const run = await env.start(paying, 100);
  expect(await run.result()).toEqual({ id: "c-1" });
  const { run: ran } = await run.describe();
  expect(inputs).toEqual([{ cents: 100 }, 1, { workflowId: run.workflowId, runId: ran?.runId }]);
});

test("a wrong input asks nobody, and a wrong output is the task's failure", async () => {
  let asked = 0;
  const env = lab(paying, {
    tasks: {
      charge: () => {
        asked += 1;
        return { id: 5 };
      },
    },
  });
  expect(await failureOf(await env.start(paying, 1.5))).toMatchObject({
    type: "INVALID_INPUT",
    message: expect.stringMatching(/^the input of task charge is wrong: cents: /),
  });
  expect(asked).toBe(0);
  expect(await failureOf(await env.start(paying, 1))).toMatchObject({
    type: "ActivityFailure",
    cause: { type: "INVALID_INPUT", message: expect.stringMatching(/^the output of task charge is wrong: id: /) },
  });
  expect(asked).toBe(1);
});

test("attempts go on for ever unless the policy says otherwise, and leave nothing in the history", async () => {
  let attempts = 0;
  const env = lab(paying, {
    tasks: {
      charge: ({ attempt }) => {
        attempts = attempt;
        if (attempt < 9) throw new Error("the bank is closed");
        return { id: "c-9" };
      },
    },
  });
  const run = await env.start(paying, 1);
  expect(await run.result()).toEqual({ id: "c-9" });
  expect(attempts).toBe(9);
  // 1 + 2 + 4 + … + 64 seconds, and then no more than 100 between two.
  expect(env.now.getTime() - Date.UTC(2025, 0, 1)).toBe((127 + 100) * 1_000);
  expect(await typesOf(run)).toHaveLength(6);
});

test("what ends a task for good arrives with its reason and with why there was no further attempt", async () => {
  const env = lab(caught, {
    tasks: {
      charge: () => {
        throw new TaskFailure("declined", { type: "Declined", nonRetryable: true, details: { code: 51 } });
      },
    },
  });
  expect(await (await env.start(caught, undefined)).result()).toEqual({
    type: "Declined",
    message: "declined",
    details: { code: 51 },
    retryState: "nonRetryableFailure",
    activityType: "charge",
    after: 0,
  });
  await env.onTask("charge", () => {
    throw new TaskFailure("busy", { type: "Busy" });
  });
  const bounded = await env.start(caught, { retry: { maximumAttempts: 3 } });
  expect(await bounded.result()).toMatchObject({ type: "Busy", retryState: "maximumAttemptsReached", after: 3_000 });
  const listed = await env.start(caught, { retry: { nonRetryableErrorTypes: ["Busy"] } });
  expect(await listed.result()).toMatchObject({ retryState: "nonRetryableFailure", after: 0 });
});

test("a retry that would pass the deadline is not waited for: the real failure comes now", async () => {
  const env = lab(caught, {
    tasks: {
      charge: () => {
        throw new TaskFailure("busy", { type: "Busy" });
      },
    },
  });
  // Attempts at 0, 1 and 3 seconds; the next would be at 7.
  const run = await env.start(caught, { timeouts: { scheduleToClose: "6s" } });
  expect(await run.result()).toMatchObject({ type: "Busy", retryState: "timeout", after: 3_000 });
});

test("an agent that hangs times out: each attempt by startToClose, all of them by scheduleToClose", async () => {
  const env = lab(caught, { tasks: { charge: "hang" } });
  const each = await env.start(caught, { retry: { maximumAttempts: 2 } });
  expect(await each.result()).toMatchObject({ timeout: "startToClose", after: 121_000 });
  const all = await env.start(caught, { timeouts: { scheduleToClose: "5m" } });
  expect(await all.result()).toMatchObject({ timeout: "scheduleToClose", retryState: "timeout", after: 300_000 });
  expect(await typesOf(all)).toContain("ActivityTaskTimedOut");
});

test("a task that no agent takes times out by scheduleToStart, which scheduleToClose implies", async () => {
  const env = lab(caught);
  const start = await env.start(caught, { timeouts: { scheduleToStart: "2m" } });
  expect(await start.result()).toMatchObject({ timeout: "scheduleToStart", after: 120_000 });
  const close = await env.start(caught, { timeouts: { scheduleToClose: "3m" } });
  expect(await close.result()).toMatchObject({ timeout: "scheduleToStart", after: 180_000 });
});

test("heartbeats keep an attempt alive; its successor is given what the last one said", async () => {
  const details: unknown[] = [];
  const env = lab(caught, {
    tasks: {
      charge: async ({ attempt, heartbeatDetails, progress }) => {
        details.push(heartbeatDetails);
        for (let page = 1; page <= 3; page += 1) {
          await env.sleep("20s");
          progress({ attempt, page });
        }
        if (attempt === 1) await env.sleep("10h");
        return { id: `attempt ${attempt}` };
      },
    },
  });
  const run = await env.start(caught, { heartbeat: "30s", timeouts: { startToClose: "9h" } });
  expect(await run.result()).toEqual({ id: "attempt 2" });
  expect(details).toEqual([undefined, { attempt: 1, page: 3 }]);
  // Three pages, half a minute of silence, a second of back-off, three pages.
  expect(env.now.getTime() - Date.UTC(2025, 0, 1)).toBe(60_000 + 30_000 + 1_000 + 60_000);
});

test("a task goes to an agent that has what it needs, and waits where there is none", async () => {
  const render = task("render", { needs: ["render", "gpu"], timeouts: { startToClose: "1m" } });
  const rendering = workflow("rendering", {}, async (ctx) => await ctx.task(render));
  const env = lab(rendering);
  const run = await env.start(rendering, undefined);
  expect(await run.describe()).toMatchObject({ state: "running", reason: expect.stringMatching(/render, gpu|gpu/) });
  await env.onTask("render", () => "a picture");
  expect(await run.result()).toBe("a picture");
});

test("what a call says replaces what the task declares, time-out by time-out", async () => {
  const env = lab(caught, { tasks: { charge: () => ({ id: "c" }) } });
  const run = await env.start(caught, { timeouts: { scheduleToClose: "1h" }, priority: "high", metadata: { a: 1 } });
  await run.result();
  expect(await eventOf(run, "ActivityTaskScheduled")).toMatchObject({
    startToCloseMs: 60_000,
    scheduleToCloseMs: 3_600_000,
    priority: "high",
    metadata: { a: 1 },
    retry: { initialIntervalMs: 1_000 },
  });
});

test("a task without a declaration is asked for by its name", async () => {
  const loose = workflow("loose", {}, async (ctx) => await ctx.task("anything", [1, 2]));
  const env = lab(loose, { tasks: { anything: (_, input) => ({ got: input }) } });
  expect(await (await env.start(loose, undefined)).result()).toEqual({ got: [1, 2] });
});

test("the input is what it was when the task was asked for", async () => {
  const batch = workflow("batch", {}, async (ctx) => {
    const items: number[] = [];
    const asked: Promise<unknown>[] = [];
    for (const item of [1, 2, 3]) {
      items.push(item);
      asked.push(ctx.task("count", items));
    }
    return await Promise.all(asked);
  });
  const env = lab(batch, { tasks: { count: (_, input) => (input as unknown[]).length } });
  expect(await (await env.start(batch, undefined)).result()).toEqual([1, 2, 3]);
});

test("what is not JSON fails the run where it is handed over", async () => {
  const odd = workflow("odd", { input: z.string() }, async (ctx, how) => {
    const circle: Record<string, unknown> = {};
    circle["itself"] = circle;
    if (how === "task") await ctx.task("any", { n: 1n });
    if (how === "child") await ctx.child("any", circle);
    if (how === "signal") await ctx.external("w-1").signal("any", () => 1);
    if (how === "next") ctx.continueAsNew(circle as never);
    return circle;
  });
  const env = lab(odd);
  for (const [how, what] of [
    ["task", "the input of task any"],
    ["child", "the input of child any"],
    ["signal", "the input of signal any"],
    ["next", "the input of the next run"],
    ["output", "what workflow odd returned"],
  ]) {
    const failure = await failureOf(await env.start(odd, String(how)));
    expect(failure).toMatchObject({ type: "INVALID_INPUT", message: expect.stringMatching(`^${what} is not JSON: `) });
  }
});
