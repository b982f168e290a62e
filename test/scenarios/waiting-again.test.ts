/** After Temporal's samples await-signals, updatable-timer, polling (periodic sequence) and retries with a delay of their own. */
import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  TaskFailure,
  task,
  type WorkflowContext,
  workflow,
} from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

describe("signals that are due in an order, but come in another", () => {
  const names = ["one", "two", "three"] as const;
  const inOrder = workflow(
    "in-order",
    { output: z.string(), signals: { one: z.void(), two: z.void(), three: z.void() } },
    async (ctx) => {
      const came: string[] = [];
      let firstAt = Number.POSITIVE_INFINITY;
      for (const name of names) {
        ctx.onSignal(name, () => {
          came.push(name);
          firstAt = Math.min(firstAt, Date.now());
        });
      }
      await ctx.condition(() => came.includes("one"));
      for (const name of names) {
        const left = Math.min(30_000, firstAt + 60_000 - Date.now());
        const isThere = await ctx.condition(() => came.includes(name), Math.max(left, 0));
        if (!isThere) throw new ApplicationFailure(`no signal ${name}`, { type: "TooLate" });
      }
      return came.join();
    },
  );

  it("are waited for in their order, each for half a minute", async () => {
    const environment = testEnvironment({ workflows: [inOrder] });
    const run = await environment.start(inOrder, undefined);
    await run.signal("three");
    await environment.sleep("29s");
    await run.signal("one");
    await environment.sleep("29s");
    await run.signal("two");
    expect(await run.result()).toBe("three,one,two");
  });

  it("must all come within a minute of the first", async () => {
    const environment = testEnvironment({ workflows: [inOrder] });
    const run = await environment.start(inOrder, undefined);
    await run.signal("three");
    await environment.sleep("59s");
    await run.signal("one");
    await expect(run.result()).rejects.toMatchObject({ failure: { type: "TooLate", message: "no signal two" } });
    expect(environment.now.toISOString()).toBe("2025-01-01T00:01:00.000Z");
  });
});

class UpdatableTimer {
  readonly ended: Promise<void>;
  #isChanged = false;
  #deadline: number;
  readonly #ctx: Pick<WorkflowContext, "condition">;

  constructor(ctx: Pick<WorkflowContext, "condition">, deadline: number) {
    this.#ctx = ctx;
    this.#deadline = deadline;
    this.ended = this.#run();
  }

  get deadline(): number {
    return this.#deadline;
  }

  set deadline(deadline: number) {
    this.#deadline = deadline;
    this.#isChanged = true;
  }

  async #run(): Promise<void> {
    do {
      this.#isChanged = false;
    } while (await this.#ctx.condition(() => this.#isChanged, Math.max(0, this.#deadline - Date.now())));
  }
}

it("a timer that is put off, and then brought forward, fires once", async () => {
  const countdown = workflow(
    "countdown",
    { output: z.string(), signals: { setDeadline: z.number() }, queries: { deadline: { output: z.number() } } },
    async (ctx) => {
      const timer = new UpdatableTimer(ctx, Date.now() + 86_400_000);
      ctx.onSignal("setDeadline", (deadline) => {
        timer.deadline = deadline;
      });
      ctx.onQuery("deadline", () => timer.deadline);
      await timer.ended;
      return new Date().toISOString();
    },
  );
  const environment = testEnvironment({ workflows: [countdown], maxCachedRuns: 0 });
  const run = await environment.start(countdown, undefined);
  expect(await run.query("deadline")).toBe(Date.UTC(2025, 0, 2));
  await run.signal("setDeadline", Date.UTC(2025, 0, 4));
  await environment.sleep("2 days");
  await run.signal("setDeadline", Date.UTC(2025, 0, 3, 0, 0, 5));
  expect(await run.result()).toBe("2025-01-03T00:00:05.000Z");
});

it("a child that polls and continues as new is one child to its parent, also when it is cancelled", async () => {
  const Polls = z.object({ asked: z.number() });
  const poll = task("poll", { input: z.number(), output: z.string(), retry: { maximumAttempts: 1 } });
  const poller = workflow("poller", { input: Polls, output: z.string() }, async (ctx, { asked }) => {
    for (let n = asked; n < asked + 3; n += 1) {
      try {
        return await ctx.task(poll, n);
      } catch (error) {
        if (isCancellation(error)) throw error;
      }
      await ctx.sleep("1m");
    }
    return ctx.continueAsNew({ asked: asked + 3 });
  });
  const parent = workflow("parent", { output: z.string() }, (ctx) => ctx.child(poller, { asked: 0 }));
  const asked: unknown[] = [];
  const environment = testEnvironment({
    workflows: [poller, parent],
    tasks: {
      poll: (_, n) => {
        asked.push(n);
        if (asked.length < 8) throw new Error("not yet");
        return "ready";
      },
    },
  });
  expect(await (await environment.start(parent, undefined)).result()).toBe("ready");
  expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(environment.now.toISOString()).toBe("2025-01-01T00:07:00.000Z");
  asked.length = 0;
  const cancelled = await environment.start(parent, undefined);
  await environment.sleep("4m");
  await cancelled.cancel();
  expect((await cancelled.wait()).state).toBe("cancelled");
  expect(asked).toEqual([0, 1, 2, 3, 4]);
});

describe("a failure that says when to try again", () => {
  const busy = task("busy", { retry: { initialIntervalMs: 1_000, maximumIntervalMs: 2_000, maximumAttempts: 4 } });
  const askBusy = workflow("ask-busy", { output: z.unknown() }, (ctx) =>
    ctx.task(busy).catch((error: unknown) => {
      if (!(error instanceof ActivityFailure && error.cause instanceof ApplicationFailure)) throw error;
      return [error.retryState, error.cause.type, error.cause.details, Date.now()];
    }),
  );
  const impatientStep = workflow("impatient-step", { output: z.number() }, (ctx) =>
    ctx.step("look", ({ attempt }) => {
      if (attempt < 3) throw new ApplicationFailure("not yet", { nextRetryDelayMs: 7_000 * attempt });
      return attempt;
    }),
  );

  it("has its way with a task, past the longest interval of the policy, but not past its attempts", async () => {
    const waits: number[] = [];
    const environment = testEnvironment({
      workflows: [askBusy],
      tasks: {
        busy: ({ attempt }) => {
          waits.push(environment.now.getTime() - startAt);
          throw new TaskFailure("later", { type: "Busy", details: { attempt }, nextRetryDelayMs: attempt * 60_000 });
        },
      },
    });
    const startAt = environment.now.getTime();
    const output = await (await environment.start(askBusy, undefined)).result();
    expect(waits).toEqual([0, 60_000, 180_000, 360_000]);
    expect(output).toEqual(["maximumAttemptsReached", "Busy", { attempt: 4 }, startAt + 360_000]);
  });

  it("has its way with a step", async () => {
    const environment = testEnvironment({ workflows: [impatientStep] });
    expect(await (await environment.start(impatientStep, undefined)).result()).toBe(3);
    expect(environment.now.toISOString()).toBe("2025-01-01T00:00:21.000Z");
  });
});
