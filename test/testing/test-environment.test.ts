import { expect, test } from "vitest";
import { z } from "zod";
import { TaskFailedError } from "../../src/client/task-outcome.js";
import { task, workflow } from "../../src/index.js";
import { testEnvironment } from "../../src/testing/index.js";

const reminder = task("remind", { input: z.object({ who: z.string(), day: z.int() }) });
const approval = workflow(
  "approval",
  {
    input: z.object({ who: z.string() }),
    output: z.enum(["approved", "given up"]),
    signals: { approve: z.void() },
    queries: { reminders: { output: z.int() } },
  },
  async (ctx, { who }) => {
    let approved = false;
    let day = 0;
    ctx.onSignal("approve", () => {
      approved = true;
    });
    ctx.onQuery("reminders", () => day);
    while (day < 7) {
      if (await ctx.condition(() => approved, "1 days")) return "approved";
      day += 1;
      await ctx.task(reminder, { who, day });
    }
    return "given up";
  },
);

test("a week passes at once", async () => {
  const reminded: unknown[] = [];
  const env = testEnvironment({
    workflows: [approval],
    tasks: { remind: (_context, input) => void reminded.push(input) },
    startAt: new Date("2025-03-01T00:00:00Z"),
  });
  const run = await env.start(approval, { who: "me" });
  expect(await run.result()).toBe("given up");
  expect(reminded).toHaveLength(7);
  expect(env.now.toISOString()).toBe("2025-03-08T00:00:00.000Z");
});

test("a signal comes at the instant that the test chose, and time stands still between its calls", async () => {
  const env = testEnvironment({ workflows: [approval], tasks: { remind: () => undefined } });
  const run = await env.start(approval, { who: "me" });
  const begun = env.now.getTime();
  await env.sleep("60h");
  expect(env.now.getTime() - begun).toBe(60 * 3_600_000);
  expect(await run.query("reminders")).toBe(2);
  await run.describe();
  await run.signal("approve");
  expect(await run.result()).toBe("approved");
  expect(env.now.getTime() - begun).toBe(60 * 3_600_000);
});

test("the same test has the same ids, instants and chances", async () => {
  const drawing = workflow(
    "drawing",
    {},
    async (ctx) => await Promise.resolve([ctx.info.runId, Math.random(), Date.now()]),
  );
  const draw = async () => {
    const env = testEnvironment({ workflows: [drawing] });
    const run = await env.start(drawing, undefined);
    return [run.workflowId, await run.result()];
  };
  expect(await draw()).toEqual(await draw());
});

test("what is never going to happen is not waited for: it says what the run waits for", async () => {
  const env = testEnvironment({ workflows: [approval] });
  const unmocked = await env.start(approval, { who: "me" });
  await expect(unmocked.result()).rejects.toMatchObject({
    code: "REQUEST_TIMED_OUT",
    message: expect.stringMatching(
      /^nothing is going to happen any more in this test environment, and workflow-1 is running: it waits for task r[\w-]+ \(remind\): no agent has capability remind/,
    ),
  });
  // Nothing is lost by it.
  await env.onTask("remind", () => undefined);
  expect(await unmocked.result()).toBe("given up");
});

test("a test may act while it waits for a result", async () => {
  const env = testEnvironment({ workflows: [approval], tasks: { remind: () => undefined } });
  const run = await env.start(approval, { who: "me" });
  const result = run.result();
  await env.sleep("1h");
  await run.signal("approve");
  expect(await result).toBe("approved");
});

test("a mock may take the machine's time, the test's, or for ever", async () => {
  const env = testEnvironment({
    workflows: [approval],
    tasks: {
      remind: async (_context, input) => {
        const { day } = input as { day: number };
        if (day === 1) await new Promise((resolve) => setTimeout(resolve, 10));
        if (day === 2) await env.sleep("12h");
        if (day === 3) await new Promise(() => undefined);
      },
    },
  });
  const run = await env.start(approval, { who: "me" });
  await env.sleep("36h");
  expect(await run.query("reminders")).toBe(1);
  await env.sleep("47h");
  expect(await run.query("reminders")).toBe(2);
  await env.sleep("48h");
  expect(await run.query("reminders")).toBe(3);
  await env.sleep("300h");
  expect(await run.query("reminders")).toBe(3);
});

