/** Temporal's update features: non_durable_reject, validation_replay, deduplication, async_accepted and the SDK's own tests. */
import { ApplicationFailure, task, UpdateFailedError, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const adder = workflow(
  "adder",
  {
    output: z.number(),
    signals: { shutdown: z.undefined() },
    updates: { add: { input: z.number(), output: z.number() } },
  },
  async (ctx) => {
    let counter = 0;
    const add = (i: number) => {
      counter += i;
      return counter;
    };
    ctx.onUpdate("add", add, {
      validate: (i) => {
        if (i < 0) throw new Error(`expected non-negative value (${i})`);
      },
    });
    await ctx.signal("shutdown");
    return counter;
  },
);

const faultOf = (asked: Promise<unknown>) => asked.catch((error: unknown) => error);

describe("an update that is not taken", () => {
  it("is rejected by its validator with the reason, and leaves nothing in the history", async () => {
    const environment = testEnvironment({ workflows: [adder], maxCachedRuns: 0 });
    const run = await environment.start(adder, undefined);
    for (let n = 0; n < 3; n += 1) {
      await run.update("add", 2);
      const before = await run.history();
      const refusal = await faultOf(run.update("add", -1));
      expect(refusal).toBeInstanceOf(UpdateFailedError);
      expect(refusal).toMatchObject({
        stage: "rejected",
        failure: { type: "Error", message: "expected non-negative value (-1)" },
      });
      expect(await run.history()).toEqual(before);
    }
    await run.signal("shutdown");
    expect(await run.result()).toBe(6);
  });

  it("is rejected where its input does not fit its schema, or nobody handles its name", async () => {
    const environment = testEnvironment({ workflows: [adder] });
    const { workflowId } = await environment.start(adder, undefined);
    const untyped = environment.workflow(workflowId);
    expect(await faultOf(untyped.update("add", "two"))).toMatchObject({
      stage: "rejected",
      failure: { type: "INVALID_INPUT" },
    });
    expect(await faultOf(untyped.update("subtract", 1))).toMatchObject({
      stage: "rejected",
      failure: { type: "UPDATE_NOT_REGISTERED" },
    });
  });

  it("is refused by a closed run", async () => {
    const environment = testEnvironment({ workflows: [adder] });
    const run = await environment.start(adder, undefined);
    await run.signal("shutdown");
    await run.result();
    expect(await faultOf(run.update("add", 1))).toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("an accepted update", () => {
  it("is not validated again when its run is replayed", async () => {
    let validations = 0;
    const once = workflow("once", { signals: { shutdown: z.undefined() }, updates: { doStuff: {} } }, async (ctx) => {
      ctx.onUpdate("doStuff", () => ctx.step("work", () => 1), {
        validate: () => {
          validations += 1;
          if (validations > 1) throw new Error("validated twice");
        },
      });
      await ctx.signal("shutdown");
    });
    const environment = testEnvironment({ workflows: [once], maxCachedRuns: 0 });
    const run = await environment.start(once, undefined);
    expect(await run.update("doStuff")).toBe(1);
    await run.signal("shutdown");
    await run.result();
    expect(validations).toBe(1);
  });

  it("is done once for each updateId, and answered the same each time", async () => {
    const environment = testEnvironment({ workflows: [adder] });
    const run = await environment.start(adder, undefined);
    expect(await run.update("add", 1, { updateId: "first" })).toBe(1);
    expect(await run.update("add", 1, { updateId: "first" })).toBe(1);
    expect(await run.update("add", 1, { updateId: "second" })).toBe(2);
    await run.signal("shutdown");
    expect(await run.result()).toBe(2);
  });

  it("passes on what its handler threw, and the run goes on", async () => {
    const declared = { signals: { shutdown: z.undefined() }, updates: { sync: {}, async: {} } } as const;
    const brittle = workflow("brittle", declared, async (ctx) => {
      const failing = () => {
        throw new ApplicationFailure("deliberate", { type: "Deliberate", details: { n: 1 } });
      };
      ctx.onUpdate("sync", failing);
      ctx.onUpdate("async", async () => failing());
      await ctx.signal("shutdown");
      return "went on";
    });
    const environment = testEnvironment({ workflows: [brittle] });
    const run = await environment.start(brittle, undefined);
    for (const name of ["sync", "async"] as const) {
      expect(await faultOf(run.update(name))).toMatchObject({
        stage: "failed",
        failure: { type: "Deliberate", message: "deliberate", details: { n: 1 } },
      });
    }
    await run.signal("shutdown");
    expect(await run.result()).toBe("went on");
  });

  it("sees its input as it was sent, whatever the validator did to it", async () => {
    const mutating = workflow("mutating", { updates: { echo: { input: z.array(z.string()) } } }, async (ctx) => {
      ctx.onUpdate("echo", (given) => given, {
        validate: (given) => {
          given[0] = "mutated";
        },
      });
      await ctx.condition(() => false);
    });
    const environment = testEnvironment({ workflows: [mutating] });
    const run = await environment.start(mutating, undefined);
    expect(await run.update("echo", ["1"])).toEqual(["1"]);
  });

  it("is answered with a failure when its run is cancelled under it", async () => {
    const waiting = workflow("waiting", { updates: { never: {} } }, async (ctx) => {
      ctx.onUpdate("never", () => ctx.condition(() => false));
      await ctx.condition(() => false);
    });
    const environment = testEnvironment({ workflows: [waiting] });
    const run = await environment.start(waiting, undefined);
    const answer = faultOf(run.update("never"));
    await environment.sleep("1s");
    await run.cancel();
    expect(await answer).toMatchObject({ stage: "failed", failure: { type: "CANCELLED" } });
    expect(await run.wait()).toMatchObject({ state: "cancelled" });
  });
});

it("updates overlap, each ends when it is done, and allHandlersFinished waits for all", async () => {
  const slow = task("slow", { input: z.string(), output: z.string() });
  const Work = z.object({ name: z.string(), seconds: z.number() });
  const overlapping = workflow(
    "overlapping",
    { output: z.array(z.string()), updates: { work: { input: Work, output: z.string() } } },
    async (ctx) => {
      const log: string[] = [];
      ctx.onUpdate("work", async ({ name, seconds }) => {
        log.push(`${name} begins`);
        await ctx.sleep(seconds * 1_000);
        const done = await ctx.task(slow, name);
        log.push(`${name} ends`);
        return done;
      });
      await ctx.condition(() => log.length >= 2);
      await ctx.condition(() => ctx.allHandlersFinished());
      return log;
    },
  );
  const tasks = { slow: (_task: unknown, name: unknown) => `${name as string}!` };
  const environment = testEnvironment({ workflows: [overlapping], maxCachedRuns: 0, tasks });
  const run = await environment.start(overlapping, undefined);
  const first = run.update("work", { name: "long", seconds: 10 });
  const second = run.update("work", { name: "short", seconds: 1 });
  expect(await run.result()).toEqual(["long begins", "short begins", "short ends", "long ends"]);
  expect(await Promise.all([first, second])).toEqual(["long!", "short!"]);
});
