import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { QueryFailedError } from "../../src/client/run-handle.js";
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

test("a query asks for nothing, meets no condition and draws nothing", async () => {
  const greedy = workflow("greedy", { queries: { ask: {}, meet: {} }, signals: { end: z.void() } }, async (ctx) => {
    let met = false;
    const drawn = [Math.random()];
    ctx.onQuery("ask", () => {
      Math.random();
      crypto.randomUUID();
      void ctx.step("from a query", () => 1);
    });
    ctx.onQuery("meet", () => {
      met = true;
      return Math.random();
    });
    const condition = ctx.condition(() => met).then(() => "met");
    const first = await Promise.race([condition, ctx.signal("end").then(() => "signalled")]);
    drawn.push(Math.random());
    return { first, drawn };
  });
  const env = lab(greedy);
  const asked = await env.start(greedy, undefined);
  await expect(asked.query("ask")).resolves.toBe(null);
  await asked.query("meet");
  await asked.signal("end");
  const { first } = (await asked.result()) as { first: string };
  // The signal's activation looks at conditions, the query's did not.
  expect(first).toBe("signalled");
  expect(await typesOf(asked)).not.toContain("StepScheduled");
  expect(await typesOf(asked)).toHaveLength(5);
});

test("a query of a workflow whose code is nowhere is not answered", async () => {
  const env = lab(adding);
  const run = await env.start(adding, undefined);
  await env.deploy([]);
  await expect(run.query("total")).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
  await env.deploy([adding]);
  expect(await run.query("total")).toBe(0);
});
