import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { Engine } from "./peers.js";

const nats = useNats();

it("cancels a task that waits for an agent", async () => {
  await using engine = await Engine.start(nats.url);
  const taskId = await engine.submitted({ type: "ocr" });
  expect(await engine.ask("task.cancel", { taskId })).toMatchObject({ task: { taskId, state: "cancelled" } });
  await engine.event("TASK_CANCELLED", { taskId });
  expect(await engine.status()).toMatchObject({ queuedTaskCount: 0, endedTaskCounts: { cancelled: 1 } });
});

it("cancels a task that waits for another, which goes on", async () => {
  await using engine = await Engine.start(nats.url);
  const dependency = await engine.submitted({ type: "ocr" });
  const taskId = await engine.submitted({ type: "ocr", dependencies: [dependency] });
  expect(await engine.ask("task.cancel", { taskId })).toMatchObject({ task: { state: "cancelled", attempt: 0 } });
  expect(await engine.get(dependency)).toMatchObject({ state: "queued" });
});

it("cancels a task between two attempts", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr", retry: { initialIntervalMs: 60_000 } });
  agent.fail(await agent.takeTask());
  await engine.untilState(taskId, "backoff");
  expect(await engine.ask("task.cancel", { taskId })).toMatchObject({ task: { state: "cancelled" } });
  expect(await engine.get(taskId)).not.toHaveProperty("error");
});

it("tells the agent of a running task to stop, and ends the task when it answers", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const next = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  await engine.untilState(taskId, "running");
  expect(await engine.ask("task.cancel", { taskId })).toMatchObject({
    task: { state: "running", reason: expect.stringContaining("was told to stop") },
  });
  const order = { agentId: "k-1", state: "cancel", taskId, attempt: 1, token: task.token };
  expect(await agent.order("cancel")).toMatchObject(order);
  agent.result(task, { status: "cancelled", usage: { cost: 1, tokens: { input: 2, output: 3 }, model: "m" } });
  expect(await engine.wait(taskId)).toMatchObject({ state: "cancelled", usage: { cost: 1 } });
  // Its place is free.
  expect(await agent.nextTask()).toMatchObject({ taskId: next });
});

it.each(["assigned", "running"])(
  "keeps the result of an agent that was faster than the cancellation: %s",
  async (state) => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr" });
    const task = await (state === "running" ? agent.takeTask() : agent.nextTask());
    await engine.untilState(taskId, state);
    await engine.ask("task.cancel", { taskId });
    agent.complete(task, "read");
    expect(await engine.wait(taskId)).toMatchObject({ state: "completed", output: "read" });
  },
);

it.each([
  ["fails instead", { status: "failed", error: { type: "Torn", message: "page is torn" } }],
  [
    "fails instead, and could be retried",
    { status: "failed", error: { type: "T", message: "t", nonRetryable: false } },
  ],
])("ends a task cancelled whose agent %s", async (_, change) => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  await engine.untilState(taskId, "running");
  await engine.ask("task.cancel", { taskId });
  agent.result(task, change);
  expect(await engine.wait(taskId)).toMatchObject({ state: "cancelled", attempt: 1 });
});

it("ends a task cancelled that its agent hands back, or whose process is replaced", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 2 });
  const [first, second] = [await engine.submitted({ type: "ocr" }), await engine.submitted({ type: "ocr" })];
  const task = await agent.takeTask();
  await agent.takeTask();
  await engine.untilState(second, "running");
  await engine.ask("task.cancel", { taskId: first });
  await engine.ask("task.cancel", { taskId: second });
  agent.report({ state: "released", taskId: first, token: task.token });
  expect(await engine.wait(first)).toMatchObject({ state: "cancelled" });
  await agent.register({ instanceId: "process-2" });
  expect(await engine.wait(second)).toMatchObject({ state: "cancelled" });
  expect(agent.assignments.received).toHaveLength(2);
});

it("tells the agent once, however often a cancellation is asked for", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  await engine.untilState(taskId, "running");
  for (const _ of [1, 2, 3]) await engine.ask("task.cancel", { taskId });
  agent.result(task, { status: "cancelled" });
  await engine.wait(taskId);
  await agent.nats.flush();
  expect(agent.orders("cancel")).toHaveLength(1);
});

it("answers how a task ended that is cancelled too late", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  agent.complete(await agent.takeTask(), "read");
  await engine.wait(taskId);
  expect(await engine.ask("task.cancel", { taskId })).toMatchObject({ task: { state: "completed", output: "read" } });
  expect(agent.orders("cancel")).toEqual([]);
});

it("refuses the late result of a task that was cancelled", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  await engine.untilState(taskId, "running");
  await engine.ask("task.cancel", { taskId });
  agent.result(task, { status: "cancelled" });
  await engine.wait(taskId);
  agent.complete(task, "late");
  await engine.event("RESULT_REFUSED", { taskId });
  expect(await engine.get(taskId)).toMatchObject({ state: "cancelled" });
});
