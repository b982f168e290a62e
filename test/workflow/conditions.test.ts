import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { failureOf, lab, typesOf } from "./lab.js";

const signals = { count: z.number() };

test("a condition with a time-out says whether it became true in time, and takes back its timer", async () => {
  const waiting = workflow("waiting", { signals }, async (ctx) => {
    let count = 0;
    ctx.onSignal("count", (given) => {
      count = given;
    });
    const met = await ctx.condition(() => count > 2, "1h");
    return { met, after: Date.now() - ctx.info.startedAt.getTime() };
  });
  const env = lab(waiting);
  const run = await env.start(waiting, undefined);
  await run.signal("count", 1);
  await env.sleep("30m");
  await run.signal("count", 3);
  expect(await run.result()).toEqual({ met: true, after: 1_800_000 });
  expect(await typesOf(run)).toContain("TimerCanceled");

  const left = await env.start(waiting, undefined);
  expect(await left.result()).toEqual({ met: false, after: 3_600_000 });
  expect(await typesOf(left)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "TimerStarted",
    "TimerFired",
    "WorkflowTaskCompleted",
    "WorkflowExecutionCompleted",
  ]);
});

test("one that holds already asks for no timer", async () => {
  const sure = workflow("sure", {}, async (ctx) => await ctx.condition(() => true, "1h"));
  const env = lab(sure);
  const run = await env.start(sure, undefined);
  expect(await run.result()).toBe(true);
  expect(await typesOf(run)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowExecutionCompleted",
  ]);
});

test("conditions that one of them makes true are met in the same activation", async () => {
  const chain = workflow("chain", { signals }, async (ctx) => {
    let stage = 0;
    const next = async (after: number) => {
      await ctx.condition(() => stage === after);
      stage += 1;
    };
    ctx.onSignal("count", () => {
      stage = 1;
    });
    await Promise.all([next(3), next(2), next(1)]);
    return stage;
  });
  const env = lab(chain);
  const run = await env.start(chain, undefined);
  await run.signal("count", 1);
  expect(await run.result()).toBe(4);
  expect((await typesOf(run)).filter((type) => type === "WorkflowTaskCompleted")).toHaveLength(2);
});

test("what a condition throws is thrown where it is awaited", async () => {
  const broken = workflow("broken", { signals }, async (ctx) => {
    let count = 0;
    ctx.onSignal("count", (given) => {
      count = given;
    });
    await ctx.condition(() => {
      if (count === 2) throw new RangeError("two is no count");
      return false;
    });
  });
  const env = lab(broken);
  const run = await env.start(broken, undefined);
  await run.signal("count", 2);
  expect(await failureOf(run)).toMatchObject({ type: "RangeError", message: "two is no count" });
});

test("a condition is given up when its scope is cancelled", async () => {
  const hopeless = workflow("hopeless", {}, async (ctx) => {
    await ctx.withTimeout("1m", () => ctx.condition(() => false));
  });
  const env = lab(hopeless);
  const run = await env.start(hopeless, undefined);
  expect(await failureOf(run)).toMatchObject({ type: "CANCELLED", message: "cancelled after 60000 ms" });
});
