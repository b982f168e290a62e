/** Temporal's query features: successful, unknown, unexpected arguments, failing, of closed runs, consistent with what was accepted. */
import { ApplicationFailure, QueryFailedError, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const counter = workflow(
  "counter",
  {
    output: z.number(),
    signals: { add: z.number(), finish: z.undefined() },
    queries: { count: { output: z.number() }, times: { input: z.number(), output: z.number() }, broken: {}, waits: {} },
    updates: { double: { output: z.number() } },
  },
  async (ctx) => {
    let count = 0;
    ctx.onSignal("add", (n) => {
      count += n;
    });
    ctx.onUpdate("double", () => {
      count *= 2;
      return count;
    });
    ctx.onQuery("count", () => count);
    ctx.onQuery("times", (factor) => count * factor);
    ctx.onQuery("broken", () => {
      throw new ApplicationFailure("not today", { type: "Broken", details: { count } });
    });
    ctx.onQuery("waits", () => ctx.sleep("1s"));
    await ctx.signal("finish");
    return count;
  },
);

const environmentOf = (maxCachedRuns: number) => testEnvironment({ workflows: [counter], maxCachedRuns });

it.each([0, 10])("a query sees every signal and update accepted before it, with %d cached runs", async (cached) => {
  const environment = environmentOf(cached);
  const run = await environment.start(counter, undefined);
  for (let n = 1; n <= 50; n += 1) {
    await run.signal("add", 1);
    expect(await run.query("count")).toBe(n);
  }
  expect(await run.update("double")).toBe(100);
  expect(await run.query("times", 3)).toBe(300);
});

it("queries that are asked at once with signals under way all see whole numbers of them, never fewer later", async () => {
  const environment = environmentOf(10);
  const run = await environment.start(counter, undefined);
  const seen: number[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      await run.signal("add", 1);
      seen.push(await run.query("count"));
    }),
  );
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(await run.query("count")).toBe(20);
});

it.each([0, 10])("a closed run answers queries, with %d cached runs", async (cached) => {
  const environment = environmentOf(cached);
  const run = await environment.start(counter, undefined);
  await run.signal("add", 5);
  await run.signal("finish");
  expect(await run.result()).toBe(5);
  expect(await run.query("count")).toBe(5);
});

it.each(["cancel", "terminate"] as const)("a run that ended by %s answers queries", async (how) => {
  const environment = environmentOf(0);
  const run = await environment.start(counter, undefined);
  await run.signal("add", 5);
  await run[how]();
  await run.wait();
  expect(await run.query("count")).toBe(5);
});

it("a query changes nothing: it is not in the history", async () => {
  const environment = environmentOf(10);
  const run = await environment.start(counter, undefined);
  const before = await run.history();
  await run.query("count");
  expect(await run.history()).toEqual(before);
});

it("a query that throws gives its failure to who asked, and the run goes on", async () => {
  const environment = environmentOf(10);
  const run = await environment.start(counter, undefined);
  const fault = await run.query("broken").catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(QueryFailedError);
  expect(fault).toMatchObject({ failure: { type: "Broken", message: "not today", details: { count: 0 } } });
  await run.signal("finish");
  expect(await run.result()).toBe(0);
});

it("a query by a name without a handler says which names there are", async () => {
  const environment = environmentOf(10);
  await environment.start(counter, undefined, { workflowId: "counter-1" });
  const fault = await environment
    .workflow("counter-1")
    .query("nonexistent")
    .catch((error: unknown) => error);
  expect(fault).toMatchObject({ failure: { type: "QUERY_NOT_REGISTERED" } });
  expect((fault as QueryFailedError).failure.message).toContain("count");
});

it("a query whose argument does not fit its schema is refused", async () => {
  const environment = environmentOf(10);
  await environment.start(counter, undefined, { workflowId: "counter-1" });
  for (const argument of [true, undefined]) {
    const fault = await environment
      .workflow("counter-1")
      .query("times", argument)
      .catch((error: unknown) => error);
    expect(fault).toMatchObject({ failure: { type: "INVALID_INPUT" } });
  }
});

it("a query that waits for something is refused, and the run goes on", async () => {
  const environment = environmentOf(10);
  const run = await environment.start(counter, undefined);
  await expect(run.query("waits")).rejects.toBeInstanceOf(QueryFailedError);
  await run.signal("add", 2);
  expect(await run.query("count")).toBe(2);
});

it("a query of a workflow that never was is NOT_FOUND", async () => {
  const environment = environmentOf(10);
  await expect(environment.workflow(counter, "nobody").query("count")).rejects.toMatchObject({ code: "NOT_FOUND" });
});
