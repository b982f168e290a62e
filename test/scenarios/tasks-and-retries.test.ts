/** After Temporal's samples hello-world, polling (frequent, infrequent), activities-*, and its feature tests of activities. */
import { ActivityFailure, ApplicationFailure, TaskFailedError, TaskFailure, task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const greet = task("greet", { input: z.string(), output: z.string() });

describe("hello world", () => {
  const example = workflow("example", { input: z.string(), output: z.string() }, (ctx, name) => ctx.task(greet, name));

  test("a workflow gives what its task gave", async () => {
    const environment = testEnvironment({ workflows: [example], tasks: { greet: (_, name) => `Hello, ${name}!` } });
    const run = await environment.start(example, "Temporal");
    expect(await run.result()).toBe("Hello, Temporal!");
  });

  test("local code is a step: it runs once, also where the run is replayed each time", async () => {
    let ran = 0;
    const local = workflow("local", { output: z.string() }, async (ctx) => {
      const said = await ctx.step("compose", () => {
        ran += 1;
        return `Hello ${ran}`;
      });
      await ctx.sleep("1h");
      return said;
    });
    const environment = testEnvironment({ workflows: [local], maxCachedRuns: 0 });
    expect(await (await environment.start(local, undefined)).result()).toBe("Hello 1");
  });
});

describe("retry policies", () => {
  test("the failure of the last attempt is what the caller gets", async () => {
    const flaky = task("flaky", {
      timeouts: { startToClose: "1m" },
      retry: { initialIntervalMs: 1, backoffCoefficient: 1, maximumAttempts: 5 },
    });
    const failing = workflow("failing", {}, (ctx) => ctx.task(flaky));
    const environment = testEnvironment({
      workflows: [failing],
      tasks: {
        flaky: ({ attempt }) => {
          throw new Error(`activity attempt ${attempt} failed`);
        },
      },
    });
    const error = await (await environment.start(failing, undefined)).result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TaskFailedError);
    expect(JSON.stringify((error as TaskFailedError).failure)).toContain("activity attempt 5 failed");
  });

  test.each([
    ["named in the policy", new TaskFailure("no such card", { type: "CardUnknown" })],
    ["said by the task itself", new TaskFailure("no such card", { type: "Other", nonRetryable: true })],
  ])("a failure that makes no sense to repeat is not repeated: %s", async (_, failure) => {
    let attempts = 0;
    const charge = task("charge", { retry: { nonRetryableErrorTypes: ["CardUnknown"] } });
    const buy = workflow("buy", {}, async (ctx) => {
      try {
        return await ctx.task(charge);
      } catch (error) {
        if (!(error instanceof ActivityFailure && error.cause instanceof ApplicationFailure)) throw error;
        return { type: error.cause.type, message: error.cause.message, retryState: error.retryState };
      }
    });
    const environment = testEnvironment({
      workflows: [buy],
      tasks: {
        charge: () => {
          attempts += 1;
          throw failure;
        },
      },
    });
    expect(await (await environment.start(buy, undefined)).result()).toEqual({
      type: failure.type,
      message: "no such card",
      retryState: "nonRetryableFailure",
    });
    expect(attempts).toBe(1);
  });

  test("an error class of one's own is matched by its name", async () => {
    class CardUnknown extends Error {
      override readonly name = "CardUnknown";
    }
    let attempts = 0;
    const buy = workflow("buy", {}, (ctx) =>
      ctx.step(
        "charge",
        () => {
          attempts += 1;
          throw new CardUnknown("no such card");
        },
        { retry: { nonRetryableErrorTypes: ["CardUnknown"] } },
      ),
    );
    const environment = testEnvironment({ workflows: [buy] });
    await expect((await environment.start(buy, undefined)).result()).rejects.toBeInstanceOf(TaskFailedError);
    expect(attempts).toBe(1);
  });
});

describe("polling", () => {
  const Greeting = z.object({ greeting: z.string(), name: z.string() });

  test("infrequent: the retry policy is the interval", async () => {
    let asked = 0;
    const compose = task("compose", {
      input: Greeting,
      output: z.string(),
      timeouts: { startToClose: "2s" },
      retry: { initialIntervalMs: 60_000, backoffCoefficient: 1 },
    });
    const greeting = workflow("greeting", { input: z.string(), output: z.string() }, (ctx, name) =>
      ctx.task(compose, { greeting: "Hello", name }),
    );
    const environment = testEnvironment({
      workflows: [greeting],
      tasks: {
        compose: (_, input) => {
          asked += 1;
          if (asked < 5) throw new Error("service is down");
          const { greeting, name } = Greeting.parse(input);
          return `${greeting}, ${name}!`;
        },
      },
    });
    const run = await environment.start(greeting, "Temporal");
    await environment.sleep("239s");
    expect(asked).toBe(4);
    await environment.sleep("2s");
    expect(await run.result()).toBe("Hello, Temporal!");
  });

  test("frequent: one attempt asks again and again, and its heartbeats keep it alive", async () => {
    const poll = task("poll", { output: z.string(), heartbeat: "5s", timeouts: { startToClose: "10m" } });
    const polling = workflow("polling", { output: z.string() }, (ctx) => ctx.task(poll));
    const environment = testEnvironment({
      workflows: [polling],
      tasks: {
        poll: async ({ attempt, progress }) => {
          for (let asked = 1; asked <= 60; asked++) {
            progress(asked);
            await environment.sleep("1s");
          }
          return `after 60 questions, in attempt ${attempt}`;
        },
      },
    });
    expect(await (await environment.start(polling, undefined)).result()).toBe("after 60 questions, in attempt 1");
  });
});

describe("heartbeats", () => {
  test("an attempt that falls silent is followed by one that goes on where it was", async () => {
    const fakeProgress = task("fakeProgress", { output: z.int(), heartbeat: "3s", timeouts: { startToClose: "10m" } });
    const walking = workflow("walking", { output: z.int() }, (ctx) => ctx.task(fakeProgress));
    const startedAt: unknown[] = [];
    const environment = testEnvironment({
      workflows: [walking],
      tasks: {
        fakeProgress: async ({ attempt, heartbeatDetails, progress }) => {
          startedAt.push(heartbeatDetails);
          for (let at = typeof heartbeatDetails === "number" ? heartbeatDetails : 1; at <= 10; at++) {
            progress(at);
            await environment.sleep(attempt === 1 && at === 6 ? "1m" : "1s");
          }
          return attempt;
        },
      },
    });
    expect(await (await environment.start(walking, undefined)).result()).toBe(2);
    expect(startedAt).toEqual([undefined, 6]);
  });
});
