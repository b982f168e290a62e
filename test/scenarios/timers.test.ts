/** After Temporal's samples timer-examples, sleep-for-days, cron-workflows and schedules. */
import { type InputOf, task, type WorkflowContext, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe("a task against a timer", () => {
  const processOrder = task("processOrder");
  const sendEmail = task("sendEmail");
  const order = workflow("order", { input: z.object({ remindAfterMs: z.int() }) }, async (ctx, { remindAfterMs }) => {
    let processing = true;
    const processed = ctx.task(processOrder).then(() => {
      processing = false;
    });
    await Promise.race([processed, ctx.sleep(remindAfterMs)]);
    if (processing) {
      await ctx.task(sendEmail);
      await processed;
    }
    return "Order completed!";
  });

  test.each([
    ["slow", "2 days", 1],
    ["fast", "1h", 0],
  ] as const)("a %s order is done, and a mail was sent only if it took long", async (_, takes, mails) => {
    const sent: unknown[] = [];
    const environment = testEnvironment({
      workflows: [order],
      tasks: { processOrder: () => environment.sleep(takes), sendEmail: () => void sent.push("a mail") },
    });
    const run = await environment.start(order, { remindAfterMs: DAY_MS });
    expect(await run.result()).toBe("Order completed!");
    expect(sent).toHaveLength(mails);
  });
});

describe("an updatable timer", () => {
  class UpdatableTimer {
    #deadlineAt: number;
    #updated = false;

    constructor(deadlineAt: number) {
      this.#deadlineAt = deadlineAt;
    }

    get deadlineAt(): number {
      return this.#deadlineAt;
    }

    set deadlineAt(at: number) {
      this.#deadlineAt = at;
      this.#updated = true;
    }

    async done(ctx: Pick<WorkflowContext, "condition">): Promise<void> {
      do this.#updated = false;
      while (await ctx.condition(() => this.#updated, this.#deadlineAt - Date.now()));
    }
  }

  const countdown = workflow(
    "countdown",
    { signals: { setDeadline: z.number() }, queries: { timeLeft: { output: z.number() } } },
    async (ctx) => {
      const timer = new UpdatableTimer(Date.now() + DAY_MS);
      ctx.onSignal("setDeadline", (at) => {
        timer.deadlineAt = at;
      });
      ctx.onQuery("timeLeft", () => timer.deadlineAt - Date.now());
      await timer.done(ctx);
      return Date.now();
    },
  );

  test.each([
    ["earlier", 3_000],
    ["later", 3 * DAY_MS],
    ["into the past", -1_000],
  ])("a deadline that is moved %s counts", async (_, moveMs) => {
    const environment = testEnvironment({ workflows: [countdown], maxCachedRuns: 0 });
    const run = await environment.start(countdown, undefined);
    const begunAt = environment.now.getTime();
    expect(await run.query("timeLeft")).toBe(DAY_MS);
    await run.signal("setDeadline", begunAt + moveMs);
    expect(await run.result()).toBe(begunAt + Math.max(1, moveMs));
  });

  test("a query sees the time of the last turn, not that of the question", async () => {
    const environment = testEnvironment({ workflows: [countdown] });
    const run = await environment.start(countdown, undefined);
    await environment.sleep("1h");
    expect(await run.query("timeLeft")).toBe(DAY_MS);
  });
});

test("a workflow sleeps for months between mails, and ends at once when it is told to", async () => {
  const sendEmail = task("sendEmail", { input: z.string() });
  const sleepForDays = workflow(
    "sleepForDays",
    { output: z.string(), signals: { complete: z.void() } },
    async (ctx) => {
      let complete = false;
      ctx.onSignal("complete", () => {
        complete = true;
      });
      while (!complete) {
        await ctx.task(sendEmail, "Sleeping for 30 days");
        await Promise.race([ctx.sleep("30 days"), ctx.condition(() => complete)]);
      }
      return "done!";
    },
  );
  const sent: unknown[] = [];
  const environment = testEnvironment({
    workflows: [sleepForDays],
    tasks: { sendEmail: () => void sent.push("a mail") },
    maxCachedRuns: 0,
  });
  const run = await environment.start(sleepForDays, undefined);
  await environment.sleep("5m");
  expect(sent).toHaveLength(1);
  await environment.sleep("90d");
  expect(sent).toHaveLength(4);
  await run.signal("complete");
  expect(await run.result()).toBe("done!");
  expect(sent).toHaveLength(4);
});

test.each([
  ["begins when its first time comes", DAY_MS, [DAY_MS, DAY_MS + HOUR_MS, DAY_MS + 2 * HOUR_MS]],
  ["catches up where its first times have passed", -1.5 * HOUR_MS, [1, 2, 0.5 * HOUR_MS]],
])(
  "a schedule is a workflow that sleeps until the next time and continues as new: it %s",
  async (_, firstInMs, ranInMs) => {
    const Schedule = z.object({ everyMs: z.int(), firstAt: z.int(), remaining: z.int() });
    const ranAt: number[] = [];
    const report = task("report");
    const scheduled = workflow("scheduled", { input: Schedule, output: z.string() }, async (ctx, schedule) => {
      const { everyMs, firstAt, remaining } = schedule;
      await ctx.sleep(firstAt - Date.now());
      await ctx.task(report);
      if (remaining === 1) return "no more";
      const next: InputOf<typeof Schedule> = { everyMs, firstAt: firstAt + everyMs, remaining: remaining - 1 };
      return ctx.continueAsNew(next);
    });
    const environment = testEnvironment({
      workflows: [scheduled],
      tasks: { report: () => void ranAt.push(environment.now.getTime()) },
    });
    const begunAt = environment.now.getTime();
    const run = await environment.start(scheduled, { everyMs: HOUR_MS, firstAt: begunAt + firstInMs, remaining: 3 });
    expect(await run.result()).toBe("no more");
    expect(ranAt).toEqual(ranInMs.map((ms) => begunAt + ms));
  },
);

describe("a delayed start", () => {
  const plain = workflow("plain", { output: z.array(z.unknown()), signals: { poke: z.int() } }, async (ctx) => [
    Date.now(),
    await ctx.signal("poke"),
  ]);

  test("runs no code before its time, and what was said meanwhile is there then", async () => {
    const environment = testEnvironment({ workflows: [plain] });
    const begunAt = environment.now.getTime();
    const run = await environment.start(plain, undefined, { startDelay: "1h", runTimeout: "10m" });
    await run.signal("poke", 7);
    expect(await run.describe()).toMatchObject({ state: "running", reason: expect.stringContaining("starts in 1 h") });
    expect(await run.result()).toEqual([begunAt + 3_600_000, 7]);
  });

  test("is over at once when it is cancelled before its time", async () => {
    const environment = testEnvironment({ workflows: [plain] });
    const run = await environment.start(plain, undefined, { startDelay: "1h" });
    await run.cancel();
    expect(await run.describe()).toMatchObject({ state: "cancelled" });
  });
});
