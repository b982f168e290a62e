import { describe, expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { untilHolds, untilSome } from "../support/until.js";
import { Engine, type Json } from "./peers.js";

const nats = useNats();

it("answers a heartbeat that asks for it with the agent's incarnation and interval", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  expect(await agent.askHeartbeat()).toEqual({
    messageId: expect.any(String),
    timestamp: expect.any(Number),
    status: { agentId: "k-1", state: "registered", incarnation: 1, heartbeatIntervalMs: 30_000 },
    cancel: [],
  });
});

it("shows the metrics and the time of the last heartbeat", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  agent.heartbeat({ metrics: { cpu: 0.5, queue: 0, delta: -3 } });
  const shown = await untilHolds(
    "the metrics show",
    () => engine.agentStatus("k-1"),
    (status) => Object.keys((status?.["metrics"] ?? {}) as Json).length === 3,
  );
  expect(shown).toMatchObject({ metrics: { cpu: 0.5, queue: 0, delta: -3 }, lastSeenAt: expect.any(Number) });
});

it("names the attempts that an agent should stop: those that are not its own any more", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  await engine.submitted({ type: "ocr" });
  const { token } = await agent.takeTask();
  expect(await agent.askHeartbeat({ tokens: [token, "long-gone"] })).toMatchObject({ cancel: ["long-gone"] });
});

it.each<[string, (agentId: string) => Json]>([
  ["a heartbeat", () => ({})],
  ["a heartbeat with tokens", () => ({ tokens: ["t"] })],
])("tells an agent it does not know to register again: %s", async (_, fields) => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.silentAgent("stranger");
  const sent = fields("stranger");
  expect(await agent.askHeartbeat(sent)).toMatchObject({
    status: { state: "reregister" },
    cancel: sent["tokens"] ?? [],
  });
  agent.heartbeat(sent);
  expect(await agent.order("reregister")).toMatchObject({ agentId: "stranger" });
});

it("tells a process whose agent id another took over that it was superseded", async () => {
  await using engine = await Engine.start(nats.url);
  const old = await engine.agent("k-1");
  const successor = await engine.agent("k-1", { instanceId: "process-2" });
  expect(await old.askHeartbeat({ incarnation: 1, tokens: ["mine"] })).toMatchObject({
    status: { agentId: "k-1", state: "superseded", incarnation: 1 },
    cancel: ["mine"],
  });
  expect(await successor.askHeartbeat({ incarnation: 2 })).toMatchObject({ status: { state: "registered" } });
});

describe("with a heartbeat of 200 ms, unhealthy after 600 and lost after 1,200", () => {
  const settings = { healthCheckIntervalMs: 200, unhealthyThresholdMs: 600, lostThresholdMs: 1_200 };

  /** Nobody is lost before the observation is twice the threshold old, so the silent one is joined by one that is not. */
  it("gives no new work to a silent agent, and its running task to another when it is lost", async () => {
    await using engine = await Engine.start(nats.url, settings);
    const silent = await engine.agent("k-1");
    expect(silent.orders("registered")).toMatchObject([{ heartbeatIntervalMs: 200 }]);
    const taskId = await engine.submitted({ type: "ocr", retry: { initialIntervalMs: 10 } });
    const first = await silent.takeTask();

    await engine.event("AGENT_UNHEALTHY", { agentId: "k-1" });
    expect(await engine.agentStatus("k-1")).toMatchObject({ reason: expect.stringContaining("no heartbeat for") });
    expect(await engine.get(taskId)).toMatchObject({ state: "running", agentId: "k-1" });
    const queued = await engine.submitted({ type: "ocr" });
    expect(await engine.get(queued)).toMatchObject({ state: "queued" });

    const other = await engine.agent("k-2", { maxConcurrentTasks: 2 });
    const beating = setInterval(() => other.heartbeat(), 100);
    try {
      expect(await other.nextTask()).toMatchObject({ taskId: queued, attempt: 1 });
      const lost = await engine.event("AGENT_LOST", { agentId: "k-1" });
      expect(lost).toMatchObject({ payload: { agentId: "k-1", incarnation: 1, taskIds: [taskId] } });
      const second = await other.takeTask();
      expect(second).toMatchObject({ taskId, attempt: 2 });

      // The zombie speaks: it is not revived, and what it says of its task counts no more.
      expect(await silent.askHeartbeat({ incarnation: 1, tokens: [first.token] })).toMatchObject({
        status: { state: "reregister" },
        cancel: [first.token],
      });
      silent.complete(first, "too late");
      await engine.event("RESULT_REFUSED", { taskId, agentId: "k-1", code: "RESULT_STALE" });
      other.complete(second, "in time");
      expect(await engine.wait(taskId)).toMatchObject({ state: "completed", output: "in time", agentId: "k-2" });
      expect(await silent.register()).toMatchObject({ incarnation: 2 });
    } finally {
      clearInterval(beating);
    }
  });

  it("takes one heartbeat for recovery, and work goes to the agent again", async () => {
    await using engine = await Engine.start(nats.url, settings);
    const agent = await engine.agent("k-1");
    await engine.event("AGENT_UNHEALTHY", { agentId: "k-1" });
    const taskId = await engine.submitted({ type: "ocr" });
    expect(await engine.get(taskId)).toMatchObject({ reason: expect.stringContaining("unhealthy") });
    agent.heartbeat();
    expect(await agent.nextTask()).toMatchObject({ taskId, attempt: 1 });
    await engine.event("AGENT_RECOVERED", { agentId: "k-1" });
  });

  it("fails a task that its last attempt's agent was lost with", async () => {
    await using engine = await Engine.start(nats.url, settings);
    const agent = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr", retry: { maximumAttempts: 1 } });
    await agent.takeTask();
    expect(await engine.wait(taskId)).toMatchObject({ state: "failed", error: { type: "AGENT_LOST" } });
    expect(await engine.status()).toMatchObject({ agentCount: 0, activeTaskCount: 0 });
  });

  it("broadcasts its health each interval", async () => {
    await using engine = await Engine.start(nats.url, settings);
    const health = engine.nats.subscribe(`${engine.namespace}.orchestrator.health`);
    const message = await untilSome("three were heard", () => health.received[2]);
    expect(JSON.parse(message.data.toString())).toMatchObject({
      messageId: expect.any(String),
      timestamp: expect.any(Number),
      status: "healthy",
      components: { orchestrator: { status: "healthy" }, nats: {}, journal: {}, agents: {} },
    });
    expect(message.reply).toBeNull();
  });
});
