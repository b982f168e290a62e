import { expect, test } from "vitest";
import { z } from "zod";
import { Deferred } from "../../src/deferred.js";
import { workflow } from "../../src/index.js";
import type { WorkflowContext } from "../../src/workflow/context.js";
import { lab, typesOf } from "./lab.js";

const declared = { signals: { go: z.string() } } as const;

test("an Error fails the run; what only a deployment heals holds it", async () => {
  for (const [thrown, state] of [
    [() => new Error("plain"), "failed"],
    [() => new RangeError("plain"), "failed"],
    [() => new TypeError("x is not a function"), "stuck"],
    [() => new ReferenceError("x is not defined"), "stuck"],
    [() => new SyntaxError("unexpected x"), "stuck"],
  ] as const) {
    const throwing = workflow("throwing", {}, async () => {
      await Promise.resolve();
      throw thrown();
    });
    const healed = workflow("throwing", {}, async () => await Promise.resolve("healed"));
    const env = lab(throwing);
    const run = await env.start(throwing, undefined);
    expect(await run.describe(), thrown().name).toMatchObject({ state });
    if (state === "failed") continue;
    await env.deploy([healed]);
    expect(await run.result()).toBe("healed");
  }
});

test("a stuck run says why, is tried again with growing pauses, loses nothing, and goes on once healed", async () => {
  let tries = 0;
  const broken = workflow("shop", declared, async (ctx) => {
    await ctx.step("before", () => "done");
    const order = await ctx.signal("go");
    tries += 1;
    return (order as unknown as { missing: { field: string } }).missing.field;
  });
  const mended = workflow("shop", declared, async (ctx) => {
    await ctx.step("before", () => "done again");
    return await ctx.signal("go");
  });
  const env = lab(broken);
  const run = await env.start(broken, undefined);
  await run.signal("go", "an order");
  // Once more at once, then after 10, 20, 40 seconds and so on.
  expect(tries).toBe(2);
  await env.sleep("9s");
  expect(tries).toBe(2);
  await env.sleep("2s");
  expect(tries).toBe(3);
  await env.sleep("1h");
  expect(tries).toBeLessThan(14);
  expect(await run.describe()).toMatchObject({
    state: "stuck",
    reason: expect.stringMatching(/^is stuck since 1 h \(WORKFLOW_TASK_FAILED: TypeError: Cannot read properties/),
  });
  const before = await typesOf(run);
  await expect(run.result()).rejects.toMatchObject({ code: "NOT_READY", message: expect.stringMatching(/mended/) });
  await env.deploy([mended]);
  expect(await run.result()).toBe("an order");
  expect((await typesOf(run)).slice(0, before.length)).toEqual(before);
});

test("code that differs from the history is told both sides", async () => {
  const first = workflow("shop", declared, async (ctx) => {
    await ctx.sleep("1m");
    await ctx.signal("go");
    return "first";
  });
  const second = workflow("shop", declared, async (ctx) => {
    await ctx.step("something new", () => 1);
    await ctx.signal("go");
    return "second";
  });
  const env = lab(first);
  const run = await env.start(first, undefined);
  await env.deploy([second]);
  await run.signal("go", "x");
  expect(await run.describe()).toMatchObject({
    state: "stuck",
    reason: expect.stringMatching(
      /NONDETERMINISM: at event 3 the history has TimerStarted \(seq 1\), but the code asked for StepScheduled \(seq 1, name "something new"\)\. Usual causes: /,
    ),
  });
  await env.deploy([first]);
  expect(await run.result()).toBe("first");
});

test("a workflow that no worker knows waits for one; one whose type its worker does not know is stuck", async () => {
  const known = workflow("known", {}, async () => await Promise.resolve("done"));
  const env = lab([]);
  const run = await env.start("known");
  expect(await run.describe()).toMatchObject({ state: "running", reason: expect.stringMatching(/workflow:known/) });
  await env.deploy([known]);
  expect(await run.result()).toBe("done");
});

test("a stuck run can be cancelled, which waits for its code, or terminated, which does not", async () => {
  const broken = workflow("broken", {}, async () => {
    await Promise.resolve();
    throw new TypeError("broken");
  });
  const env = lab(broken);
  const run = await env.start(broken, undefined);
  await run.cancel();
  expect(await run.describe()).toMatchObject({ state: "stuck" });
  await run.terminate();
  expect(await run.wait()).toMatchObject({ state: "terminated" });
});

test("a promise that fails and that nobody awaits is code like the rest", async () => {
  // Its errors are Node's affair too, so it runs in a process of its own: test/worker.
  const floating = workflow("floating", {}, async (ctx) => {
    void ctx.step("fails", () => Promise.reject(new Error("lost")), { retry: { maximumAttempts: 1 } });
    void ctx.task("nobody does this", 1, { timeouts: { scheduleToClose: "1m" } });
    await ctx.sleep("1h");
    return "went on";
  });
  const env = lab(floating);
  expect(await (await env.start(floating, undefined)).result()).toBe("went on");
});

test("code that waits for what no history will have is held, and told so", async () => {
  const outside = workflow("outside", {}, async () => {
    // As the network would.
    await new Promise(() => undefined);
  });
  const mended = workflow("outside", {}, async () => await Promise.resolve("mended"));
  const env = lab(outside);
  const run = await env.start(outside, undefined);
  await expect(run.result()).rejects.toThrow(/waits for nothing that its history will ever have/);
  await env.deploy([mended]);
  expect(await run.result()).toBe("mended");
});

test("code that goes on outside of an activation is held too", async () => {
  const straying = workflow("straying", declared, async (ctx) => {
    ctx.onSignal("go", () => undefined);
    await answered.promise;
    await ctx.sleep("1m").catch(() => strayed.resolve());
    return "strayed";
  });
  const answered = new Deferred();
  const strayed = new Deferred();
  const env = lab(straying);
  const run = await env.start(straying, undefined);
  answered.resolve();
  await strayed.promise;
  expect(env.logged).toContainEqual(
    expect.objectContaining({
      what: "a wait for what is not in its history",
      where: expect.stringMatching(/stuck\.test\.ts:\d+/),
    }),
  );
  await run.signal("go", "x");
  expect(env.logged).toContainEqual(
    expect.objectContaining({
      msg: "a workflow's code cannot go on; its run is held",
      err: expect.objectContaining({ message: expect.stringMatching(/asked for something outside of an activation/) }),
    }),
  );
  await env.deploy([
    workflow("straying", declared, async (ctx) => {
      ctx.onSignal("go", () => undefined);
      await ctx.condition(() => false);
    }),
  ]);
  expect(await run.describe()).toMatchObject({ state: "running" });
});

test.each([
  [
    "a condition that always holds",
    async (ctx: Pick<WorkflowContext, "condition">) => {
      for (;;) await ctx.condition(() => true);
    },
  ],
  [
    "conditions that make each other true",
    async (ctx: Pick<WorkflowContext, "condition">) => {
      let turn = 0;
      const player = async (mine: number) => {
        for (;;) {
          await ctx.condition(() => turn % 2 === mine);
          turn += 1;
        }
      };
      await Promise.all([player(0), player(1)]);
    },
  ],
])("code that goes round for ever in one activation is held: %s", async (_what, code) => {
  const spinning = workflow("spinning", {}, code);
  const env = lab(spinning);
  const run = await env.start(spinning, undefined);
  await expect(run.result()).rejects.toThrow(/went on from conditions 20000 times in one activation/);
  await env.deploy([workflow("spinning", {}, async () => await Promise.resolve("mended"))]);
  expect(await run.result()).toBe("mended");
});