test("refusals are those of a client", async () => {
  const env = testEnvironment({ workflows: [approval] });
  await expect(env.start(approval, { whom: "me" } as never)).rejects.toThrow(/who/);
  await expect(env.start(approval, { who: "me" }, { workflowId: "not an id" })).rejects.toMatchObject({
    code: "INVALID_ID",
  });
  await expect(env.workflow("nobody").result()).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(env.workflow("nobody").history()).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(env.sleep("soon" as never)).rejects.toMatchObject({ code: "USAGE" });
  const run = await env.start(approval, { who: "me" });
  await run.terminate();
  await expect(run.result()).rejects.toThrow(TaskFailedError);
});

test("a start that is repeated is the same start, as its policies say", async () => {
  const env = testEnvironment({ workflows: [approval], tasks: { remind: () => undefined } });
  const run = await env.start(approval, { who: "me" }, { workflowId: "w-1" });
  await env.start(approval, { who: "me" }, { workflowId: "w-1" });
  await expect(env.start(approval, { who: "you" }, { workflowId: "w-1" })).rejects.toMatchObject({
    code: "ID_CONFLICT",
  });
  await env.start(approval, { who: "you" }, { workflowId: "w-1", idConflictPolicy: "terminateExisting" });
  await run.signal("approve");
  expect(await run.result()).toBe("approved");
  const history = await run.history();
  expect(history[0]).toMatchObject({ workflowId: "w-1", input: { who: "you" } });
});

test("a worker without memory replays each time, which shows code that is not deterministic", async () => {
  let calls = 0;
  const careless = workflow("careless", {}, async (ctx) => {
    calls += 1;
    if (calls === 1) await ctx.sleep("1m");
    await ctx.step("end", () => 1);
    return calls;
  });
  const remembering = testEnvironment({ workflows: [careless] });
  expect(await (await remembering.start(careless, undefined)).result()).toBe(1);
  calls = 0;
  const logger = (await import("../../src/logger.js")).silentLogger;
  const forgetful = testEnvironment({ workflows: [careless], maxCachedRuns: 0, logger });
  const run = await forgetful.start(careless, undefined);
  await expect(run.result()).rejects.toThrow(/NONDETERMINISM/);
});

test("a chain of runs that never waits is not gone after for ever: it is named", async () => {
  const restless = workflow("restless", {}, (ctx) => ctx.continueAsNew());
  const env = testEnvironment({ workflows: [restless] });
  const endless = {
    code: "REQUEST_TIMED_OUT",
    message: expect.stringMatching(
      /^workflow workflow-1 \("restless"\) continued as new 1000 times while the clock of this test environment stood at 2025-01-01T00:00:00.000Z/,
    ),
  };
  await expect(env.start(restless, undefined)).rejects.toMatchObject(endless);
  await expect(env.sleep("1h")).rejects.toMatchObject(endless);
});

test("an update may take days of the test's clock, and one that nobody will finish is not waited for", async () => {
  const shop = workflow(
    "shop",
    { updates: { order: { input: z.int(), output: z.int() } }, signals: { close: z.void() } },
    async (ctx) => {
      ctx.onUpdate("order", async (days) => {
        if (days > 0) await ctx.sleep(days * 86_400_000);
        else await ctx.condition(() => false);
        return days;
      });
      await ctx.signal("close");
    },
  );
  const env = testEnvironment({ workflows: [shop] });
  const run = await env.start(shop, undefined);
  expect(await run.update("order", 30)).toBe(30);
  await expect(run.update("order", 0)).rejects.toMatchObject({
    code: "REQUEST_TIMED_OUT",
    message: expect.stringMatching(/update order is not finished/),
  });
});
