import { expect, test } from "vitest";
import { z } from "zod";
import { type AnyWorkflow, type WorkflowDefinition, workflow } from "../../src/index.js";
import type { WorkflowContext } from "../../src/workflow/context.js";
import { lab, typesOf } from "./lab.js";

const declared = { signals: { go: z.void() } } as const;
type Ctx = WorkflowContext<typeof declared>;

function version(code: (ctx: Ctx) => Promise<unknown>): WorkflowDefinition<typeof declared> {
  return workflow("shop", declared, code);
}

/** As it was written first. */
const old = version(async (ctx) => {
  const first = await ctx.step("old way", () => "old");
  await ctx.signal("go");
  return [first, await ctx.step("end", () => "old end")];
});

const patched = version(async (ctx) => {
  const first = ctx.patched("new way")
    ? await ctx.step("new way", () => "new")
    : await ctx.step("old way", () => "old");
  await ctx.signal("go");
  return [first, await ctx.step("end", () => "end")];
});

const deprecated = version(async (ctx) => {
  ctx.deprecatePatch("new way");
  const first = await ctx.step("new way", () => "new");
  await ctx.signal("go");
  return [first, await ctx.step("end", () => "end")];
});

const removed = version(async (ctx) => {
  const first = await ctx.step("new way", () => "new");
  await ctx.signal("go");
  return [first, await ctx.step("end", () => "end")];
});

async function finish(begun: AnyWorkflow, ended: AnyWorkflow): Promise<{ output: unknown; types: string[] }> {
  const env = lab([begun]);
  const run = await env.start(begun as typeof old, undefined);
  await env.deploy([ended]);
  await run.signal("go");
  return { output: await run.result(), types: await typesOf(run) };
}

test("a run that went the old way goes on with it under the patched code", async () => {
  const { output, types } = await finish(old, patched);
  expect(output).toEqual(["old", "end"]);
  expect(types).not.toContain("PatchRecorded");
});

test("a new run goes the new way, notes it once, and does so in a replay", async () => {
  const { output, types } = await finish(patched, patched);
  expect(output).toEqual(["new", "end"]);
  expect(types.filter((type) => type === "PatchRecorded")).toHaveLength(1);
});

test("a deprecated patch is at home in histories that have it, and in those that note its deprecation", async () => {
  expect((await finish(patched, deprecated)).output).toEqual(["new", "end"]);
  const { output, types } = await finish(deprecated, removed);
  expect(output).toEqual(["new", "end"]);
  expect(types).toContain("PatchRecorded");
  expect((await finish(removed, deprecated)).output).toEqual(["new", "end"]);
});

test("a patch that is taken away too early holds the run, and putting it back heals it", async () => {
  const env = lab([patched]);
  const run = await env.start(patched, undefined);
  await env.deploy([removed]);
  await run.signal("go");
  expect(await run.describe()).toMatchObject({
    state: "stuck",
    reason: expect.stringMatching(/NONDETERMINISM.*at event 3 the history has PatchRecorded \(patchId "new way"\)/),
  });
  await env.deploy([patched]);
  expect(await run.result()).toEqual(["new", "end"]);
});

test("a no that was given in a replay is not kept: a loop goes the new way as soon as it is live", async () => {
  const looping = version(async (ctx) => {
    const ways: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      ways.push(await ctx.step("round", () => "old"));
      await ctx.signal("go");
    }
    return ways;
  });
  const loopingPatched = version(async (ctx) => {
    const ways: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      if (ctx.patched("faster")) ways.push(await ctx.step("faster round", () => "new"));
      else ways.push(await ctx.step("round", () => "old"));
      await ctx.signal("go");
    }
    return ways;
  });
  const env = lab([looping]);
  const run = await env.start(looping, undefined);
  await env.deploy([loopingPatched]);
  for (let round = 0; round < 3; round += 1) await run.signal("go");
  // Its replay, which knows the patch from the second round on, is looked at behind this test.
  expect(await run.result()).toEqual(["old", "new", "new"]);
});

test("a patch that was taken stays taken in queries", async () => {
  const asked = workflow("asked", { ...declared, queries: { way: {} } }, async (ctx) => {
    ctx.onQuery("way", () => [ctx.patched("taken"), ctx.patched("never asked for")]);
    ctx.patched("taken");
    await ctx.signal("go");
  });
  const env = lab(asked);
  const run = await env.start(asked, undefined);
  expect(await run.query("way")).toEqual([true, false]);
  await run.signal("go");
  await run.result();
});
