import { expect, test } from "vitest";
import { z } from "zod";
import { UpdateFailedError } from "../../src/client/message-failed.js";
import { workflow } from "../../src/index.js";
import { ApplicationFailure } from "../../src/workflow/failures.js";
import { lab, typesOf } from "./lab.js";

const declared = {
  signals: { end: z.void() },
  updates: { set: { input: z.number(), output: z.number() }, other: {} },
  queries: { value: { output: z.number() } },
} as const;

let validations = 0;
const holding = workflow("holding", declared, async (ctx) => {
  let value = 0;
  ctx.onQuery("value", () => value);
  ctx.onUpdate(
    "set",
    async (next) => {
      const before = value;
      value = next;
      if (next > 100) await ctx.sleep("1h");
      return before;
    },
    {
      validate: (next) => {
        validations += 1;
        if (next < 0) throw new RangeError(`${next} is below zero`);
      },
    },
  );
  await ctx.signal("end");
  return value;
});

test("an update changes the run and answers", async () => {
  const env = lab(holding);
  const run = await env.start(holding, undefined);
  expect(await run.update("set", 5)).toBe(0);
  expect(await run.update("set", 7)).toBe(5);
  await run.signal("end");
  expect(await run.result()).toBe(7);
  expect((await typesOf(run)).filter((type) => type.includes("Update"))).toEqual([
    "WorkflowExecutionUpdateAccepted",
    "WorkflowExecutionUpdateCompleted",
    "WorkflowExecutionUpdateAccepted",
    "WorkflowExecutionUpdateCompleted",
  ]);
});

test("one that its validator rejects leaves nothing, not even an activation", async () => {
  const env = lab(holding);
  const run = await env.start(holding, undefined);
  const before = await typesOf(run);
  const rejected = run.update("set", -1);
  await expect(rejected).rejects.toThrow(UpdateFailedError);
  await expect(rejected).rejects.toMatchObject({
    stage: "rejected",
    failure: { type: "RangeError", message: "-1 is below zero" },
  });
  expect(await typesOf(run)).toEqual(before);
  expect(await run.query("value")).toBe(0);
});

test("a validator runs once for each update and never in a replay", async () => {
  validations = 0;
  const env = lab(holding, { maxCachedRuns: 0 });
  const run = await env.start(holding, undefined);
  await run.update("set", 1);
  await run.update("set", 2);
  await run.signal("end");
  await run.result();
  expect(validations).toBe(2);
});

test("what a validator changes is not seen by the handler, and it may not ask for anything", async () => {
  const meddled = workflow(
    "meddled",
    { updates: { add: { input: z.object({ items: z.array(z.number()) }) }, ask: {}, slow: {} } },
    async (ctx) => {
      let total = 0;
      ctx.onUpdate("add", ({ items }) => items.length, { validate: ({ items }) => void items.push(99) });
      ctx.onUpdate("ask", () => 1, { validate: () => void ctx.sleep(1) });
      ctx.onUpdate("slow", () => 1, {
        validate: async () => {
          await Promise.reject(new Error("too late"));
        },
      });
      await ctx.condition(() => total > 0);
      total += 1;
    },
  );
  const env = lab(meddled);
  const run = await env.start(meddled, undefined);
  expect(await run.update("add", { items: [1] })).toBe(1);
  await expect(run.update("ask")).rejects.toMatchObject({
    stage: "rejected",
    failure: { type: "ContextMisuseError" },
  });
  await expect(run.update("slow")).rejects.toMatchObject({ stage: "rejected", failure: { type: "VALIDATOR_ASYNC" } });
});

test("one without a handler is rejected at the end of the activation, with the names of those there are", async () => {
  const env = lab(holding);
  const run = await env.start(holding, undefined);
  await expect(run.update("other")).rejects.toMatchObject({
    stage: "rejected",
    failure: {
      type: "UPDATE_NOT_REGISTERED",
      message: 'the workflow has no handler for update "other"; it has: set',
    },
  });
});

test("one whose handler comes in the same activation is delivered", async () => {
  const late = workflow("late", declared, async (ctx) => {
    await Promise.resolve();
    ctx.onUpdate("set", (value) => value * 2);
    await ctx.signal("end");
  });
  const env = lab([]);
  const run = await env.start("late");
  const delivered = run.update("set", 5);
  await env.deploy([late]);
  expect(await delivered).toBe(10);
});

