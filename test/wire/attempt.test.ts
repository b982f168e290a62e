import { describe, expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { Engine, type Json } from "./peers.js";

const nats = useNats();

it("tries a failed task again, under another token, until its attempts are used up", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr", retry: { maximumAttempts: 3, initialIntervalMs: 10 } });
  const tokens = new Set<string>();
  for (const attempt of [1, 2, 3]) {
    const task = await agent.takeTask();
    expect(task).toMatchObject({ taskId, attempt });
    tokens.add(task.token);
    agent.fail(task, { type: "Torn", message: `tear ${attempt}` });
  }
  expect(await engine.wait(taskId)).toMatchObject({
    state: "failed",
    attempt: 3,
    maximumAttempts: 3,
    error: { message: "tear 3" },
  });
  expect(tokens.size).toBe(3);
  expect(engine.eventsLike("TASK_RETRYING", { taskId })).toMatchObject([
    { payload: { attempt: 1 } },
    { payload: { attempt: 2 } },
  ]);
});

it("tries a task three times where nothing is said of retries, first after a second", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  agent.fail(await agent.takeTask());
  const { reason } = await engine.untilState(taskId, "backoff");
  expect(reason).toMatch(/attempt 1 of 3 .*the printer is out of paper.* [01]\.\d s/);
  expect(await engine.get(taskId)).toMatchObject({ error: { type: "OutOfPaper" }, attempt: 1 });
  expect(await engine.status()).toMatchObject({ backoffTaskCount: 1 });
});

it("waits longer from attempt to attempt, and never longer than the maximum", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const retry = { maximumAttempts: 0, initialIntervalMs: 40, backoffCoefficient: 3, maximumIntervalMs: 100 };
  await engine.submitted({ type: "ocr", retry });
  const pauses: number[] = [];
  for (const _ of [1, 2, 3]) {
    const failedAt = Date.now();
    agent.fail(await agent.takeTask());
    const retrying = await until("it retries", () => engine.eventsLike("TASK_RETRYING").length > pauses.length).then(
      () => engine.eventsLike("TASK_RETRYING").at(-1)?.["payload"] as { retryAt: number },
    );
    pauses.push(Math.floor((retrying.retryAt - failedAt) / 40));
  }
  // At least 40, 100 and 100 ms; what is above is the journey.
  expect(pauses[0]).toBeGreaterThanOrEqual(1);
  expect(pauses[1]).toBeGreaterThanOrEqual(2);
  expect(pauses[2]).toBeGreaterThanOrEqual(2);
});

it.each<[string, Json, Json]>([
  ["by its own word", {}, { type: "Torn", message: "page is torn", nonRetryable: true }],
  ["by its type", { nonRetryableErrorTypes: ["Wet", "Torn"] }, { type: "Torn", message: "page is torn" }],
])("does not try again what cannot be retried %s", async (_, retry, error) => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr", retry });
  agent.fail(await agent.takeTask(), error);
  expect(await engine.wait(taskId)).toMatchObject({ state: "failed", attempt: 1, error: { type: "Torn" } });
});

it("gives up an attempt after timeoutMs, tells its agent to stop and tries again", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({
    type: "ocr",
    timeoutMs: 80,
    retry: { maximumAttempts: 2, initialIntervalMs: 10 },
  });
  const first = await agent.takeTask();
  expect(await agent.order("cancel")).toMatchObject({
    agentId: "k-1",
    state: "cancel",
    taskId,
    attempt: 1,
    token: first.token,
  });
  const second = await agent.takeTask();
  expect(second).toMatchObject({ taskId, attempt: 2 });
  expect(await engine.wait(taskId)).toMatchObject({
    state: "timed_out",
    attempt: 2,
    error: { type: "TASK_TIMED_OUT" },
  });
  await engine.event("TASK_TIMED_OUT", { taskId });
});

it.each<[string, string]>([
  ["runs", "ocr"],
  ["waits for an agent", "nobody-can"],
])("ends a task that %s when scheduleToCloseMs is over, retries or not", async (_, type) => {
  await using engine = await Engine.start(nats.url);
  await engine.agent("k-1");
  const taskId = await engine.submitted({ type, scheduleToCloseMs: 100, retry: { maximumAttempts: 0 } });
  expect(await engine.wait(taskId)).toMatchObject({
    state: "timed_out",
    error: { type: "TASK_SCHEDULE_TO_CLOSE_TIMED_OUT" },
  });
  await engine.event("TASK_TIMED_OUT", { taskId });
});

