/** After Temporal's sample early-return and its feature tests of updates. */
import { ApplicationFailure, UpdateFailedError, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";

describe("early return", () => {
  const transaction = workflow(
    "transaction",
    {
      output: z.object({ status: z.literal("complete"), finalAmount: z.number() }),
      updates: { confirmation: { output: z.object({ status: z.literal("confirmed") }) } },
    },
    async (ctx) => {
      let confirmed = false;
      ctx.onUpdate("confirmation", async () => {
        await ctx.condition(() => confirmed);
        return { status: "confirmed" };
      });
      await ctx.sleep("500ms");
      confirmed = true;
      await ctx.sleep("5s");
      return { status: "complete" as const, finalAmount: 77 };
    },
  );

  test("the confirmation comes long before the end", async () => {
    const environment = testEnvironment({ workflows: [transaction], maxCachedRuns: 0 });
    const begunAt = environment.now.getTime();
    const run = await environment.start(transaction, undefined, { idConflictPolicy: "fail" });
    expect(await run.update("confirmation")).toEqual({ status: "confirmed" });
    expect(environment.now.getTime() - begunAt).toBe(500);
    expect(await run.result()).toEqual({ status: "complete", finalAmount: 77 });
    expect(environment.now.getTime() - begunAt).toBe(5_500);
  });
});

describe("an update", () => {
  const settable = workflow(
    "settable",
    { output: z.string(), updates: { set: { input: z.string(), output: z.string() } } },
    async (ctx) => {
      let state = "";
      ctx.onUpdate(
        "set",
        (given) => {
          if (given === "unlucky") throw new ApplicationFailure("out of luck", { type: "Unlucky" });
          state = given;
          return "update-result";
        },
        {
          validate: (given) => {
            if (given === "invalid-arg") throw new Error("Invalid Update argument");
          },
        },
      );
      await ctx.condition(() => state !== "");
      return state;
    },
  );

  test("that is rejected leaves no trace; one that fails after that fails its caller and not the run", async () => {
    const environment = testEnvironment({ workflows: [settable] });
    const run = await environment.start(settable, undefined);
    const before = await run.history();
    const rejected = await run.update("set", "invalid-arg").catch((thrown: unknown) => thrown);
    expect(rejected).toBeInstanceOf(UpdateFailedError);
    expect(rejected).toMatchObject({ stage: "rejected", failure: { message: "Invalid Update argument" } });
    expect(await run.history()).toEqual(before);
    await expect(run.update("set", "unlucky")).rejects.toMatchObject({ stage: "failed", failure: { type: "Unlucky" } });
    expect(await run.update("set", "update-arg")).toBe("update-result");
    expect(await run.result()).toBe("update-arg");
  });

  test("is done once for each updateId", async () => {
    const counter = workflow(
      "counter",
      { output: z.int(), queries: { count: { output: z.int() } }, updates: { increment: {}, exit: {} } },
      async (ctx) => {
        let count = 0;
        let exiting = false;
        ctx.onUpdate("increment", () => {
          count += 1;
        });
        ctx.onUpdate("exit", () => {
          exiting = true;
        });
        ctx.onQuery("count", () => count);
        await ctx.condition(() => exiting);
        return count;
      },
    );
    const environment = testEnvironment({ workflows: [counter], maxCachedRuns: 0 });
    const run = await environment.start(counter, undefined);
    await run.update("increment", undefined, { updateId: "u-1" });
    await run.update("increment", undefined, { updateId: "u-1" });
    expect(await run.query("count")).toBe(1);
    await run.update("exit");
    expect(await run.result()).toBe(1);
  });
});

test("whoever starts an update goes on when it is accepted, and asks for its result later, also by its id alone", async () => {
  const slow = workflow(
    "slow",
    { updates: { add: { input: z.int(), output: z.int() } }, signals: { end: z.void() } },
    async (ctx) => {
      let sum = 0;
      ctx.onUpdate(
        "add",
        async (amount) => {
          await ctx.sleep("1h");
          sum += amount;
          return sum;
        },
        {
          validate: (amount) => {
            if (amount < 0) throw new Error("no less than nothing");
          },
        },
      );
      await ctx.signal("end");
    },
  );
  const environment = testEnvironment({ workflows: [slow] });
  const run = await environment.start(slow, undefined);
  const begunAt = environment.now.getTime();
  const update = await run.startUpdate("add", 2, { updateId: "u-1" });
  expect(environment.now.getTime()).toBe(begunAt);
  await expect(run.startUpdate("add", -1)).rejects.toMatchObject({ stage: "rejected" });
  expect(await update.result()).toBe(2);
  expect(environment.now.getTime()).toBe(begunAt + 3_600_000);
  const again = await run.startUpdate("add", 2, { updateId: "u-1" });
  expect(await again.result()).toBe(2);
});
