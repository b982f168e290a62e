import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { type Assigned, Engine, type HandWrittenAgent, type Json, jsonOf, withEnvelope } from "./peers.js";

const nats = useNats();

async function givenRunning(engine: Engine, task: Json = {}): Promise<[HandWrittenAgent, Assigned]> {
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr", ...task });
  const assigned = await agent.takeTask();
  await engine.untilState(taskId, "running");
  return [agent, assigned];
}

it.each([null, 0, "", false, [], {}, "text", -1.5, { deep: [null, { a: "" }] }])(
  "keeps the output %j",
  async (output) => {
    await using engine = await Engine.start(nats.url);
    const [agent, task] = await givenRunning(engine);
    agent.complete(task, output);
    const ended = await engine.wait(task.taskId);
    expect(ended).toMatchObject({ state: "completed", attempt: 1, agentId: "k-1" });
    expect(ended["output"]).toEqual(output);
  },
);

it("takes a result without output for one with null", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  agent.result(task, {});
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "completed", output: null });
});

it("takes a result without token where agent, incarnation and attempt are right", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  agent.complete(task, "read", { token: undefined });
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "completed", output: "read" });
});

it("takes a result for an acceptance too", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  agent.complete(await agent.nextTask(), "read");
  expect(await engine.wait(taskId)).toMatchObject({ state: "completed" });
});

it("shows what an attempt cost, and adds it up", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  const usage = { cost: 0.25, tokens: { input: 100, output: 20 }, model: "small-1" };
  agent.complete(task, "read", { usage, durationMs: 12.5 });
  expect(await engine.wait(task.taskId)).toMatchObject({ usage });
  expect(await engine.status()).toMatchObject({
    usage: { cost: 0.25, tokens: { input: 100, output: 20 } },
    endedTaskCounts: { completed: 1, failed: 0, cancelled: 0, timed_out: 0 },
  });
});

it("shows the whole error of a failed task", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine, { retry: { maximumAttempts: 1 } });
  const error = { type: "Torn", message: "page is torn", stack: "at page 1" };
  agent.fail(task, error);
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "failed", reason: "page is torn", error });
});

it("cuts an error that is too long to be kept", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine, { retry: { maximumAttempts: 1 } });
  agent.fail(task, { type: "Torn", message: `m${"x".repeat(400_000)}`, stack: `s${"x".repeat(600_000)}` });
  const { error } = await engine.wait(task.taskId);
  expect(error).toMatchObject({
    type: "Torn",
    message: expect.stringMatching(/^mx{8191}$/),
    stack: expect.stringMatching(/^sx{16383}$/),
  });
});

it.each<[string, Json, string]>([
  ["of another token", { token: "AAAAAAAAAAAAAAAAAAAAAA" }, "RESULT_STALE"],
  ["of another attempt", { attempt: 2 }, "RESULT_STALE"],
  ["of another attempt, without token", { attempt: 2, token: undefined }, "RESULT_STALE"],
  ["that names another agent", { agentId: "k-2" }, "RESULT_STALE"],
  ["of another incarnation, without token", { incarnation: 2, token: undefined }, "RESULT_STALE"],
  ["of a task nobody submitted", { taskId: "nobody" }, "RESULT_UNKNOWN_TASK"],
])("refuses a result %s and goes on waiting", async (_, change, code) => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  agent.result(task, { output: "wrong", ...change });
  const refused = await engine.event("RESULT_REFUSED", { code });
  expect(refused).toMatchObject({
    payload: { agentId: "k-1", message: expect.stringContaining("dropped the result") },
  });
  expect(await engine.get(task.taskId)).toMatchObject({ state: "running" });
  agent.complete(task, "right");
  expect(await engine.wait(task.taskId)).toMatchObject({ output: "right" });
});

it("refuses a result that comes on another agent's subject, token or not", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  const thief = await engine.agent("k-2", { capabilities: [] });
  thief.complete(task, "stolen");
  thief.complete(task, "stolen", { agentId: "k-1" });
  await until("both were refused", () => engine.eventsLike("RESULT_REFUSED", { agentId: "k-2" }).length === 2);
  agent.complete(task, "mine");
  expect(await engine.wait(task.taskId)).toMatchObject({ output: "mine", agentId: "k-1" });
});

it("takes a repeated result silently and refuses one that says something else", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  agent.complete(task, { b: 1, a: 2 });
  agent.complete(task, { a: 2, b: 1 });
  agent.fail(task);
  agent.complete(task, "other");
  await until("both were refused", () => engine.eventsLike("RESULT_REFUSED", { code: "RESULT_CONFLICT" }).length === 2);
  expect(engine.eventsLike("RESULT_REFUSED")).toHaveLength(2);
  expect(await engine.get(task.taskId)).toMatchObject({ state: "completed", output: { a: 2, b: 1 } });
  expect(engine.eventsLike("TASK_COMPLETED", { taskId: task.taskId })).toHaveLength(1);
});

