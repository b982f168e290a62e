import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { eventOf, failureOf, lab, typesOf } from "./lab.js";

const counting = workflow(
  "counting",
  { input: z.number(), output: z.unknown(), signals: { add: z.number() }, queries: { n: {} } },
  async (ctx, n) => {
    ctx.onQuery("n", () => n);
    if (n < 3) {
      await ctx.sleep("1h");
      ctx.continueAsNew(n + 1);
    }
    const { memo, searchAttributes, attempt, firstExecutionRunId, continuedFromRunId, runId, historyLength } = ctx.info;
    return {
      n,
      memo,
      searchAttributes,
      attempt,
      isFirst: runId === firstExecutionRunId,
      continued: continuedFromRunId !== undefined,
      historyLength,
    };
  },
);

test("the chain goes on under the same id, with what is carried over and an empty history", async () => {
  const env = lab(counting);
  const run = await env.start(counting, 0, { memo: { who: "me" }, searchAttributes: { tier: 2 } });
  expect(await run.result()).toEqual({
    n: 3,
    memo: { who: "me" },
    searchAttributes: { tier: 2 },
    attempt: 1,
    isFirst: false,
    continued: true,
    historyLength: 1,
  });
  expect(await typesOf(run)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowExecutionCompleted",
  ]);
  expect(env.now.getTime() - Date.UTC(2025, 0, 1)).toBe(3 * 3_600_000);
});

test("what is given anew replaces what would be carried over", async () => {
  const next = workflow("next", { input: z.string() }, async (ctx, input) => {
    await Promise.resolve();
    return { input, memo: ctx.info.memo, type: ctx.info.workflowType, searchAttributes: ctx.info.searchAttributes };
  });
  const first = workflow("first", {}, async (ctx) => {
    ctx.upsertMemo({ more: true });
    ctx.upsertSearchAttributes({ tier: 3 });
    await ctx.sleep(1);
    return ctx.continueAsNew("from first", { workflowType: "next", memo: { only: "this" } });
  });
  const env = lab([first, next]);
  const run = await env.start(first, undefined, { memo: { who: "me" } });
  expect(await run.result()).toEqual({
    input: "from first",
    type: "next",
    memo: { only: "this" },
    searchAttributes: { tier: 3 },
  });
});

test("nothing behind it runs, and it may be called from a handler", async () => {
  let behind = 0;
  const handled = workflow("handled", { input: z.number(), signals: { again: z.number() } }, async (ctx, n) => {
    ctx.onSignal("again", (next) => {
      ctx.continueAsNew(next);
      behind += 1;
    });
    if (n === 0) await ctx.sleep("1h");
    return n;
  });
  const env = lab(handled);
  const run = await env.start(handled, 0);
  await run.signal("again", 7);
  expect(await run.result()).toBe(7);
  expect(behind).toBe(0);
});

test("an update that was not accepted goes to the next run", async () => {
  const declared = { input: z.number(), updates: { ask: { output: z.string() } }, signals: { end: z.void() } };
  const moving = workflow("moving", declared, async (ctx, n) => {
    if (n === 0) ctx.continueAsNew(1);
    ctx.onUpdate("ask", () => `answered by run ${n}`);
    await ctx.signal("end");
    return n;
  });
  const env = lab([]);
  const run = await env.start("moving", 0);
  const asked = run.update("ask");
  await env.deploy([moving]);
  expect(await asked).toBe("answered by run 1");
  await run.signal("end");
  expect(await run.result()).toBe(1);
});

test("the execution time-out counts on across the chain", async () => {
  const endless = workflow("endless", {}, async (ctx) => {
    await ctx.sleep("1h");
    return ctx.continueAsNew();
  });
  const env = lab(endless);
  const run = await env.start(endless, undefined, { executionTimeout: "150m" });
  expect(await run.wait()).toMatchObject({ state: "timed_out" });
  expect(await eventOf(run, "WorkflowExecutionTimedOut")).toMatchObject({ timeoutType: "execution" });
  expect(env.now.getTime() - Date.UTC(2025, 0, 1)).toBe(150 * 60_000);
});

test("what was pending is dropped, and a wrong input fails the next run", async () => {
  const strict = workflow("strict", { input: z.number() }, async (ctx) => {
    void ctx.sleep("1y" as never).catch(() => undefined);
    await ctx.sleep("1h");
    return ctx.continueAsNew("text" as never);
  });
  const env = lab(strict);
  const run = await env.start(strict, 0).catch((reason: unknown) => reason as never);
  expect(await failureOf(run)).toMatchObject({ type: "INVALID_INPUT" });
});

test("code that acts on the suggestion to continue as new is told the same in a replay", async () => {
  const long = workflow("long", { signals: { go: z.void() }, queries: { n: {} } }, async (ctx) => {
    ctx.onQuery("n", () => ctx.info.historyLength);
    for (let n = 0; n < 10_240; n += 1) ctx.upsertMemo({ n });
    await ctx.signal("go");
    if (!ctx.info.continueAsNewSuggested) return "too soon";
    await ctx.step("save", () => "what there is");
    await ctx.signal("go");
    return "saved";
  });
  const env = lab(long);
  const run = await env.start(long, undefined);
  await run.signal("go");
  await env.deploy([long]);
  await run.signal("go");
  expect(await run.result()).toBe("saved");
});

test("an update that is asked again when its run has gone on as another one is a new update there", async () => {
  const hourly = workflow("hourly", { updates: { add: { input: z.int(), output: z.int() } } }, async (ctx) => {
    let sum = 0;
    ctx.onUpdate("add", (n) => {
      sum += n;
      return sum;
    });
    await ctx.condition(() => sum > 3);
    await ctx.condition(ctx.allHandlersFinished);
    ctx.continueAsNew();
  });
  const env = lab(hourly);
  const run = await env.start(hourly, undefined);
  expect(await run.update("add", 2, { updateId: "u" })).toBe(2);
  expect(await run.update("add", 2, { updateId: "u" })).toBe(2);
  expect(await run.update("add", 3, { updateId: "v" })).toBe(5);
  expect(await run.update("add", 3, { updateId: "v" })).toBe(3);
});
