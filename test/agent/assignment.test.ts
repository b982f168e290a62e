import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { z } from "zod";
import { TaskFailure } from "../../src/agent/task-failure.js";
import type { TaskContext } from "../../src/agent/task-handler.js";
import { withInput } from "../../src/agent/with-input.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { givenScene, HeldTask } from "./given.js";

const nats = useNats();

it("hands in what the task returned, under the token of the attempt", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1").start();

  const { taskId, token } = orchestrator.assign("cam-1", { input: { frame: 7 }, attempt: 3 });

  expect(await orchestrator.resultOf(taskId)).toMatchObject({
    taskId,
    token,
    attempt: 3,
    agentId: "cam-1",
    incarnation: 1,
    status: "completed",
    output: { frame: 7 },
  });
});

it.each([[null], [0], [""], [false], [[]]])("hands in %j as an output like any other", async (output) => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1", { tasks: { echo: () => output } }).start();

  const { taskId } = orchestrator.assign("cam-1");

  expect(await orchestrator.resultOf(taskId)).toHaveProperty("output", output);
});

it("hands in no output for a task that returns nothing", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1", { tasks: { echo: async () => undefined } }).start();

  const { taskId } = orchestrator.assign("cam-1");

  const result = await orchestrator.resultOf(taskId);
  expect(result.status).toBe("completed");
  expect(result).not.toHaveProperty("output");
});

it("announces a task that runs for longer, and not one that has ended by then", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { maxConcurrentTasks: 2, tasks: { echo: (_, input) => input, held: held.handler() } }).start();

  const short = orchestrator.assign("cam-1");
  const long = orchestrator.assign("cam-1", { type: "held" });

  await orchestrator.reportOf("accepted", long.taskId);
  expect(orchestrator.results.map(({ taskId }) => taskId)).toEqual([short.taskId]);
  expect(orchestrator.reports).toHaveLength(1);
});

it("gives the task's code what the assignment says", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const seen: TaskContext[] = [];
  await agent("cam-1", { tasks: { echo: (context) => void seen.push(context) } }).start();

  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const task = {
    taskId: "t-9",
    type: "echo",
    attempt: 2,
    token: randomUUID(),
    priority: "high",
    dependencyResults: { "t-8": { sum: 3 } },
    metadata: { domain: "security" },
  };
  orchestrator.send("cam-1", { task }, { traceparent });

  await orchestrator.resultOf("t-9");
  expect(seen[0]).toMatchObject({ ...task, traceparent, deadlineAt: undefined });
});

it("hands in what the task threw, with its type, its stack and whether another attempt makes sense", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const failures = {
    plain: () => {
      throw new RangeError("too far");
    },
    chosen: async () => {
      throw new TaskFailure("no such frame", { type: "FRAME_MISSING", nonRetryable: true, cause: new Error("404") });
    },
    text: () => Promise.reject("just text"),
    hostile: () => {
      throw Object.defineProperty(new Error("x"), "message", {
        get: () => {
          throw new Error("got you");
        },
      });
    },
  };
  await agent("cam-1", { tasks: failures, maxConcurrentTasks: 9 }).start();

  const assigned = (type: string) => orchestrator.resultOf(orchestrator.assign("cam-1", { type }).taskId);

  const plain = await assigned("plain");
  expect(plain).toMatchObject({ status: "failed", error: { type: "RangeError", message: "too far" } });
  expect(plain.error?.stack).toContain("assignment.test.ts");
  const chosen = await assigned("chosen");
  expect(chosen.error).toMatchObject({ type: "FRAME_MISSING", message: "no such frame", nonRetryable: true });
  expect(chosen.error?.stack).toContain("caused by: Error: 404");
  expect((await assigned("text")).error).toMatchObject({ type: "Error", message: "just text" });
  expect((await assigned("hostile")).status).toBe("failed");
});

it("leaves a task of a type it has no code for to other agents", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1", { capabilities: ["echo", "ocr"] }).start();

  const { taskId } = orchestrator.assign("cam-1", { type: "ocr" });

  const { status, error } = await orchestrator.resultOf(taskId);
  expect(status).toBe("failed");
  expect(error?.type).toBe("TASK_TYPE_UNKNOWN");
  expect(error?.nonRetryable).toBeUndefined();
});

