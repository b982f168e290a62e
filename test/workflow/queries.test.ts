import { expect, test } from "vitest";
import { z } from "zod";
import { QueryFailedError } from "../../src/client/message-failed.js";
import { workflow } from "../../src/index.js";
import { lab, typesOf } from "./lab.js";

const declared = {
  signals: { add: z.number() },
  queries: {
    total: { output: z.number() },
    plus: { input: z.object({ more: z.number() }), output: z.number() },
    never: {},
  },
} as const;

const adding = workflow("adding", declared, async (ctx) => {
  let total = 0;
  ctx.onQuery("total", () => total);
  ctx.onQuery("plus", ({ more }) => total + more);
  ctx.onSignal("add", (n) => {
    total += n;
  });
  await ctx.condition(() => total >= 10);
  return total;
});

test("a query sees everything that was accepted before it, and leaves nothing", async () => {
  const env = lab(adding);
  const run = await env.start(adding, undefined);
  const added = run.signal("add", 4);
  const seen = run.query("total");
  await added;
  expect(await seen).toBe(4);
  const before = await typesOf(run);
  expect(await run.query("plus", { more: 2 })).toBe(6);
  expect(await typesOf(run)).toEqual(before);
});

test("a workflow that has ended still answers", async () => {
  const env = lab(adding);
  const run = await env.start(adding, undefined);
  await run.signal("add", 12);
  expect(await run.result()).toBe(12);
  expect(await run.query("total")).toBe(12);
  await env.deploy([adding]);
  expect(await run.query("total")).toBe(12);
});

test("one that was terminated, or timed out, still answers", async () => {
  const env = lab(adding);
  const terminated = await env.start(adding, undefined);
  await terminated.signal("add", 3);
  await terminated.terminate();
  expect(await terminated.query("total")).toBe(3);
  const late = await env.start(adding, undefined, { runTimeout: "1h" });
  await late.wait();
  expect(await late.query("total")).toBe(0);
});

test("an unknown query is refused with the names of those that are known", async () => {
  const env = lab(adding);
  const run = await env.start(adding, undefined);
  const asked = run.query("never");
  await expect(asked).rejects.toThrow(QueryFailedError);
  await expect(asked).rejects.toMatchObject({
    failure: {
      type: "QUERY_NOT_REGISTERED",
      message: 'the workflow has no handler for query "never"; it has: total, plus',
    },
  });
});

test("a wrong input is refused with the field that is wrong", async () => {
  const env = lab(adding);
  const run = await env.start(adding, undefined);
  await expect(run.query("plus", { more: "x" } as never)).rejects.toThrow(/more/);
  await expect(env.workflow(run.workflowId).query("plus", { more: "x" })).rejects.toMatchObject({
    failure: { type: "INVALID_INPUT", message: expect.stringMatching(/^the input of query plus is wrong: more: /) },
  });
});

test("a handler that is asynchronous is an error, and does no harm", async () => {
  const slow = workflow("slow", { queries: { slow: {} }, signals: { end: z.void() } }, async (ctx) => {
    ctx.onQuery("slow", (async () => {
      await ctx.sleep("1h");
    }) as never);
    await ctx.signal("end");
  });
  const env = lab(slow);
  const run = await env.start(slow, undefined);
  await expect(run.query("slow")).rejects.toMatchObject({ failure: { type: "QUERY_ASYNC" } });
  await run.signal("end");
  await run.result();
  expect(await typesOf(run)).not.toContain("TimerStarted");
});

test("a query that asks for something is told so, and gets nothing", async () => {
  const greedy = workflow("greedy", { queries: { ask: {}, time: {} }, signals: { end: z.void() } }, async (ctx) => {
    ctx.onQuery("ask", () => {
      void ctx.step("from a query", () => 1);
    });
    ctx.onQuery("time", () => {
      setTimeout(() => undefined, 1);
    });
    await ctx.signal("end");
  });
  const env = lab(greedy);
  const run = await env.start(greedy, undefined);
  const misuse = { failure: { type: "ContextMisuseError" } };
  await expect(run.query("ask")).rejects.toMatchObject(misuse);
  await expect(run.query("time")).rejects.toMatchObject(misuse);
  await run.signal("end");
  await run.result();
  expect(await typesOf(run)).toHaveLength(5);
});

test("a query meets no condition and draws nothing that the code would have drawn", async () => {
  const open = { queries: { meddle: {} }, signals: { end: z.void() } };
  const meddled = workflow("meddled", open, async (ctx) => {
    let met = false;
    ctx.onQuery("meddle", () => {
      met = true;
      return [Math.random(), crypto.randomUUID()];
    });
    const first = await Promise.race([
      ctx.condition(() => met).then(() => "met"),
      ctx.signal("end").then(() => "signalled"),
    ]);
    // A replay, which no query comes to, would draw another name.
    await ctx.step(`step ${Math.random()}`, () => undefined);
    return first;
  });
  const env = lab(meddled);
  const run = await env.start(meddled, undefined);
  await run.query("meddle");
  await run.signal("end");
  expect(await run.result()).toBe("signalled");
});

test("a query of a workflow whose code is nowhere is not answered", async () => {
  const env = lab(adding);
  const run = await env.start(adding, undefined);
  await env.deploy([]);
  await expect(run.query("total")).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
  await env.deploy([adding]);
  expect(await run.query("total")).toBe(0);
});
