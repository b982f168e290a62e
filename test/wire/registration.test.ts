import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import { Engine, type Json, jsonOf, withEnvelope } from "./peers.js";

const nats = useNats();
const heartbeatIntervalMs = 30_000;

it("confirms a registration in the reply and on the agent's status subject", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.silentAgent("k-1");
  const confirmed = { agentId: "k-1", state: "registered", incarnation: 1, heartbeatIntervalMs };
  expect(await agent.register()).toEqual(confirmed);
  expect(await agent.order("registered")).toEqual(confirmed);
  expect(agent.orders("registered")).toHaveLength(1);
});

it("confirms on the status subject alone where no reply was asked for, in an envelope with UUID and time", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.silentAgent("k-1");
  agent.nats.publish(`${engine.namespace}.agent.register`, agent.registrationMessage());
  const message = await agent.statuses.first("the confirmation");
  expect(jsonOf(message.data)).toEqual({
    messageId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    timestamp: expect.closeTo(Date.now(), -5),
    status: { agentId: "k-1", state: "registered", incarnation: 1, heartbeatIntervalMs },
  });
});

it("takes the same instance again for the same incarnation, whose task goes on", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  await engine.untilState(taskId, "running");
  expect(await agent.register()).toMatchObject({ incarnation: 1 });
  agent.complete(task, "read");
  expect(await engine.wait(taskId)).toMatchObject({ state: "completed", attempt: 1 });
  expect(agent.orders("superseded")).toEqual([]);
});

it.each<[string, Json]>([
  ["another instance", { instanceId: "process-2" }],
  ["no instance", { instanceId: undefined }],
])(
  "takes a registration with %s for the next incarnation, tells the old one and moves its task at once",
  async (_, change) => {
    await using engine = await Engine.start(nats.url);
    const old = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr" });
    const first = await old.takeTask();
    await engine.untilState(taskId, "running");
    expect(await old.register(change)).toMatchObject({ incarnation: 2 });
    expect(await old.order("superseded")).toMatchObject({ agentId: "k-1", incarnation: 1 });
    const second = await old.nextTask();
    expect(second).toMatchObject({ taskId, attempt: 2 });
    expect(second.token).not.toBe(first.token);
  },
);

it("counts incarnations on through a restart of the orchestrator", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  await engine.restart();
  expect(await agent.register()).toMatchObject({ incarnation: 1 });
  expect(await agent.register({ instanceId: "process-2" })).toMatchObject({ incarnation: 2 });
});

it("goes by what the last registration of an incarnation says", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { capabilities: ["ocr"], metadata: { zone: "a" } });
  await agent.register({ capabilities: ["scan"], maxConcurrentTasks: 2, metadata: { zone: "b" } });
  expect(await engine.agentStatus("k-1")).toMatchObject({
    capabilities: ["scan"],
    maxConcurrentTasks: 2,
    metadata: { zone: "b" },
    incarnation: 1,
  });
  await engine.submitted({ type: "scan" });
  expect(await agent.nextTask()).toMatchObject({ type: "scan" });
});

it.each<[string, string, unknown]>([
  ["agentId", "INVALID_ID", "two words"],
  ["agentId", "INVALID_ID", "a.b"],
  ["agentId", "INVALID_ID", "*"],
  ["agentId", "INVALID_ID", "x".repeat(129)],
  ["agentId", "INVALID_ID", 7],
  ["agentId", "INVALID_MESSAGE", undefined],
  ["capabilities", "INVALID_MESSAGE", "ocr"],
  ["capabilities", "INVALID_MESSAGE", [""]],
  ["capabilities", "INVALID_MESSAGE", Array(257).fill("c")],
  ["maxConcurrentTasks", "INVALID_MESSAGE", 0],
  ["maxConcurrentTasks", "INVALID_MESSAGE", 1.5],
  ["instanceId", "INVALID_MESSAGE", ""],
  ["metadata", "PAYLOAD_TOO_LARGE", { text: "x".repeat(131_072) }],
])("refuses a registration whose %s makes it %s (%j)", async (field, code, value) => {
  await using engine = await Engine.start(nats.url);
  const registration = { agentId: "k-1", capabilities: ["ocr"], maxConcurrentTasks: 1, [field]: value };
  const answer = await engine.askRaw("agent.register", JSON.stringify(withEnvelope({ registration })));
  expect(answer).toMatchObject({ error: { code, message: expect.stringContaining("agent.register") } });
  expect(await engine.status()).toMatchObject({ agentCount: 0 });
});