it("refuses input that does not fit the handler's schema, for good", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const square = withInput(z.object({ side: z.number() }), (_, { side }) => side * side);
  await agent("cam-1", { tasks: { square }, maxConcurrentTasks: 2 }).start();

  const good = orchestrator.assign("cam-1", { type: "square", input: { side: 3 } });
  const bad = orchestrator.assign("cam-1", { type: "square", input: { side: "three" } });

  expect((await orchestrator.resultOf(good.taskId)).output).toBe(9);
  const { error } = await orchestrator.resultOf(bad.taskId);
  expect(error).toMatchObject({ type: "TASK_INPUT_INVALID", nonRetryable: true });
  expect(error?.message).toContain("side");
});

it.each<[string, unknown, string]>([
  ["too large", "x".repeat(128 * 1024), "PAYLOAD_TOO_LARGE"],
  ["too large in bytes only", "ß".repeat(65 * 1024), "PAYLOAD_TOO_LARGE"],
  ["circular", circle(), "TASK_OUTPUT_INVALID"],
  ["a function", () => 1, "TASK_OUTPUT_INVALID"],
])("fails a task for good whose output is %s", async (_, output, type) => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1", { tasks: { echo: () => output } }).start();

  const { taskId } = orchestrator.assign("cam-1");

  expect(await orchestrator.resultOf(taskId)).toMatchObject({ status: "failed", error: { type, nonRetryable: true } });
});

it("runs an assignment once, however often it is sent, and answers each time", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();
  const assignment = orchestrator.assign("cam-1", { taskId: "t-1" });
  await orchestrator.reportOf("accepted", "t-1");

  orchestrator.send("cam-1", { task: assignment });
  await until("it is accepted again", () => orchestrator.reports.length === 2);
  held.returnAll("done");
  await orchestrator.resultOf("t-1");
  orchestrator.send("cam-1", { task: assignment });
  await until("the result is handed in again", () => orchestrator.results.length === 2);

  expect(held.started).toBe(1);
  expect(orchestrator.results[1]).toEqual(orchestrator.results[0]);
});

it("hands back what is beyond its limit until the orchestrator knows", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  orchestrator.heartbeatIntervalMs = 50;
  await agent("cam-1", { tasks: { echo: held.handler() }, maxConcurrentTasks: 1 }).start();
  orchestrator.assign("cam-1", { taskId: "t-1" });

  const surplus = orchestrator.assign("cam-1", { taskId: "t-2" });
  const released = () => orchestrator.reports.filter(({ state }) => state === "released");
  await until("it is handed back twice", () => released().length >= 2);
  expect(released()[0]).toMatchObject({ taskId: "t-2", token: surplus.token });
  orchestrator.answerHeartbeat = ({ agentId, tokens = [] }) => ({
    status: orchestrator.registered(agentId),
    cancel: tokens.filter((token) => token === surplus.token),
  });

  await until("heartbeats no longer name it", () => {
    const last = orchestrator.heartbeats.at(-1);
    return last?.tokens !== undefined && !last.tokens.includes(surplus.token);
  });
  expect(held.started).toBe(1);
});

it("aborts a task whose time is up, measured by the orchestrator's clock, and leaves its end to the orchestrator", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler(), next: () => "ran" } }).start();
  const wrongByAnHour = Date.now() - 3_600_000;

  const assignment = {
    timestamp: wrongByAnHour,
    task: {
      taskId: "t-1",
      type: "echo",
      attempt: 1,
      token: "k-1",
      priority: "normal",
      deadlineAt: wrongByAnHour + 30,
      dependencyResults: {},
      metadata: {},
    },
  };
  orchestrator.send("cam-1", assignment);

  await until("it is aborted", () => held.contexts[0]?.signal.aborted === true);
  expect(held.contexts[0]?.signal.reason).toMatchObject({ name: "AbortError", kind: "deadlinePassed" });
  // A new leader does not know that the time was up, and sends it once more.
  orchestrator.send("cam-1", assignment);
  const next = orchestrator.assign("cam-1", { type: "next" });
  await orchestrator.resultOf(next.taskId);
  expect(orchestrator.results.map(({ taskId }) => taskId)).toEqual([next.taskId]);
  expect(held.started).toBe(1);
});

