import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { failureOf, lab, typesOf } from "./lab.js";

const signals = { item: z.number(), done: z.void() };

const collecting = workflow("collecting", { signals }, async (ctx) => {
  const items: number[] = [];
  let done = false;
  ctx.onSignal("item", (item) => {
    items.push(item);
  });
  ctx.onSignal("done", () => {
    done = true;
  });
  await ctx.condition(() => done);
  return items;
});

test("signals are handled in the order in which they came", async () => {
  const env = lab(collecting);
  const run = await env.start(collecting, undefined);
  for (const item of [3, 1, 2]) await run.signal("item", item);
  await run.signal("done");
  expect(await run.result()).toEqual([3, 1, 2]);
});

test("the same signal id is the same signal", async () => {
  const env = lab(collecting);
  const run = await env.start(collecting, undefined);
  await run.signal("item", 1, { signalId: "first" });
  await run.signal("item", 1, { signalId: "first" });
  await run.signal("item", 2, { signalId: "second" });
  await run.signal("done");
  expect(await run.result()).toEqual([1, 2]);
});

test("signals wait for their handler, however late it is set, and are handled in order", async () => {
  const late = workflow("late", { signals }, async (ctx) => {
    await ctx.sleep("1h");
    const items: number[] = [];
    ctx.onSignal("item", (item) => {
      items.push(item);
    });
    return items;
  });
  const env = lab(late);
  const run = await env.start(late, undefined);
  await run.signal("item", 1);
  await env.sleep("10m");
  await run.signal("item", 2);
  expect(await run.result()).toEqual([1, 2]);
});

test("ctx.signal takes one signal after the other, also those that came before it asked", async () => {
  const taking = workflow("taking", { signals }, async (ctx) => {
    await ctx.sleep("1m");
    return [await ctx.signal("item"), await ctx.signal("item"), await ctx.signal("item")];
  });
  const env = lab(taking);
  const run = await env.start(taking, undefined);
  await run.signal("item", 1);
  await run.signal("item", 2);
  await env.sleep("2m");
  await run.signal("item", 3);
  expect(await run.result()).toEqual([1, 2, 3]);
});

test("a handler may wait, while others and the code itself go on", async () => {
  const slow = workflow("slow", { signals }, async (ctx) => {
    const seen: string[] = [];
    ctx.onSignal("item", async (item) => {
      seen.push(`${item} begins`);
      await ctx.sleep(item);
      seen.push(`${item} ends`);
    });
    await ctx.condition(() => seen.length > 0 && ctx.allHandlersFinished());
    return seen;
  });
  const env = lab(slow);
  const run = await env.start(slow, undefined);
  await run.signal("item", 2_000);
  await run.signal("item", 1_000);
  expect(await run.result()).toEqual(["2000 begins", "1000 begins", "1000 ends", "2000 ends"]);
});

test("what a handler throws fails the run, as if its code had thrown it", async () => {
  const strict = workflow("strict", { signals }, async (ctx) => {
    ctx.onSignal("item", (item) => {
      throw new RangeError(`${item} is too many`);
    });
    await ctx.sleep("1h");
  });
  const env = lab(strict);
  const run = await env.start(strict, undefined);
  await run.signal("item", 9);
  expect(await failureOf(run)).toMatchObject({ type: "RangeError", message: "9 is too many" });
});

test("what a handler throws over a signal that waited for it fails the run too", async () => {
  const strict = workflow("strict", { signals }, async (ctx) => {
    await ctx.sleep("1h");
    ctx.onSignal("item", async (item) => {
      await ctx.sleep(1);
      throw new RangeError(`${item} is too many`);
    });
    await ctx.sleep("1h");
  });
  const env = lab(strict);
  const run = await env.start(strict, undefined);
  await run.signal("item", 9);
  expect(await failureOf(run)).toMatchObject({ type: "RangeError", message: "9 is too many" });
});

test("a signal to a workflow that has ended, or never was, is refused", async () => {
  const env = lab(collecting);
  const run = await env.start(collecting, undefined);
  await run.signal("done");
  await run.result();
  await expect(run.signal("item", 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(env.workflow("nobody").signal("item", 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("one that does not fit its schema is refused by the sender's side, with the field that is wrong", async () => {
  const typed = workflow("typed", { signals: { item: z.object({ count: z.number() }) } }, async (ctx) => {
    return await ctx.signal("item");
  });
  const env = lab(typed);
  const run = await env.start(typed, undefined);
  await expect(run.signal("item", { count: "three" } as never)).rejects.toThrow(/count/);
  // Sent by hand it is let pass, and spoken of.
  await env.workflow(run.workflowId).signal("item", { count: "three" });
  await run.signal("item", { count: 3 });
  expect(await run.result()).toEqual({ count: 3 });
  expect(env.logged).toContainEqual(
    expect.objectContaining({ signal: "item", why: expect.stringMatching(/^count: /) }),
  );
});

test("signal-with-start starts once and signals each time", async () => {
  const env = lab(collecting);
  const start = (item: number) =>
    env.start(collecting, undefined, { workflowId: "w-1", signal: { name: "item", input: item } });
  const run = await start(1);
  await start(2);
  await run.signal("done");
  expect(await run.result()).toEqual([1, 2]);
  expect((await typesOf(run)).slice(0, 2)).toEqual(["WorkflowExecutionStarted", "WorkflowExecutionSignaled"]);
});
