import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { lab, typesOf } from "./lab.js";

const slow = workflow("slow", { input: z.string() }, async (ctx, how) => {
  const after = async (minutes: number, value: string): Promise<string> => {
    await ctx.sleep(minutes * 60_000);
    if (value.startsWith("!")) throw new Error(value);
    return value;
  };
  const begun = Date.now();
  const timed = async (promise: Promise<unknown>) => {
    const end = await promise.then(
      (value) => ({ value }),
      (reason: unknown) => ({
        reason:
          reason instanceof AggregateError
            ? reason.errors.map((error: Error) => error.message)
            : (reason as Error).message,
      }),
    );
    return { ...end, after: (Date.now() - begun) / 60_000 };
  };
  switch (how) {
    case "all":
      return await timed(Promise.all([after(3, "a"), after(1, "b"), after(2, "c")]));
    case "all failing":
      return await timed(Promise.all([after(3, "a"), after(1, "!b")]));
    case "race":
      return await timed(Promise.race([after(3, "a"), after(1, "b")]));
    case "any":
      return await timed(Promise.any([after(1, "!a"), after(2, "b"), after(3, "c")]));
    case "any failing":
      return await timed(Promise.any([after(1, "!a"), after(2, "!b")]));
    default:
      return await timed(
        Promise.allSettled([after(1, "!a"), after(2, "b")]).then((ends) => ends.map(({ status }) => status)),
      );
  }
});

test.each([
  ["all", { value: ["a", "b", "c"], after: 3 }],
  ["all failing", { reason: "!b", after: 1 }],
  ["race", { value: "b", after: 1 }],
  ["any", { value: "b", after: 2 }],
  ["any failing", { reason: ["!a", "!b"], after: 2 }],
  ["allSettled", { value: ["rejected", "fulfilled"], after: 2 }],
])("Promise.%s waits for what it should, and replays", async (how, expected) => {
  const env = lab(slow);
  expect(await (await env.start(slow, how)).result()).toEqual(expected);
});

test("a hundred steps and tasks at once are asked for in one activation and joined", async () => {
  const wide = workflow("wide", {}, async (ctx) => {
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    const parts = await Promise.all([
      ...numbers.map((n) => ctx.step(`step ${n}`, () => n)),
      ...numbers.map((n) => ctx.task("double", n)),
    ]);
    return (parts as number[]).reduce((sum, n) => sum + n, 0);
  });
  const env = lab(wide, { tasks: { double: (_, n) => (n as number) * 2 } });
  const run = await env.start(wide, undefined);
  expect(await run.result()).toBe(1_225 + 2_450);
  const [, , ...commands] = await typesOf(run);
  expect(commands.slice(0, 100)).toEqual([
    ...Array.from({ length: 50 }, () => "StepScheduled"),
    ...Array.from({ length: 50 }, () => "ActivityTaskScheduled"),
  ]);
});

test("a promise that nobody looks at again, and that fails, is no reason to end the run", async () => {
  const short = workflow("short", {}, async (ctx) => await ctx.sleep("1h"));
  const careless = workflow("careless", {}, async (ctx) => {
    void ctx.task("fails", 1, { retry: { maximumAttempts: 1 } });
    void ctx.child(short, undefined, { runTimeout: "1m" });
    void ctx.external("nobody").signal("x");
    await ctx.sleep("1h");
    return "went on";
  });
  const env = lab([careless, short], {
    tasks: {
      fails: () => {
        throw new Error("failed");
      },
    },
  });
  expect(await (await env.start(careless, undefined)).result()).toBe("went on");
});
