/** JSON has no undefined. What code gives that gives nothing, as its readers get it. */
import { task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const maybe = z.string().optional();
const finish = { signals: { finish: z.void() } } as const;

test.each([
  ["z.void()", z.void()],
  ["optional", maybe],
])("a task, a child and a workflow with an output that is %s may give nothing", async (_, output) => {
  const note = task("note", { output });
  const child = workflow("child", { output }, () => Promise.resolve(undefined));
  const parent = workflow("parent", { output }, async (ctx) => {
    const given = [await ctx.task(note), await ctx.child(child, undefined)];
    expect(given).toEqual([undefined, undefined]);
    return given[0];
  });
  const environment = testEnvironment({ workflows: [parent, child], tasks: { note: () => undefined } });
  expect(await (await environment.start(parent, undefined)).result()).toBeUndefined();
});

test("so may a query and an update", async () => {
  const silent = workflow(
    "silent",
    { ...finish, queries: { ask: { output: maybe } }, updates: { change: { output: z.void() } } },
    async (ctx) => {
      ctx.onQuery("ask", () => undefined);
      ctx.onUpdate("change", () => undefined);
      await ctx.signal("finish");
    },
  );
  const environment = testEnvironment({ workflows: [silent] });
  const run = await environment.start(silent, undefined);
  expect(await run.query("ask")).toBeUndefined();
  expect(await run.update("change")).toBeUndefined();
});

test("null stays null where the schema takes it, and where there is none: a step that gives nothing gives null", async () => {
  const nullable = workflow("nullable", { output: z.array(z.string().nullish()) }, async (ctx) => [
    await ctx.task(task("find", { output: z.string().nullish() })),
    await ctx.step("look", () => undefined),
  ]);
  const environment = testEnvironment({ workflows: [nullable], tasks: { find: () => undefined } });
  expect(await (await environment.start(nullable, undefined)).result()).toEqual([null, null]);
});
