/** No orchestrator, too many, or one that does not get on. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { hostname } from "node:os";
import { expect, it } from "vitest";
import { thisProcess } from "../../src/jetstream/process-identity.js";
import { provision } from "../../src/jetstream/provision.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { META_KEYS, topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";
import { store } from "./api.js";
import { codesOf, findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";
import { type Answers, fakeOrchestrator, givenAgentView, givenTaskView } from "./fake-orchestrator.js";

const nats = useNats();

const look = (namespace: Namespace) => lookAt(nats.url, { namespace, timeoutMs: 700 });

async function givenFake(namespace: Namespace, answers: Answers): Promise<void> {
  await fakeOrchestrator(await givenConnection(nats.url, "perdure orchestrator"), namespace, answers);
}

it("says that none leads, and in which namespace one does", async () => {
  const [here, elsewhere] = [newNamespace(), newNamespace()];
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace: elsewhere });

  const report = await look(here);

  expect(codesOf(report)).toContain("orchestrator/none");
  expect(findingOf(report, "orchestrator/elsewhere").details).toMatchObject({ led: [elsewhere] });
});

it("is content with one that leads", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });

  const report = await look(namespace);

  expect(report.checks.find(({ check }) => check === "orchestrator")).toMatchObject({ status: "ok", findings: [] });
});

it("says that somebody listens and does not answer, and who", async () => {
  const namespace = newNamespace();
  const stopped = await givenConnection(nats.url, "perdure orchestrator");
  for (const subject of subjectsOf(namespace).allRequests) stopped.subscribe(subject, () => undefined);
  await stopped.flush();

  expect(findingOf(await look(namespace), "orchestrator/silent").summary).toContain("perdure orchestrator");
});

it("says that two lead", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, {});
  await givenFake(namespace, {});

  expect(findingOf(await look(namespace), "orchestrator/several").details["services"]).toHaveLength(2);
});

it("warns of orchestrators of different versions", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, { version: "0.0.1" });
  await givenFake(newNamespace(), {});

  expect(findingOf(await look(namespace), "orchestrator/versions-differ").details["versions"]).toContain("0.0.1");
});

it("passes on what an orchestrator refuses with", async () => {
  const namespace = newNamespace();
  const standby = await givenConnection(nats.url);
  const refusal = '{"error":{"code":"NOT_READY","message":"this orchestrator does not lead any more"}}';
  for (const subject of subjectsOf(namespace).allRequests) {
    standby.subscribe(subject, ({ reply = "" }) => standby.publish(reply, refusal));
  }
  await standby.flush();

  expect(findingOf(await look(namespace), "orchestrator/refuses").details).toEqual({ code: "NOT_READY" });
});

it("says that an answer is not one of this version", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, { status: { namespace: 7 } as unknown as Answers["status"] & object });

  expect(findingOf(await look(namespace), "orchestrator/unreadable").summary).toContain("namespace");
});

it("warns of one that does not lead yet", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, { status: { orchestratorStatus: "recovering" } });

  expect(codesOf(await look(namespace))).toContain("orchestrator/not-leading");
});

it("passes on what the orchestrator says of its health", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, { unhealthy: { journal: "has not acknowledged a write for a while" } });

  expect(findingOf(await look(namespace), "orchestrator/unhealthy").details).toMatchObject({ component: "journal" });
});

it("notices that work which could be done is not", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, {
    status: { queuedTaskCount: 1, agentCount: 1, healthyAgentCount: 1, agentStatuses: [givenAgentView()] },
    tasks: [givenTaskView()],
  });

  const report = await lookAt(nats.url, { namespace, observeMs: 1_100 });

  expect(findingOf(report, "orchestrator/stuck").details).toMatchObject({ tasks: ["t-1"] });
});

it("does not call a full house stuck", async () => {
  const namespace = newNamespace();
  await givenFake(namespace, {
    status: { queuedTaskCount: 1, agentStatuses: [givenAgentView({ activeTaskCount: 1 })] },
    tasks: [givenTaskView()],
  });

  expect(codesOf(await lookAt(nats.url, { namespace, observeMs: 1_100 }))).not.toContain("orchestrator/stuck");
});

/** Writes a lease by hand. */
async function givenLease(holder: object, headers: Readonly<Record<string, string>> = {}): Promise<Namespace> {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  const topology = topologyOf(namespace);
  await provision(connection, topology, { replicas: 1, serverSync: "always" });
  await store(connection, `$KV.${topology.meta.bucket}.${META_KEYS.leader}`, JSON.stringify(holder), headers);
  return namespace;
}

it("says that the last leader is dead and its lease not over yet", async () => {
  const child = spawn("true");
  await once(child, "exit");
  const namespace = await givenLease({ ...thisProcess(), holderId: "h", pid: child.pid, at: 1 }, { "Nats-TTL": "60s" });

  expect(findingOf(await look(namespace), "orchestrator/lease-of-dead").details).toMatchObject({ host: hostname() });
});

it("says that a lease does not expire", async () => {
  const namespace = await givenLease({ holderId: "h", host: "elsewhere", pid: 1, pidScope: null, at: 1 });

  expect(findingOf(await look(namespace), "orchestrator/lease-stuck").advice).toContain(
    `nats kv del ${namespace}_meta`,
  );
});

it("does not believe its own clock about the age of a lease", async () => {
  const holder = { holderId: "h", host: "elsewhere", pid: 1, pidScope: null, at: 1 };
  const namespace = await givenLease(holder, { "Nats-TTL": "3600s" });
  const fast = { now: () => Date.now() + 3_600_000, monotonicNow: () => performance.now() };

  expect(codesOf(await lookAt(nats.url, { namespace, clock: fast }))).not.toContain("orchestrator/lease-stuck");
});