it("refuses the result of a replaced process once its task is with the new one", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, first] = await givenRunning(engine);
  await agent.register({ instanceId: "process-2" });
  const second = await agent.takeTask();
  agent.complete(first, "late");
  agent.complete(first, "late, without token", { token: undefined, incarnation: 1, attempt: 2 });
  await until("both were refused", () => engine.eventsLike("RESULT_REFUSED", { code: "RESULT_STALE" }).length === 2);
  agent.complete(second, "in time");
  expect(await engine.wait(first.taskId)).toMatchObject({ output: "in time", attempt: 2 });
});

it("takes the late result of an attempt that was given up, while nobody else has begun", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine, { timeoutMs: 50, retry: { initialIntervalMs: 60_000 } });
  await engine.untilState(task.taskId, "backoff");
  agent.complete(task, "saved");
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "completed", output: "saved", attempt: 1 });
});

it("takes an agent that stops without being asked to for one that failed", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine, { retry: { maximumAttempts: 1 } });
  agent.result(task, { status: "cancelled" });
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "failed", error: { type: "CANCELLED_BY_AGENT" } });
});

it("applies a result that was handed in while no orchestrator ran", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  await engine.orchestrator.stop();
  agent.complete(task, "meanwhile");
  await agent.nats.flush();
  await engine.restart();
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "completed", output: "meanwhile", attempt: 1 });
});

it("acknowledges a result that asks for it as stored", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, { taskId, attempt, token }] = await givenRunning(engine);
  const result = { taskId, attempt, token, agentId: "k-1", status: "completed", output: 1 };
  const subject = `${engine.namespace}.agent.k-1.result`;
  const answer = await agent.nats.request(subject, JSON.stringify(withEnvelope({ result })));
  expect(jsonOf(answer.data)).toMatchObject({ stream: `${engine.namespace.toUpperCase()}_RESULTS`, seq: 1 });
  expect(await engine.wait(taskId)).toMatchObject({ state: "completed" });
});

it.each<[string, Json, string]>([
  ["an unknown status", { status: "done" }, "INVALID_MESSAGE"],
  ["an error that is text", { status: "failed", error: "torn" }, "INVALID_MESSAGE"],
  ["half a usage", { usage: { cost: 1 } }, "INVALID_MESSAGE"],
  ["an output over 128 KB", { output: "x".repeat(131_071) }, "PAYLOAD_TOO_LARGE"],
  ["an output of almost 1 MB", { output: "x".repeat(1_048_000) }, "PAYLOAD_TOO_LARGE"],
])("fails the attempt whose result has %s: left alone, the task would run for ever", async (_, change, type) => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine, { retry: { maximumAttempts: 1 } });
  agent.result(task, change);
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "failed", error: { type } });
});

it.each<[string, (task: Assigned) => string]>([
  ["nested too deep", (task) => outputAsText(task, `${"[".repeat(100_000)}${"]".repeat(100_000)}`)],
  // Read and written again, each of these five bytes is twenty-two.
  [
    "made of numbers that grow when they are written again",
    (task) => outputAsText(task, `[${"1e20,".repeat(190_000)}1]`),
  ],
])("survives an output %s, and fails its attempt", async (_, body) => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine, { retry: { maximumAttempts: 1 } });
  agent.nats.publish(`${engine.namespace}.agent.k-1.result`, body(task));
  expect(await engine.wait(task.taskId)).toMatchObject({ state: "failed", error: { type: expect.any(String) } });
  expect(engine.orchestrator.state).toBe("leading");
});

it("keeps an output of exactly 128 KB, through get, wait and a dependent's assignment", async () => {
  await using engine = await Engine.start(nats.url);
  const [agent, task] = await givenRunning(engine);
  const output = "x".repeat(131_070);
  agent.complete(task, output);
  expect((await engine.wait(task.taskId))["output"]).toBe(output);
  await engine.submitted({ type: "ocr", dependencies: [task.taskId], input: output });
  expect(await agent.nextTask()).toMatchObject({ input: output, dependencyResults: { [task.taskId]: output } });
});

it("fails a task whose assignment does not fit into a message for what its dependencies returned", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 9 });
  const ids = Array.from({ length: 9 }, (_, index) => `t-${index}`);
  const tasks: Json[] = ids.map((taskId) => ({ taskId, type: "ocr" }));
  await engine.ask("task.submit", { tasks: [...tasks, { taskId: "last", type: "ocr", dependencies: ids }] });
  for (const _ of ids) agent.complete(await agent.takeTask(), "x".repeat(131_000));
  expect(await engine.wait("last")).toMatchObject({ state: "failed", error: { type: "PAYLOAD_TOO_LARGE" } });
});

function outputAsText({ taskId, attempt, token }: Assigned, output: string): string {
  const result = { taskId, attempt, token, agentId: "k-1", status: "completed", output: "HERE" };
  return JSON.stringify(withEnvelope({ result })).replace('"HERE"', output);
}
