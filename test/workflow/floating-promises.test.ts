import { afterEach, beforeEach, expect, test } from "vitest";
import { workflow } from "../../src/index.js";
import { failureOf, lab } from "./lab.js";

/** Vitest's own, which would take these rejections for mistakes of a test. */
let others: NodeJS.UnhandledRejectionListener[] = [];

beforeEach(async () => {
  // Puts the engine's in its place.
  lab([]);
  others = process.listeners("unhandledRejection").filter(({ name }) => name !== "takeUnhandled");
  for (const listener of others) process.off("unhandledRejection", listener);
  await Promise.resolve();
});

afterEach(() => {
  for (const listener of others) process.on("unhandledRejection", listener);
});

function floating(reason: () => unknown) {
  return workflow("floating", {}, async (ctx) => {
    await ctx.sleep("1m");
    void (async () => {
      await ctx.step("before", () => 1);
      throw reason();
    })();
    await ctx.sleep("1h");
    return "went on";
  });
}

test("an Error that nobody awaits fails the run, as one that its code throws", async () => {
  const careless = floating(() => new RangeError("lost"));
  const env = lab(careless);
  expect(await failureOf(await env.start(careless, undefined))).toMatchObject({ type: "RangeError", message: "lost" });
});

test("a mistake of the code holds it", async () => {
  const careless = floating(() => new TypeError("not a function"));
  const env = lab(careless);
  const run = await env.start(careless, undefined);
  await expect(run.result()).rejects.toThrow(/stuck .* TypeError: not a function/);
  const mended = floating(() => new RangeError("lost"));
  await env.deploy([mended]);
  await failureOf(run);
});

test("what a cancellation reached ends nothing but itself", async () => {
  const tidy = workflow("tidy", {}, async (ctx) => {
    void ctx.sleep("2h").then(() => "never");
    await ctx.sleep("1h").catch(() => ctx.nonCancellable(() => ctx.sleep("1m")));
    return "tidied up";
  });
  const env = lab(tidy);
  const run = await env.start(tidy, undefined);
  await run.cancel();
  expect(await run.result()).toBe("tidied up");
});

test("outside of workflow code it ends the process, as it always did", async () => {
  const uncaught = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  try {
    const ended = new Promise((resolve) => process.once("uncaughtException", resolve));
    void Promise.reject(new Error("nobody's"));
    await expect(ended).resolves.toMatchObject({ message: "nobody's" });
  } finally {
    for (const listener of uncaught) process.on("uncaughtException", listener);
  }
});
