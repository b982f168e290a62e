/** Temporal's four activity time-outs, each with the shape in which workflow code and client see it. */
import { ActivityFailure, ApplicationFailure, type TaskContext, TimeoutFailure, task, workflow } from "perdure";
import { type TaskMock, testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const Options = z.object({
  startToClose: z.string().optional(),
  scheduleToClose: z.string().optional(),
  scheduleToStart: z.string().optional(),
  heartbeat: z.string().optional(),
  maximumAttempts: z.number().optional(),
});

const work = task("work", { input: z.null() });

/** Answers with what its code caught. */
const observer = workflow("observer", { input: Options, output: z.unknown() }, async (ctx, options) => {
  const { heartbeat, maximumAttempts, ...timeouts } = options;
  try {
    const output = await ctx.task(work, null, {
      timeouts: timeouts as { startToClose?: "1s" },
      ...(heartbeat === undefined ? {} : { heartbeat: heartbeat as "1s" }),
      ...(maximumAttempts === undefined ? {} : { retry: { maximumAttempts } }),
    });
    return { output };
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    const { activityType, retryState, cause } = error;
    if (cause instanceof TimeoutFailure) return { activityType, retryState, timeoutType: cause.timeoutType };
    if (cause instanceof ApplicationFailure) return { activityType, retryState, type: cause.type };
    throw error;
  }
});

async function observe(options: z.infer<typeof Options>, mock: TaskMock | undefined) {
  const environment = testEnvironment({
    workflows: [observer],
    maxCachedRuns: 0,
    ...(mock === undefined ? {} : { tasks: { work: mock } }),
  });
  const begin = environment.now.getTime();
  const run = await environment.start(observer, options);
  return { seen: await run.result(), seconds: (environment.now.getTime() - begin) / 1_000 };
}

it("startToClose bounds one attempt, and the next one may do better", async () => {
  let attempts = 0;
  const mock = ({ attempt, signal }: TaskContext): unknown => {
    attempts = attempt;
    if (attempt > 2) return "at last";
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  };
  const { seen, seconds } = await observe({ startToClose: "10s" }, mock);
  expect(seen).toEqual({ output: "at last" });
  expect(attempts).toBe(3);
  expect(seconds).toBe(10 + 1 + 10 + 2);
});

it("startToClose fails the task as a time-out of that name when its attempts are used up", async () => {
  const { seen, seconds } = await observe({ startToClose: "10s", maximumAttempts: 2 }, "hang");
  expect(seen).toEqual({ activityType: "work", retryState: "maximumAttemptsReached", timeoutType: "startToClose" });
  expect(seconds).toBe(10 + 1 + 10);
});

it("scheduleToStart fails a task that no agent takes, without another attempt", async () => {
  const { seen, seconds } = await observe({ scheduleToStart: "1 minute" }, undefined);
  expect(seen).toMatchObject({ activityType: "work", timeoutType: "scheduleToStart" });
  expect(seconds).toBe(60);
});

it("scheduleToClose bounds all attempts together", async () => {
  const { seen, seconds } = await observe({ scheduleToClose: "25s", startToClose: "10s" }, "hang");
  expect(seen).toMatchObject({ activityType: "work", timeoutType: "scheduleToClose" });
  expect(seconds).toBe(25);
});

it("scheduleToClose does not wait for a retry that would pass it, and repeats what failed", async () => {
  const { seen, seconds } = await observe({ scheduleToClose: "10s" }, () => {
    throw new Error("no luck");
  });
  expect(seen).toEqual({ activityType: "work", retryState: "timeout", type: "Error" });
  expect(seconds).toBe(1 + 2 + 4);
});

it("heartbeat gives up an attempt that is silent, and the next one finds what was last reported", async () => {
  const found: unknown[] = [];
  const mock = ({ attempt, heartbeatDetails, progress, signal }: TaskContext): unknown => {
    found.push(heartbeatDetails);
    if (attempt > 1) return "resumed";
    progress({ page: 7 });
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  };
  const { seen } = await observe({ heartbeat: "30s" }, mock);
  expect(seen).toEqual({ output: "resumed" });
  expect(found).toEqual([undefined, { page: 7 }]);
});

it("heartbeat fails the task as a time-out of that name when its attempts are used up", async () => {
  const { seen, seconds } = await observe({ heartbeat: "30s", maximumAttempts: 1 }, "hang");
  expect(seen).toMatchObject({ activityType: "work", timeoutType: "heartbeat" });
  expect(seconds).toBe(30);
});

it("a time-out that the code does not catch fails the run, with the whole chain for the client", async () => {
  const careless = workflow("careless", {}, (ctx) =>
    ctx.task(work, null, { timeouts: { startToClose: "10s" }, retry: { maximumAttempts: 1 } }),
  );
  const environment = testEnvironment({ workflows: [careless], tasks: { work: "hang" } });
  const run = await environment.start(careless, undefined);
  const end = await run.result().catch((error: unknown) => error);
  expect(end).toMatchObject({
    state: "failed",
    failure: { type: "ActivityFailure", cause: { type: "TASK_TIMED_OUT" } },
  });
});
