/** Tasks, children and dags on a real nats-server and orchestrator, with agents as an application has them. */
import {
  type ActivityFailure,
  agent,
  type Client,
  connectClient,
  dag,
  silentLogger,
  TaskFailedError,
  TimeoutFailure,
  task,
  worker,
  workflow,
} from "perdure";
import { type LocalSystem, startLocalSystem } from "perdure/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { until } from "../support/until.js";

const square = task("square", { input: z.number(), output: z.number() });
const silent = task("silent", {
  timeouts: { startToClose: "300ms" },
  retry: { maximumAttempts: 2, initialIntervalMs: 50 },
});
const mute = task("mute", { heartbeat: "300ms", retry: { maximumAttempts: 1 } });
const wait = task("wait", { input: z.string() });
const sum = task("sum", { output: z.number() });

const fanOut = workflow("fan-out", { input: z.number(), output: z.number() }, async (ctx, width) => {
  const squares = await Promise.all(Array.from({ length: width }, (_, n) => ctx.task(square, n)));
  return squares.reduce((total, one) => total + one, 0);
});

const impatient = workflow("impatient", { output: z.array(z.string()) }, async (ctx) => {
  const tried = await Promise.allSettled([
    ctx.task(silent),
    ctx.task(mute),
    ctx.task("nobody-does-this", null, { timeouts: { scheduleToStart: "300ms" } }),
  ]);
  return tried.map((each) => {
    const { cause } = each.status === "rejected" ? (each.reason as ActivityFailure) : expect.fail("it completed");
    return cause instanceof TimeoutFailure ? cause.timeoutType : String(cause);
  });
});

const waiter = workflow("waiter", { input: z.string() }, (ctx, id) => ctx.task(wait, id));
const parent = workflow("parent", { input: z.string() }, (ctx, id) => ctx.child(waiter, id, { workflowId: id }));

const began: string[] = [];
const aborted: string[] = [];
let stop: () => Promise<unknown>;
let client: Client;

beforeAll(async () => {
  const system: LocalSystem = await startLocalSystem();
  client = await connectClient({ servers: system.url });
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const hands = agent("hands", {
    servers: system.url,
    logger: silentLogger,
    maxConcurrentTasks: 100,
    tasks: {
      square: (_task, n) => (n as number) ** 2,
      sum: ({ dependencyResults }) =>
        Object.values(dependencyResults as Record<string, number>).reduce((a, b) => a + b, 0),
      silent: ({ signal }) => untilAborted(signal),
      mute: ({ signal }) => untilAborted(signal),
      wait: ({ signal }, id) => {
        began.push(id as string);
        signal.addEventListener("abort", () => aborted.push(id as string));
        return untilAborted(signal);
      },
    },
  });
  await hands.start();
  const workflows = [fanOut, impatient, waiter, parent];
  const code = await worker({ servers: system.url, workflows, logger: silentLogger });
  stop = async () => {
    await Promise.all([hands.stop(), code.stop(), client.close()]);
    await system.stop();
  };
});
afterAll(() => stop());

it("500 tasks on one agent come back to one join", async () => {
  const run = await client.start(fanOut, 500);
  expect(await run.result()).toBe((499 * 500 * 999) / 6);
});

it("each time-out is told apart by the code", async () => {
  const run = await client.start(impatient, undefined);
  expect(await run.result()).toEqual(["startToClose", "heartbeat", "scheduleToStart"]);
});

describe("the agent of a task hears of it", () => {
  it("when its run is cancelled, and the run ends cancelled once it has stopped", async () => {
    const run = await client.start(waiter, "w-1");
    await until("the task has begun", () => began.includes("w-1"));
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ state: "cancelled" });
    expect(aborted).toContain("w-1");
  });

  it("when the parent of its run is terminated", async () => {
    const run = await client.start(parent, "w-2");
    await until("the task has begun", () => began.includes("w-2"));
    await run.terminate("enough");
    const end = await run.result().catch((error: unknown) => error);
    expect(end).toBeInstanceOf(TaskFailedError);
    expect(end).toMatchObject({ state: "terminated" });
    expect((await client.workflow(waiter, "w-2").wait()).state).toBe("terminated");
    await until("the agent was told", () => aborted.includes("w-2"));
  });

  it("when its run times out", async () => {
    const run = await client.start(waiter, "w-3", { runTimeout: "500ms" });
    await expect(run.result()).rejects.toMatchObject({ state: "timed_out", failure: { type: "WORKFLOW_TIMED_OUT" } });
    await until("the agent was told, if it had begun", () => aborted.includes("w-3") || !began.includes("w-3"));
  });
});

describe("a dag", () => {
  const build = dag("build", { input: z.array(z.number()) }, (d, given) => {
    const squares = given.map((n) => d.task(`square-${n}`, square, n));
    const total = d.task("total", sum, undefined, { after: squares, priority: "high" });
    d.task("again", sum, undefined, { after: [total] });
  });

  it("runs its tasks in the order of their dependencies, whose outputs they are given", async () => {
    const tasks = await client.startDag(build, [1, 2, 3]);
    expect([...tasks.keys()]).toEqual(["square-1", "square-2", "square-3", "total", "again"]);
    expect(await tasks.get("again")?.result()).toBe(14);
    expect(await tasks.get("square-3")?.result()).toBe(9);
  });

  it("that is submitted again under the same id is the same dag", async () => {
    const first = await client.startDag(build, [4], { dagId: "build-4" });
    expect(await first.get("again")?.result()).toBe(16);
    const second = await client.startDag(build, [4], { dagId: "build-4" });
    expect(second.get("total")?.taskId).toBe(first.get("total")?.taskId);
    expect(await second.get("total")?.result()).toBe(16);
  });

  it("whose task fails fails what depends on it, with the reason", async () => {
    const failing = dag("failing", {}, (d) => {
      const first = d.task("first", silent);
      d.task("second", sum, undefined, { after: [first] });
    });
    const tasks = await client.startDag(failing, undefined);
    const end = await tasks
      .get("second")
      ?.result()
      .catch((error: unknown) => error);
    expect(end).toMatchObject({ state: "failed", failure: { type: "DEPENDENCY_FAILED" } });
  });
});
