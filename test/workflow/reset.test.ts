import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { z } from "zod";
import { type AnyWorkflow, task, type WorkflowDefinition, workflow } from "../../src/index.js";
import { replay } from "../../src/testing/index.js";
import type { WorkflowContext } from "../../src/workflow/context.js";
import { lab, typesOf } from "./lab.js";

const declared = {
  signals: { item: z.string(), finish: z.void() },
  queries: { drawn: { output: z.array(z.unknown()) } },
  updates: { rename: { input: z.string(), output: z.string() } },
} as const;
type Ctx = WorkflowContext<typeof declared>;

function basket(code: (ctx: Ctx) => Promise<unknown>): WorkflowDefinition<typeof declared> {
  return workflow("basket", declared, code);
}

/** Takes its decision when it is told to finish: `decide` is what a bug may be in. */
const collecting = (decide: (items: readonly string[]) => string) =>
  basket(async (ctx) => {
    const items: string[] = [];
    const drawn: unknown[] = [Math.random(), crypto.randomUUID(), ctx.info.runId];
    let name = "nobody";
    ctx.onSignal("item", (item) => void items.push(item));
    ctx.onUpdate("rename", (to) => {
      name = to;
      return `renamed to ${to}`;
    });
    ctx.onQuery("drawn", () => drawn);
    await ctx.step("open", () => "opened");
    await ctx.signal("finish");
    drawn.push(Math.random(), crypto.randomUUID(), ctx.info.runId);
    return await ctx.step("decide", () => `${name}: ${decide(items)}`);
  });
const wrong = collecting((items) => `sent back ${items.join()}`);
const right = collecting((items) => `sold ${items.join()}`);

test("a run that decided wrongly decides again by the code that was mended", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.signal("item", "book");
  await run.signal("finish");
  expect(await run.result()).toBe("nobody: sent back book");
  await env.deploy([right]);
  const [oldRun] = await run.history();

  const { runId } = await run.reset({ to: "firstWorkflowTask", reason: "wrong decision" });

  expect(await run.result()).toBe("nobody: sold book");
  expect(runId).not.toBe((oldRun as { runId: string }).runId);
  expect((await run.describe()).run?.runId).toBe(runId);
});

test("what it drew before the point stays as it was, and what it draws behind it is new", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.query("drawn");
  await run.signal("finish");
  await run.result();
  const before = await run.query("drawn");
  const { runId } = await run.reset({ to: "lastWorkflowTask" });
  await run.result();
  const again = await run.query("drawn");
  expect(again.slice(0, 3)).toEqual(before.slice(0, 3));
  expect(before[2]).toBe(before[5]);
  // The last workflow task saw the end of the step: what was drawn when `finish` came is in the copied history.
  expect(again[3]).toBe(before[3]);
  const finish = (await run.history()).find(({ type }) => type === "WorkflowExecutionSignaled")?.eventId ?? 0;
  const third = await run.reset({ to: finish + 1 });
  await run.result();
  const anew = await run.query("drawn");
  expect(anew.slice(0, 3)).toEqual(before.slice(0, 3));
  expect([anew[3] === before[3], anew[4] === before[4]]).toEqual([false, false]);
  expect([anew[2], anew[5]]).toEqual([before[2], third.runId]);
  expect(runId).not.toBe(third.runId);
});

test("signals and updates that came since are seen again, in their order", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.query("drawn");
  await run.signal("item", "book");
  await run.update("rename", "Ann");
  await run.signal("item", "pen");
  await run.reset({ to: "firstWorkflowTask" });
  await run.signal("finish");
  expect(await run.result()).toBe("Ann: sent back book,pen");
  expect(await typesOf(run)).toContain("WorkflowExecutionUpdateAdmitted");
});

test("what came since is left out where that is asked for", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.query("drawn");
  await run.signal("item", "book");
  await run.update("rename", "Ann");
  await run.reset({ to: "firstWorkflowTask", reapply: "updates" });
  await run.signal("finish");
  expect(await run.result()).toBe("Ann: sent back ");
});

test("a child and a task that were under way end in the new run, under its ids and under the old", async () => {
  const weigh = task("weigh", { input: z.int(), output: z.int() });
  const leaf = workflow("leaf", { signals: { go: z.int() } }, (ctx) => ctx.signal("go"));
  const parent = workflow("parent", { signals: { go: z.void() } }, async (ctx) => {
    const ends = Promise.all([ctx.child(leaf, undefined), ctx.task(weigh, 5)]);
    await ctx.signal("go");
    return await ends;
  });
  const env = lab([parent, leaf] as readonly AnyWorkflow[]);
  let weighed = 0;
  await env.onTask("weigh", async (_, input) => {
    weighed += 1;
    return Number(input) * 2;
  });
  const run = await env.start(parent, undefined);
  const initiated = (await run.history()).find(({ type }) => type === "StartChildWorkflowExecutionInitiated");
  await run.signal("go");
  expect((await run.history()).at(-1)).toMatchObject({ type: "WorkflowTaskCompleted" });
  await run.reset({ to: "lastWorkflowTask" });
  if (initiated?.type !== "StartChildWorkflowExecutionInitiated") throw new Error("no child was started");
  await env.workflow(leaf, initiated.workflowId).signal("go", 7);
  expect(await run.result()).toEqual([7, 10]);
  // It had ended before the point.
  expect(weighed).toBe(1);
});

test("code that still differs from what was copied is told so, and the run waits for other code", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.signal("finish");
  await run.result();
  await run.reset({ to: "lastWorkflowTask" });
  await run.result();
  const other = basket(async (ctx) => ctx.step("another", () => "way"));
  expect(await replay({ workflows: [other], history: await run.history() })).toMatchObject({ ok: false });
});

test("asked again with the same id it is the same reset", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.query("drawn");
  const requestId = randomUUID();
  const first = await run.reset({ to: "lastWorkflowTask", requestId });
  expect(await run.reset({ to: "lastWorkflowTask", requestId })).toEqual(first);
});

test("a reset that cannot be is refused with what can", async () => {
  const env = lab(wrong);
  const run = await env.start(wrong, undefined);
  await run.query("drawn");
  await expect(run.reset({ to: 1 })).rejects.toMatchObject({ code: "RESET_REFUSED" });
  await expect(env.workflow(wrong, "nobody").reset({ to: 1 })).rejects.toMatchObject({ code: "NOT_FOUND" });
});
