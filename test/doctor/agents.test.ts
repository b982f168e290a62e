/** Agents that are away, unwell, or not understood. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { connectClient } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";
import type { AgentId, Namespace } from "../../src/protocol/ids.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import {
  codesOf,
  findingOf,
  findingsOf,
  givenConnection,
  givenOrchestrator,
  type Looking,
  lookAt,
} from "./examined.js";
import { fakeOrchestrator, givenAgentView } from "./fake-orchestrator.js";

const nats = useNats();

const look = (namespace: Namespace, looking: Looking = {}) => lookAt(nats.url, { namespace, ...looking });

/** Does something again and again while the doctor looks. */
async function lookWhile(namespace: Namespace, act: () => void) {
  let isOver = false;
  const looking = look(namespace, { observeMs: 700 }).finally(() => {
    isOver = true;
  });
  await until("the doctor has looked", () => {
    act();
    return isOver;
  });
  return await looking;
}

const message = (fields: object): string =>
  JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });

it("warns that there is none", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });

  expect(codesOf(await look(namespace))).toEqual(["agents/none"]);
});

it("is content with one that heartbeats", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace, healthCheckIntervalMs: 200 });
  const running = agent("k-1", { servers: nats.url, namespace, tasks: { ocr: async () => "" }, logger: silentLogger });
  await running.start();

  const report = await look(namespace, { observeMs: 500 });
  await running.stop();

  expect(codesOf(report)).toEqual([]);
  expect(report.verdict).toBe("ok");
  expect(report.checks.find(({ check }) => check === "agents")?.seen.join()).toMatch(/[1-9]\d* heartbeats in/);
});

/** Registers by hand and says nothing more. */
async function registered(namespace: Namespace, agentId: string, instanceId = "one"): Promise<void> {
  const connection = await givenConnection(nats.url, agentId);
  const registration = { agentId, instanceId, capabilities: ["ocr"], maxConcurrentTasks: 1 };
  await connection.request(`${namespace}.agent.register`, message({ registration }), { timeoutMs: 2_000 });
}

const timings = { healthCheckIntervalMs: 100, unhealthyThresholdMs: 400, lostThresholdMs: 800 };

it("notices missed heartbeats before the orchestrator calls the agent unhealthy", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, {
    namespace,
    ...timings,
    unhealthyThresholdMs: 60_000,
    lostThresholdMs: 120_000,
  });
  await registered(namespace, "k-1");

  const report = await untilHolds(
    "it is silent for long enough",
    () => look(namespace),
    (found) => codesOf(found).length > 0,
  );

  expect(findingOf(report, "agents/silent").details).toMatchObject({ agents: ["k-1"], intervalMs: 100 });
});

it("names agents that are unhealthy, and then lost", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace, ...timings });
  await registered(namespace, "k-1");

  const codes = async () => codesOf(await look(namespace));

  await untilHolds("it is unhealthy", codes, (found) => found.includes("agents/unhealthy"));
  await untilHolds("it is lost", codes, (found) => found.includes("agents/lost"));
});

it("notices two processes that take one id from each other", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const connection = await givenConnection(nats.url);

  const report = await lookWhile(namespace, () => {
    const registration = { agentId: "k-1", instanceId: randomUUID(), capabilities: ["ocr"] };
    connection.publish(`${namespace}.agent.register`, message({ registration }));
  });

  const found = findingsOf(report).filter(({ code }) => code === "agents/flapping");
  expect(found.map(({ details }) => details)).toContainEqual(expect.objectContaining({ agentId: "k-1" }));
});

it("tells an id that gets no work for its processes from an agent that is unwell", async () => {
  const namespace = newNamespace();
  const view = givenAgentView({ state: "unhealthy", reason: "AGENT_ID_FLAPPING: more than 3 processes took this id" });
  await fakeOrchestrator(await givenConnection(nats.url), namespace, { status: { agentStatuses: [view] } });

  const report = await look(namespace);

  expect(findingOf(report, "agents/flapping").details).toEqual({ agents: [view.agentId] });
  expect(codesOf(report)).not.toContain("agents/unhealthy");
});

it("says that all agents are full", async () => {
  const namespace = newNamespace();
  const view = givenAgentView({ activeTaskCount: 1 });
  await fakeOrchestrator(await givenConnection(nats.url), namespace, {
    status: { queuedTaskCount: 3, agentCount: 1, healthyAgentCount: 1, agentStatuses: [view] },
  });

  expect(findingOf(await look(namespace), "agents/full").details).toEqual({ places: 1, queued: 3 });
});

it.each<[what: string, body: string]>([
  ["no JSON", "I am well"],
  ["without an envelope", '{"agentId":"k-1"}'],
  ["of another agent", message({ agentId: "k-2" })],
])("names the sender of heartbeats that are %s", async (_what, body) => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const connection = await givenConnection(nats.url);

  const report = await lookWhile(namespace, () => connection.publish(`${namespace}.agent.k-1.heartbeat`, body));

  expect(findingOf(report, "agents/heartbeat-refused").details).toMatchObject({ agentId: "k-1" });
});

it("names who heartbeats without having registered", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const connection = await givenConnection(nats.url);

  const report = await lookWhile(namespace, () =>
    connection.publish(`${namespace}.agent.k-9.heartbeat`, message({ agentId: "k-9" })),
  );

  expect(findingOf(report, "agents/unregistered").details).toEqual({ agents: ["k-9" as AgentId] });
});

it("says how many tasks wait for the first agent", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const client = await connectClient({ servers: nats.url, namespace });
  await client.submit({ type: "ocr" });
  await client.close();

  expect(findingOf(await look(namespace), "agents/none").details).toEqual({ waiting: 1 });
});