test("one whose handler comes in a later activation is not", async () => {
  const late = workflow("late", declared, async (ctx) => {
    await ctx.step("first", () => 1);
    ctx.onUpdate("set", (value) => value * 2);
    await ctx.signal("end");
  });
  const env = lab([]);
  const run = await env.start("late");
  const rejected = expect(run.update("set", 5)).rejects.toMatchObject({ stage: "rejected" });
  await env.deploy([late]);
  await rejected;
  expect(await run.update("set", 5)).toBe(10);
});

test("the same update id is the same update, with the same outcome", async () => {
  const env = lab(holding);
  const run = await env.start(holding, undefined);
  expect(await run.update("set", 5, { updateId: "u-1" })).toBe(0);
  expect(await run.update("set", 5, { updateId: "u-1" })).toBe(0);
  const slow = [run.update("set", 200, { updateId: "u-2" }), run.update("set", 200, { updateId: "u-2" })];
  expect(await Promise.all(slow)).toEqual([5, 5]);
  await run.signal("end");
  await run.result();
  expect(await run.update("set", 5, { updateId: "u-1" })).toBe(0);
});

test("what a handler throws fails the update and not the run", async () => {
  const picky = workflow("picky", declared, async (ctx) => {
    ctx.onUpdate("set", async (value) => {
      await ctx.sleep(1);
      throw new ApplicationFailure(`${value} is not to my taste`, { type: "Picky", details: { value } });
    });
    ctx.onUpdate("other", () => {
      throw new Error("plain");
    });
    await ctx.signal("end");
    return "went on";
  });
  const env = lab(picky);
  const run = await env.start(picky, undefined);
  await expect(run.update("set", 3)).rejects.toMatchObject({
    stage: "failed",
    failure: { type: "Picky", message: "3 is not to my taste", details: { value: 3 } },
  });
  await expect(run.update("other")).rejects.toMatchObject({ stage: "failed", failure: { message: "plain" } });
  await run.signal("end");
  expect(await run.result()).toBe("went on");
});

test("a wrong output fails the update", async () => {
  const wrong = workflow("wrong", declared, async (ctx) => {
    ctx.onUpdate("set", (() => "text") as never);
    await ctx.signal("end");
  });
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await expect(run.update("set", 1)).rejects.toMatchObject({ stage: "failed", failure: { type: "INVALID_INPUT" } });
  await run.signal("end");
  await run.result();
});

test("an update that a run's end leaves unfinished fails, and the run may wait for it instead", async () => {
  const env = lab(holding);
  const run = await env.start(holding, undefined);
  const unfinished = expect(run.update("set", 200)).rejects.toMatchObject({
    failure: { type: "AcceptedUpdateCompletedWorkflow" },
  });
  await run.signal("end");
  await unfinished;
  expect(await run.result()).toBe(200);

  const polite = workflow("polite", declared, async (ctx) => {
    ctx.onUpdate("set", async (value) => {
      await ctx.sleep("1h");
      return value;
    });
    await ctx.signal("end");
    await ctx.condition(() => ctx.allHandlersFinished());
  });
  await env.deploy([holding, polite]);
  const waited = await env.start(polite, undefined);
  const finished = waited.update("set", 3);
  await waited.signal("end");
  expect(await finished).toBe(3);
  await waited.result();
});

test("continue-as-new from an update's handler closes the run", async () => {
  const renewing = workflow("renewing", { ...declared, input: z.number() }, async (ctx, n) => {
    ctx.onUpdate("set", (value) => ctx.continueAsNew(value));
    if (n > 0) return n;
    await ctx.signal("end");
    return -1;
  });
  const env = lab(renewing);
  const run = await env.start(renewing, 0);
  await expect(run.update("set", 4)).rejects.toMatchObject({
    failure: { type: "AcceptedUpdateCompletedWorkflow" },
  });
  expect(await run.result()).toBe(4);
});

test("what only a deployment heals holds the run, and the update with it", async () => {
  const broken = workflow("holding", declared, async (ctx) => {
    ctx.onUpdate("set", (value) => (undefined as unknown as { x: number }).x + value);
    await ctx.signal("end");
  });
  const env = lab(broken);
  const run = await env.start(broken, undefined);
  await expect(run.update("set", 1, { updateId: "u-1" })).rejects.toMatchObject({
    code: "NOT_READY",
    message: expect.stringMatching(/is stuck until its code is mended .*Cannot read properties of undefined/),
  });
  expect(await run.describe()).toMatchObject({ state: "stuck" });
  await env.deploy([holding]);
  expect(await run.update("set", 1, { updateId: "u-1" })).toBe(0);
  await run.signal("end");
  await run.result();
});

test("a workflow that has ended takes no update", async () => {
  const env = lab(holding);
  const run = await env.start(holding, undefined);
  await run.signal("end");
  await run.result();
  await expect(run.update("set", 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
});