it("does not take a deadline of a month for one that has passed", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();

  const { taskId } = orchestrator.assign("cam-1", { deadlineAt: Date.now() + 31 * 86_400_000 });

  await orchestrator.reportOf("accepted", taskId);
  expect(held.contexts[0]?.signal.aborted).toBe(false);
});

it("reports the last progress of an attempt that fails ahead of its failure, for the attempt that goes on from there", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const halfway = ({ progress }: TaskContext) => {
    for (let percent = 1; percent <= 50; percent += 1) progress({ percent });
    throw new Error("no more paper");
  };
  await agent("cam-1", { tasks: { echo: halfway } }).start();

  const { taskId, token } = orchestrator.assign("cam-1");

  expect(await orchestrator.resultOf(taskId)).toMatchObject({ status: "failed" });
  expect(orchestrator.reports.filter(({ state }) => state === "progress")).toMatchObject([
    { taskId, token, progress: { percent: 1 } },
    { taskId, token, progress: { percent: 50 } },
  ]);
});

it("reports the last progress of an attempt ahead of handing it back", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  const stopped = agent("cam-1", { tasks: { echo: held.handler() } });
  await stopped.start();
  orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  for (let percent = 1; percent <= 50; percent += 1) held.contexts[0]?.progress({ percent });
  await stopped.stop();

  const said = () => orchestrator.reports.filter(({ state }) => state === "progress" || state === "released");
  await until("it is handed back", () => said().at(-1)?.state === "released");
  expect(said()).toMatchObject([{ progress: { percent: 1 } }, { progress: { percent: 50 } }, { state: "released" }]);
});

it("reports progress, thinned out, and what the attempt has cost in all", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();
  const { taskId, token } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);
  const [context] = held.contexts;

  for (let percent = 1; percent <= 100; percent += 1) context?.progress({ percent });
  context?.reportUsage({ cost: 0.25, tokens: { input: 10, output: 1 }, model: "small" });
  context?.reportUsage({ cost: 0.5, tokens: { input: 20, output: 2 }, model: "large" });

  const progress = () => orchestrator.reports.filter(({ state }) => state === "progress");
  await until("the latest progress arrives", () => progress().length === 2);
  expect(progress()).toMatchObject([{ taskId, token, progress: { percent: 1 } }, { progress: { percent: 100 } }]);
  expect(() => context?.reportUsage({ cost: -1, tokens: { input: 0, output: 0 }, model: "x" })).toThrow("cost");
  expect(() => context?.progress("x".repeat(200_000))).toThrow("bytes");
  held.returnAll(null);
  expect((await orchestrator.resultOf(taskId)).usage).toEqual({
    cost: 0.75,
    tokens: { input: 30, output: 3 },
    model: "large",
  });
});

it("lives on through malformed messages of every kind, and answers those it can", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const camera = agent("cam-1");
  await camera.start();

  const nonsense = ["", "{", "null", "[]", "7", '"task"', "{}", '{"task":null}', '{"status":{"state":"cancel"}}'];
  for (const kind of ["task", "status"] as const) {
    for (const bytes of nonsense) orchestrator.sendBytes(kind, "cam-1", bytes);
    orchestrator.sendBytes(kind, "cam-1", Uint8Array.of(0xff, 0xfe, 0x00));
  }
  for (const state of ["cancel", "registered", "superseded", "unheard-of"]) {
    orchestrator.order("cam-1", { state, incarnation: "one", token: 7 });
  }
  orchestrator.order("cam-1", { state: "cancel" });
  orchestrator.send("cam-1", { task: { taskId: "t-1", attempt: 1, token: "k-1", type: 7 } });

  expect(await orchestrator.resultOf("t-1")).toMatchObject({
    token: "k-1",
    status: "failed",
    error: { type: "INVALID_MESSAGE" },
  });
  const { taskId } = orchestrator.assign("cam-1", { input: "still here" });
  expect((await orchestrator.resultOf(taskId)).output).toBe("still here");
});

function circle(): unknown {
  const value: { self?: unknown } = {};
  value.self = value;
  return value;
}
