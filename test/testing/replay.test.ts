import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { replay, testEnvironment } from "../../src/testing/index.js";

const declared = { input: z.string(), signals: { go: z.void() } } as const;
const first = workflow("trade", declared, async (ctx, what) => {
  await ctx.step("quote", () => what);
  await ctx.signal("go");
  await ctx.task("sell", what);
  return "sold";
});

async function recorded() {
  const env = testEnvironment({ workflows: [first], tasks: { sell: () => "ok" } });
  const run = await env.start(first, "tea");
  await run.signal("go");
  await run.result();
  return await run.history();
}

test("a history replays against the code that wrote it, also when it was a file meanwhile, and as far as it goes", async () => {
  const history = await recorded();
  expect(await replay({ workflows: [first], history })).toEqual({ ok: true });
  const read = JSON.parse(JSON.stringify(history)) as unknown[];
  // What one activation asked for is recorded in one piece.
  for (const length of [1, 4, 6, 8, 9, read.length]) {
    expect(await replay({ workflows: [first], history: read.slice(0, length) })).toEqual({ ok: true });
  }
});

test.each([
  [
    "asks for something else",
    'at event 3 the history has StepScheduled (seq 1, name "quote"), but the code asked for StepScheduled (seq 1, name "offer").',
  ],
  [
    "asks for less",
    'at event 8 the history has ActivityTaskScheduled (seq 2, activityType "sell"), but the code asked for WorkflowExecutionCompleted.',
  ],
  [
    "asks for more",
    'behind event 3, where the history has nothing more, the code asked for StepScheduled (seq 2, name "second quote").',
  ],
  ["breaks", "not a function"],
])("code that %s is told where and how", async (how, message) => {
  const changed = workflow("trade", declared, async (ctx, what) => {
    await Promise.all([
      ctx.step(how === "asks for something else" ? "offer" : "quote", () => what),
      ...(how === "asks for more" ? [ctx.step("second quote", () => what)] : []),
    ]);
    await ctx.signal("go");
    if (how === "breaks") (what as unknown as () => void)();
    if (how !== "asks for less") await ctx.task("sell", what);
    return "sold";
  });
  const outcome = await replay({ workflows: [changed], history: await recorded() });
  expect(outcome).toMatchObject({ ok: false, error: { message: expect.stringContaining(message) } });
});

test("nothing is done in a replay", async () => {
  let done = 0;
  const counting = workflow("trade", declared, async (ctx, what) => {
    await ctx.step("quote", () => {
      done += 1;
    });
    await ctx.signal("go");
    await ctx.task("sell", what);
    return "sold";
  });
  await replay({ workflows: [counting], history: await recorded() });
  expect(done).toBe(0);
});

test("what is no whole history of a known workflow is refused", async () => {
  const history = await recorded();
  await expect(replay({ workflows: [], history })).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringMatching(/workflow "trade"/),
  });
  await expect(replay({ workflows: [first], history: history.slice(1) })).rejects.toMatchObject({ code: "USAGE" });
  const gap = [...history.slice(0, 3), ...history.slice(4)];
  await expect(replay({ workflows: [first], history: gap })).rejects.toThrow(/has no event 4/);
  await expect(replay({ workflows: [first], history: [{ type: "Nonsense" }] })).rejects.toThrow(/event 0/);
});
