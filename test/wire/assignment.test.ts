import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { Engine, type Json, jsonOf, withEnvelope } from "./peers.js";

const nats = useNats();

it("assigns a task with all its fields", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { capabilities: ["ocr", "scan"] });
  const before = await engine.submitted({ taskId: "before", type: "scan" });
  agent.complete(await agent.takeTask(), { pages: 3 });
  const at = Date.now();
  await engine.submitted({
    taskId: "t-1",
    type: "ocr",
    input: { page: 1 },
    priority: "high",
    dependencies: [before],
    timeoutMs: 60_000,
    metadata: { customer: "c-1" },
  });
  await agent.nextTask();
  const message = agent.assignments.received[1];
  expect(message?.subject).toBe(`${engine.namespace}.agent.k-1.task`);
  const body = jsonOf<{ task: { deadlineAt: number } }>(message?.data ?? Buffer.from("null"));
  expect(body).toEqual({
    messageId: expect.any(String),
    timestamp: expect.any(Number),
    task: {
      taskId: "t-1",
      type: "ocr",
      input: { page: 1 },
      attempt: 1,
      // The process it is meant for.
      incarnation: 1,
      // 128 bits in base64url.
      token: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      priority: "high",
      deadlineAt: expect.any(Number),
      dependencyResults: { before: { pages: 3 } },
      metadata: { customer: "c-1" },
    },
  });
  expect(body.task.deadlineAt).toBeGreaterThanOrEqual(at + 60_000);
  expect(body.task.deadlineAt).toBeLessThanOrEqual(Date.now() + 60_000);
});

it("leaves out of an assignment what does not apply, and fills in what always does", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.nextTask();
  const defaults = { attempt: 1, incarnation: 1, priority: "normal", dependencyResults: {}, metadata: {} };
  expect(task).toEqual({ taskId, type: "ocr", token: expect.any(String), ...defaults });
});

it.each([null, 0, "", false, [], {}])("passes the input %j on as it is", async (input) => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr", input });
  expect((await agent.nextTask())["input"]).toEqual(input);
  expect((await engine.get(taskId))["input"]).toEqual(input);
});

it("gives a task only to an agent that has every capability it needs", async () => {
  await using engine = await Engine.start(nats.url);
  const half = await engine.agent("k-1", { capabilities: ["gpu"] });
  const taskId = await engine.submitted({ type: "ocr", requiredCapabilities: ["gpu", "german"] });
  expect(await engine.get(taskId)).toMatchObject({ state: "queued", reason: "no agent has capability german" });
  const able = await engine.agent("k-2", { capabilities: ["german", "gpu", "more"] });
  expect(await able.nextTask()).toMatchObject({ taskId });
  expect(half.assignments.received).toHaveLength(0);
});

it("gives a task without requirements to anybody", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { capabilities: [] });
  const taskId = await engine.submitted({ type: "ocr", requiredCapabilities: [] });
  expect(await agent.nextTask()).toMatchObject({ taskId });
});

it("prefers the named agent while that one has a free place, and takes another where it has none", async () => {
  await using engine = await Engine.start(nats.url);
  const [first, second] = [await engine.agent("k-1"), await engine.agent("k-2")];
  const preferred = { preferredAgentId: "k-2" };
  await engine.submitted({ taskId: "a", type: "ocr" }, preferred);
  expect(await second.nextTask()).toMatchObject({ taskId: "a" });
  await engine.submitted({ taskId: "b", type: "ocr" }, preferred);
  expect(await first.nextTask()).toMatchObject({ taskId: "b" });
});

it("does not insist on a preferred agent that is unknown or lacks a capability", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 2 });
  await engine.agent("k-2", { capabilities: ["scan"] });
  await engine.submitted({ taskId: "a", type: "ocr" }, { preferredAgentId: "nobody" });
  await engine.submitted({ taskId: "b", type: "ocr" }, { preferredAgentId: "k-2" });
  expect([await agent.nextTask(), await agent.nextTask()]).toMatchObject([{ taskId: "a" }, { taskId: "b" }]);
});

it("spreads work over agents by their load", async () => {
  await using engine = await Engine.start(nats.url);
  const agents = [
    await engine.agent("k-1", { maxConcurrentTasks: 3 }),
    await engine.agent("k-2", { maxConcurrentTasks: 3 }),
  ];
  for (let index = 0; index < 4; index += 1) await engine.submitted({ type: "ocr" });
  for (const agent of agents) await Promise.all([agent.nextTask(), agent.nextTask()]);
  expect(agents.map((agent) => agent.assignments.received.length)).toEqual([2, 2]);
});

it("never gives an agent more tasks than it takes at a time", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 2 });
  const ids: string[] = [];
  for (let index = 0; index < 3; index += 1) ids.push(await engine.submitted({ type: "ocr" }));
  const first = await agent.takeTask();
  await agent.takeTask();
  expect(await engine.get(ids[2] ?? "")).toMatchObject({
    state: "queued",
    reason: expect.stringContaining("is full: 2/2"),
  });
  expect(agent.assignments.received).toHaveLength(2);
  agent.complete(first, 1);
  expect(await agent.nextTask()).toMatchObject({ taskId: ids[2] });
});