it("ends a task that waits for another when scheduleToCloseMs is over", async () => {
  await using engine = await Engine.start(nats.url);
  const dependencies = [await engine.submitted({ type: "ocr" })];
  const taskId = await engine.submitted({ type: "ocr", dependencies, scheduleToCloseMs: 50 });
  expect(await engine.wait(taskId)).toMatchObject({ state: "timed_out", attempt: 0 });
});

it("does not wait for a retry that would come after scheduleToCloseMs: the real failure is the end", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({
    type: "ocr",
    scheduleToCloseMs: 10_000,
    retry: { initialIntervalMs: 60_000 },
  });
  agent.fail(await agent.takeTask());
  expect(await engine.wait(taskId)).toMatchObject({ state: "failed", attempt: 1, error: { type: "OutOfPaper" } });
});

it("counts its deadlines on through a restart of the orchestrator", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr", timeoutMs: 700, retry: { maximumAttempts: 1 } });
  await agent.takeTask();
  await engine.untilState(taskId, "running");
  await engine.restart();
  expect(await engine.wait(taskId)).toMatchObject({ state: "timed_out", attempt: 1 });
});

describe("when nobody listens on an agent's subject", () => {
  it("takes the agent for unhealthy at once and gives the task to another, without counting the attempt", async () => {
    await using engine = await Engine.start(nats.url);
    const deaf = await engine.agent("k-1", { maxConcurrentTasks: 5 });
    deaf.assignments.unsubscribe();
    await deaf.nats.flush();
    const taskId = await engine.submitted({ type: "ocr" });
    await engine.event("AGENT_UNHEALTHY", { agentId: "k-1" });
    expect(await engine.agentStatus("k-1")).toMatchObject({
      state: "unhealthy",
      reason: expect.stringContaining("nobody listens"),
    });
    const other = await engine.agent("k-2");
    expect(await other.nextTask()).toMatchObject({ taskId, attempt: 1 });
  });

  it("takes the next heartbeat for a sign of life, and sends work again", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    agent.assignments.unsubscribe();
    await agent.nats.flush();
    const taskId = await engine.submitted({ type: "ocr" });
    await engine.untilAgent("k-1", "unhealthy");
    const back = await engine.silentAgent("k-1");
    back.heartbeat();
    expect(await back.nextTask()).toMatchObject({ taskId, attempt: 1 });
  });

  it("takes a killed connection for it", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    await agent.nats.close();
    await engine.submitted({ type: "ocr" });
    await engine.untilAgent("k-1", "unhealthy");
  });
});

// Each waits for seconds that are part of the contract; together they wait for them once.
describe.concurrent("when an agent says nothing to an assignment", () => {
  it("sends the same attempt again after 5 s, and gives it to another after 5 s more", async () => {
    await using engine = await Engine.start(nats.url);
    const mute = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr" });
    const first = await mute.nextTask();
    const other = await engine.agent("k-2");
    expect(await mute.nextTask({ deadlineMs: 9_000 })).toEqual(first);
    expect(other.assignments.received).toHaveLength(0);
    const second = await other.takeTask({ deadlineMs: 9_000 });
    expect(second).toMatchObject({ taskId, attempt: 2 });
    other.complete(second, "read");
    expect(await engine.wait(taskId)).toMatchObject({ state: "completed", agentId: "k-2" });
  }, 30_000);

  it("fails the task that nobody ever accepts when its attempts are used up", async () => {
    await using engine = await Engine.start(nats.url);
    const mute = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr", retry: { maximumAttempts: 1 } });
    expect(await engine.wait(taskId, 20_000)).toMatchObject({ state: "failed", error: { type: "TASK_NOT_ACCEPTED" } });
    expect(mute.assignments.received).toHaveLength(2);
  }, 30_000);

  it("ends a cancelled task 5 s after its agent was told, and frees its place", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr" });
    const next = await engine.submitted({ type: "ocr" });
    await agent.takeTask();
    await engine.untilState(taskId, "running");
    const askedAt = performance.now();
    await engine.ask("task.cancel", { taskId });
    expect(await engine.wait(taskId)).toMatchObject({ state: "cancelled" });
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(4_900);
    expect(await agent.nextTask()).toMatchObject({ taskId: next });
  }, 30_000);
});