it("ends an agent that drains and says that it is idle", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 2 });
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  agent.report({ state: "draining" });
  await engine.event("AGENT_DRAINING", { agentId: "k-1" });
  const waiting = await engine.submitted({ type: "ocr" });
  agent.complete(task, "read");
  expect(await engine.wait(taskId)).toMatchObject({ state: "completed" });
  agent.report({ state: "idle" });
  await engine.event("AGENT_GONE", { agentId: "k-1" });
  expect(await engine.get(waiting)).toMatchObject({ state: "queued", attempt: 0 });
  expect(agent.assignments.received).toHaveLength(1);
  expect(await engine.status()).toMatchObject({ agentCount: 0 });
});

it("makes nothing of an agent that says it is idle and does not drain", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  agent.report({ state: "idle" });
  await engine.submitted({ type: "ocr" });
  await agent.nextTask();
  expect(await engine.agentState("k-1")).toBe("healthy");
});

it("gives a task handed back by a draining agent to another, and does not count the attempt", async () => {
  await using engine = await Engine.start(nats.url);
  const leaving = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await leaving.takeTask();
  const staying = await engine.agent("k-2");
  leaving.report({ state: "draining" });
  leaving.report({ state: "released", taskId, token: task.token });
  const again = await staying.nextTask();
  expect(again).toMatchObject({ taskId, attempt: 1 });
  expect(again.token).not.toBe(task.token);
});

it("asks a healthy agent again, after a while, for a task that it handed back", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.nextTask();
  agent.report({ state: "released", taskId, token: task.token });
  const handedBack = await engine.untilState(taskId, "backoff");
  expect(handedBack).toMatchObject({ attempt: 0, reason: expect.stringContaining("handed back") });
  expect(await agent.nextTask()).toMatchObject({ taskId, attempt: 1 });
});

it("makes nothing of a status about another's attempt, an old token, or an unknown task", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const other = await engine.agent("k-2", { capabilities: ["scan"] });
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.nextTask();
  other.report({ state: "accepted", taskId, token: task.token });
  agent.report({ state: "released", taskId, token: "another-token" });
  agent.report({ state: "accepted", taskId: "no-such-task", token: task.token });
  agent.report({ state: "accepted", taskId, incarnation: 7 });
  // A status of the contract's future, and one that answers the orchestrator's own words.
  agent.report({ state: "meditating", taskId, token: task.token });
  agent.report({ state: "cancel", taskId, token: task.token });
  await Promise.all([agent.nats.flush(), other.nats.flush()]);
  expect(await engine.get(taskId)).toMatchObject({ state: "assigned", attempt: 1 });
  agent.report({ state: "accepted", taskId });
  await engine.untilState(taskId, "running");
});

it("keeps the last progress of an attempt, whatever JSON it is", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const { token } = await agent.nextTask();
  for (const progress of [{ page: 1 }, 0, false, ""]) {
    agent.report({ state: "progress", taskId, token, progress });
    await untilHolds(
      "the progress shows",
      () => engine.get(taskId),
      (task) => JSON.stringify(task["progress"]) === JSON.stringify(progress),
    );
  }
  // Progress is an acceptance too.
  expect(await engine.get(taskId)).toMatchObject({ state: "running" });
});

it("refuses a status or a heartbeat that names another agent than its subject", async () => {
  await using engine = await Engine.start(nats.url);
  await engine.agent("k-1");
  const status = JSON.stringify(withEnvelope({ status: { agentId: "k-2", state: "draining" } }));
  const heartbeat = JSON.stringify(withEnvelope({ agentId: "k-2", metrics: { load: 1 } }));
  expect(await engine.askRaw("agent.k-1.status", status)).toMatchObject({ error: { code: "INVALID_ID" } });
  expect(await engine.askRaw("agent.k-1.heartbeat", heartbeat)).toMatchObject({ error: { code: "INVALID_ID" } });
  expect(await engine.agentStatus("k-1")).toMatchObject({ state: "healthy", metrics: {} });
});

it("tells whoever listens of a registration", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  expect(await engine.event("AGENT_REGISTERED", { agentId: "k-1" })).toMatchObject({ payload: { incarnation: 1 } });
  await agent.register({ instanceId: "process-2" });
  await until("both registrations were announced", () => engine.eventsLike("AGENT_REGISTERED").length === 2);
});
