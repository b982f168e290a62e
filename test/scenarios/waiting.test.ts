/** Temporal's condition with time-out, and the Promise patterns of its samples and tests (race, allSettled, any, trailing timers). */
import { isCancellation, task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const seconds = (ms: number) => ms / 1_000;

describe("a condition with a time-out", () => {
  const waiter = workflow(
    "waiter",
    {
      input: z.string(),
      output: z.object({ inTime: z.boolean(), after: z.number() }),
      signals: { set: z.undefined() },
    },
    async (ctx, timeout) => {
      const begin = Date.now();
      let isSet = false;
      ctx.onSignal("set", () => {
        isSet = true;
      });
      const inTime = await ctx.condition(() => isSet, timeout as "1s");
      return { inTime, after: seconds(Date.now() - begin) };
    },
  );

  it("is true when it holds in time", async () => {
    const environment = testEnvironment({ workflows: [waiter], maxCachedRuns: 0 });
    const run = await environment.start(waiter, "1 minute");
    await environment.sleep("10s");
    await run.signal("set");
    expect(await run.result()).toEqual({ inTime: true, after: 10 });
  });

  it("is false when the time is up", async () => {
    const environment = testEnvironment({ workflows: [waiter], maxCachedRuns: 0 });
    const run = await environment.start(waiter, "1 minute");
    expect(await run.result()).toEqual({ inTime: false, after: 60 });
  });

  it("of zero waits for the shortest time there is", async () => {
    const environment = testEnvironment({ workflows: [waiter], maxCachedRuns: 0 });
    const run = await environment.start(waiter, "0s");
    expect(await run.result()).toEqual({ inTime: false, after: 0.001 });
  });

  it("that holds already does not wait, and leaves no timer", async () => {
    const ready = workflow("ready", { output: z.boolean() }, (ctx) => ctx.condition(() => true, "52 weeks"));
    const environment = testEnvironment({ workflows: [ready] });
    const run = await environment.start(ready, undefined);
    expect(await run.result()).toBe(true);
    expect((await run.history()).map(({ type }) => type)).not.toContain("TimerStarted");
  });

  it("is asked again after each of several changes, and sees the one it waits for", async () => {
    const stepwise = workflow("stepwise", { output: z.array(z.string()) }, async (ctx) => {
      const log: string[] = [];
      let stage = 0;
      const climb = async () => {
        for (let n = 0; n < 3; n += 1) {
          await ctx.sleep("1s");
          stage += 1;
        }
      };
      const watch = async (wanted: number) => {
        await ctx.condition(() => stage === wanted);
        log.push(`saw ${wanted}`);
      };
      await Promise.all([watch(3), watch(1), watch(2), climb()]);
      return log;
    });
    const environment = testEnvironment({ workflows: [stepwise], maxCachedRuns: 0 });
    expect(await (await environment.start(stepwise, undefined)).result()).toEqual(["saw 1", "saw 2", "saw 3"]);
  });
});

describe("promises of a workflow", () => {
  const work = task("work", { input: z.string(), output: z.string(), retry: { maximumAttempts: 1 } });
  const tasks = {
    work: (_task: unknown, what: unknown) => {
      if (what === "bad") throw new Error("bad work");
      return `${what as string} done`;
    },
  };
  const outputOf = async (code: Parameters<typeof workflow>[2]) => {
    const patterns = workflow("patterns", {}, code);
    const environment = testEnvironment({ workflows: [patterns], tasks, maxCachedRuns: 0 });
    return (await environment.start(patterns, undefined)).result();
  };

  it("race: a timer against a task that no agent takes", async () => {
    const stray = task("stray");
    expect(
      await outputOf(async (ctx) =>
        Promise.race([
          ctx.task(stray),
          ctx.sleep("10s").then(() => `late at ${Date.now() - ctx.info.startedAt.getTime()}`),
        ]),
      ),
    ).toBe("late at 10000");
  });

  it("race: the first of several timers, in whatever order they were started", async () => {
    expect(
      await outputOf(async (ctx) => {
        const timer = async (ms: number) => {
          await ctx.sleep(ms);
          return ms;
        };
        return Promise.race([timer(300), timer(100), timer(200)]);
      }),
    ).toBe(100);
  });

  it("any: the first that succeeds, past those that fail", async () => {
    expect(await outputOf((ctx) => Promise.any([ctx.task(work, "bad"), ctx.task(work, "good")]))).toBe("good done");
  });

  it("any: an AggregateError of all reasons when none succeeds, which fails the run", async () => {
    await expect(outputOf((ctx) => Promise.any([ctx.task(work, "bad"), ctx.task(work, "bad")]))).rejects.toMatchObject({
      state: "failed",
      failure: { type: "AggregateError" },
    });
  });

  it("allSettled: each outcome in its place", async () => {
    expect(
      await outputOf(async (ctx) => {
        const settled = await Promise.allSettled(["a", "bad", "c"].map((what) => ctx.task(work, what)));
        return settled.map((one) => (one.status === "fulfilled" ? one.value : (one.reason as Error).name));
      }),
    ).toEqual(["a done", "ActivityFailure", "c done"]);
  });

  it("all: fails with the first failure, while the others go on", async () => {
    expect(
      await outputOf(async (ctx) => {
        const slow = ctx.sleep("1 hour").then(() => "slow");
        const failure = await Promise.all([slow, ctx.task(work, "bad")]).catch((error: Error) => error.name);
        return [failure, await slow];
      }),
    ).toEqual(["ActivityFailure", "slow"]);
  });

  it("a loser of a race is cancelled where its scope is", async () => {
    expect(
      await outputOf(async (ctx) => {
        let loser = "";
        const winner = await ctx.cancellable(async (cancel) => {
          const losing = ctx.sleep("52 weeks").catch((error: unknown) => {
            loser = isCancellation(error) ? "cancelled" : "?";
          });
          const first = await Promise.race([losing, ctx.task(work, "fast")]);
          cancel();
          await losing;
          return first;
        });
        return [winner, loser, Date.now() - ctx.info.startedAt.getTime()];
      }),
    ).toEqual(["fast done", "cancelled", 0]);
  });

  it("a timer that nobody waits for does not keep the run open", async () => {
    expect(
      await outputOf(async (ctx) => {
        void ctx.sleep("52 weeks");
        return "early";
      }),
    ).toBe("early");
  });
});