it("never runs more tasks than maxConcurrentTasks at a time", async () => {
  await using engine = await Engine.start(nats.url, { maxConcurrentTasks: 1 });
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 10 });
  const [first, second] = [await engine.submitted({ type: "ocr" }), await engine.submitted({ type: "ocr" })];
  const task = await agent.takeTask();
  expect(task.taskId).toBe(first);
  expect(await engine.get(second)).toMatchObject({ reason: expect.stringContaining("maxConcurrentTasks is 1") });
  expect(await engine.status()).toMatchObject({ activeTaskCount: 1, queuedTaskCount: 1 });
  agent.complete(task, 1);
  expect(await agent.nextTask()).toMatchObject({ taskId: second });
});

it("starts tasks by priority, and by age within one", async () => {
  await using engine = await Engine.start(nats.url);
  const inOrder = ["critical-1", "critical-2", "high-1", "high-2", "normal-1", "normal-2", "low-1", "low-2"];
  const submitted = ["low-1", "normal-1", "critical-1", "high-1", "high-2", "low-2", "critical-2", "normal-2"];
  for (const taskId of submitted) await engine.submitted({ taskId, type: "ocr", priority: taskId.split("-")[0] });
  const agent = await engine.agent("k-1");
  const started: string[] = [];
  for (const _ of inOrder) {
    const task = await agent.takeTask();
    started.push(task.taskId);
    agent.complete(task, null);
  }
  expect(started).toEqual(inOrder);
});

it("starts a task when its dependencies have completed, with the output of each, falsy ones too", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 9 });
  const outputs: Json = { a: null, b: 0, c: "", d: false, e: { text: "read" } };
  const dependencies = Object.keys(outputs);
  const tasks = [
    { taskId: "last", type: "ocr", dependencies },
    ...dependencies.map((taskId) => ({ taskId, type: "ocr" })),
  ];
  await engine.ask("task.submit", { tasks });
  for (const _ of dependencies) {
    expect(await engine.get("last")).toMatchObject({ state: "waiting", reason: expect.stringMatching(/^waits for /) });
    const task = await agent.takeTask();
    agent.complete(task, outputs[task.taskId]);
  }
  expect(await agent.nextTask()).toMatchObject({ taskId: "last", dependencyResults: outputs });
});

it.each<[string, string]>([
  ["failed", "dependency a failed: page is torn"],
  ["cancelled", "dependency a cancelled"],
  ["timed_out", "dependency a timed_out"],
])("fails whatever depends on a task that ended %s, through the whole chain", async (end, message) => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const tasks = [
    { taskId: "a", type: "ocr", timeoutMs: end === "timed_out" ? 50 : 60_000, retry: { maximumAttempts: 1 } },
    { taskId: "b", type: "ocr", dependencies: ["a"] },
    { taskId: "c", type: "ocr", dependencies: ["b"] },
  ];
  await engine.ask("task.submit", { tasks });
  const task = await agent.takeTask();
  if (end === "failed") agent.fail(task, { type: "Torn", message: "page is torn" });
  if (end === "cancelled") {
    await engine.ask("task.cancel", { taskId: "a" });
    agent.result(task, { status: "cancelled" });
  }
  expect(await engine.wait("a")).toMatchObject({ state: end });
  expect(await engine.wait("b")).toMatchObject({
    state: "failed",
    attempt: 0,
    error: { type: "DEPENDENCY_FAILED", message: expect.stringContaining(message) },
  });
  expect(await engine.wait("c")).toMatchObject({ state: "failed", error: { type: "DEPENDENCY_FAILED" } });
});

it("keeps reasons short, however long the chain of dependents is", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const tasks = Array.from({ length: 200 }, (_, index) => ({
    taskId: `m-${index}`,
    type: "ocr",
    ...(index === 0 ? { retry: { maximumAttempts: 1 } } : { dependencies: [`m-${index - 1}`] }),
  }));
  await engine.ask("task.submit", { tasks });
  agent.fail(await agent.takeTask());
  const last = await engine.wait("m-199");
  expect(last).toMatchObject({ state: "failed" });
  expect(last.reason?.length).toBeLessThan(1_000);
});

it("carries the trace of a submission to the agent", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const body = JSON.stringify(withEnvelope({ task: { taskId: "t-1", type: "ocr" } }));
  await engine.nats.request(`${engine.namespace}.orchestrator.task.submit`, body, { headers: { traceparent } });
  await agent.nextTask();
  expect(agent.assignments.received[0]?.headers.get("traceparent")).toBe(traceparent);
  const again = await engine.submit({ taskId: "t-1", type: "ocr" });
  expect(again.taskId).toBe("t-1");
});
