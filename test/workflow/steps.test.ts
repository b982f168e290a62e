import { expect, test } from "vitest";
import { workflow } from "../../src/index.js";
import { ActivityFailure, ApplicationFailure } from "../../src/workflow/failures.js";
import { eventOf, failureOf, lab, typesOf } from "./lab.js";

test("a step's result is recorded, and its code runs once", async () => {
  let runs = 0;
  const counted = workflow("counted", {}, async (ctx) => {
    const first = await ctx.step("count", () => {
      runs += 1;
      return { runs, when: typeof Date.now() };
    });
    await ctx.sleep("1h");
    return first;
  });
  const env = lab(counted, { maxCachedRuns: 0 });
  const run = await env.start(counted, undefined);
  expect(await run.result()).toEqual({ runs: 1, when: "number" });
  expect(runs).toBe(1);
  expect(await eventOf(run, "StepCompleted")).toMatchObject({ output: { runs: 1 } });
});

test("a step is outside of the workflow's rules: it sees the machine's clock and may take its time", async () => {
  const outside = workflow("outside", {}, async (ctx) => {
    const seen = await ctx.step("look", async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return Date.now();
    });
    return { step: seen, workflow: Date.now() };
  });
  const env = lab(outside);
  const begun = Date.now();
  const { step, workflow: inside } = (await (await env.start(outside, undefined)).result()) as {
    step: number;
    workflow: number;
  };
  expect(step).toBeGreaterThanOrEqual(begun);
  expect(inside).toBe(Date.UTC(2025, 0, 1));
});

test("a step that fails is tried again, with the pace of its policy, until it works", async () => {
  const attempts: number[] = [];
  const at: number[] = [];
  const flaky = workflow("flaky", {}, async (ctx) => {
    return await ctx.step(
      "flaky",
      ({ attempt, stepId }) => {
        attempts.push(attempt);
        at.push(env.now.getTime() - Date.UTC(2025, 0, 1));
        if (attempt < 4) throw new Error("not yet");
        return stepId;
      },
      { retry: { initialIntervalMs: 1_000, backoffCoefficient: 2, maximumIntervalMs: 3_000 } },
    );
  });
  const env = lab(flaky);
  const run = await env.start(flaky, undefined);
  expect(await run.result()).toBe("r00000001-1".replace("00000001", (await run.describe()).run?.runId.slice(1) ?? ""));
  expect(attempts).toEqual([1, 2, 3, 4]);
  expect(at).toEqual([0, 1_000, 3_000, 6_000]);
  // Attempts leave nothing: the history does not grow with them.
  expect(await typesOf(run)).toHaveLength(6);
});

test("one that never works fails the run as an ActivityFailure with the reason as its cause", async () => {
  const hopeless = workflow("hopeless", {}, async (ctx) => {
    try {
      await ctx.step(
        "hopeless",
        () => {
          throw new ApplicationFailure("out of paper", { type: "OutOfPaper", details: { tray: 2 } });
        },
        { retry: { maximumAttempts: 3 } },
      );
    } catch (reason) {
      if (!(reason instanceof ActivityFailure) || !(reason.cause instanceof ApplicationFailure)) throw reason;
      const { retryState, activityType, cause } = reason;
      return { retryState, activityType, type: cause.type, details: cause.details };
    }
    return "done";
  });
  const env = lab(hopeless);
  expect(await (await env.start(hopeless, undefined)).result()).toEqual({
    retryState: "maximumAttemptsReached",
    activityType: "hopeless",
    type: "OutOfPaper",
    details: { tray: 2 },
  });
});

test("what is not to be tried again is not, and a failure may say when to", async () => {
  const attempts: Record<string, number> = {};
  const count = (name: string): number => {
    attempts[name] = (attempts[name] ?? 0) + 1;
    return attempts[name];
  };
  const picky = workflow("picky", {}, async (ctx) => {
    const ends = await Promise.allSettled([
      ctx.step("never again", () => {
        count("never again");
        throw new ApplicationFailure("no", { nonRetryable: true });
      }),
      ctx.step(
        "not this type",
        () => {
          count("not this type");
          throw new RangeError("no");
        },
        { retry: { nonRetryableErrorTypes: ["RangeError"] } },
      ),
      ctx.step("later", () => {
        if (count("later") === 1) throw new ApplicationFailure("busy", { nextRetryDelayMs: 3_600_000 });
        return "done";
      }),
    ]);
    return { ends: ends.map(({ status }) => status), after: Date.now() - ctx.info.startedAt.getTime() };
  });
  const env = lab(picky);
  expect(await (await env.start(picky, undefined)).result()).toEqual({
    ends: ["rejected", "rejected", "fulfilled"],
    after: 3_600_000,
  });
  expect(attempts).toEqual({ "never again": 1, "not this type": 1, later: 2 });
});

test("an attempt that takes too long is given up and tried again", async () => {
  let attempts = 0;
  const slow = workflow("slow", {}, async (ctx) => {
    return await ctx.step(
      "slow",
      async ({ attempt }) => {
        attempts = attempt;
        if (attempt === 1) await env.sleep("1h");
        return attempt;
      },
      { startToClose: "1m", retry: { maximumAttempts: 2 } },
    );
  });
  const env = lab(slow);
  expect(await (await env.start(slow, undefined)).result()).toBe(2);
  expect(attempts).toBe(2);
});

test("a TypeError in a step is a failure of that step, and a context that is used in one is told so", async () => {
  const nested = workflow("nested", {}, async (ctx) => {
    const wrong = await ctx
      .step("wrong", () => (undefined as unknown as { x: number }).x, { retry: { maximumAttempts: 1 } })
      .catch((reason: Error) => (reason.cause as ApplicationFailure).type);
    const within = await ctx
      .step("within", async () => {
        await ctx.sleep(1);
      })
      .catch((reason: Error) => (reason.cause as ApplicationFailure).type);
    return [wrong, within];
  });
  const env = lab(nested);
  expect(await (await env.start(nested, undefined)).result()).toEqual(["TypeError", "ContextMisuseError"]);
});

test("what a step returns goes on as JSON; what is none fails it", async () => {
  const odd = workflow("odd", {}, async (ctx) => {
    const nothing = await ctx.step("nothing", () => undefined);
    const date = await ctx.step("date", () => new Date(0));
    const big = await ctx
      .step("big", () => 1n as unknown, { retry: { maximumAttempts: 2 } })
      .catch((reason: Error) => (reason.cause as ApplicationFailure).type);
    return { nothing, date, big };
  });
  const env = lab(odd);
  expect(await (await env.start(odd, undefined)).result()).toEqual({
    nothing: null,
    date: "1970-01-01T00:00:00.000Z",
    big: "TASK_OUTPUT_INVALID",
  });
});

test("a step without a proper name fails the run and says why", async () => {
  const unnamed = workflow("unnamed", {}, async (ctx) => await ctx.step("", () => 1));
  const env = lab(unnamed);
  expect(await failureOf(await env.start(unnamed, undefined))).toMatchObject({
    type: "INVALID_INPUT",
    message: expect.stringMatching(/^the name of a step is no name: ""/),
  });
});

test("the code does not see a step's end before it is recorded, also where its worker goes away meanwhile", async () => {
  let runs = 0;
  const lost = workflow("lost", {}, async (ctx) => {
    return await ctx.step("long", async () => {
      runs += 1;
      if (runs === 1) await env.sleep("1h");
      return runs;
    });
  });
  const env = lab(lost);
  const run = await env.start(lost, undefined);
  await env.sleep("1m");
  await env.deploy([lost]);
  expect(await run.result()).toBe(2);
});
