/** Somebody else takes what is meant for the orchestrator, or answers in its place. */
import { expect, it } from "vitest";
import type { Namespace } from "../../src/protocol/ids.js";
import { overlap } from "../../src/protocol/subject-pattern.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";
import { api } from "./api.js";
import { codesOf, findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";

const nats = useNats();

const look = (namespace: Namespace) => lookAt(nats.url, { namespace });

it.each<[one: string, other: string, expected: boolean]>([
  ["a.b", "a.b", true],
  ["a.b", "a.c", false],
  ["a", "a.b", false],
  ["a.*", "a.b", true],
  ["a.*", "a.b.c", false],
  ["a.>", "a.b.c", true],
  ["a.>", "a", false],
  [">", "a", true],
  ["*.b", "a.*", true],
  ["*.b", "a.c", false],
  ["a.*.c", "a.b.>", true],
  ["$KV.x.>", "$KV.>", true],
])("knows that %s and %s overlap: %s", (one, other, expected) => {
  expect(overlap(one, other)).toBe(expected);
  expect(overlap(other, one)).toBe(expected);
});

it("names a foreign stream that keeps ours from being made", async () => {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  const { all } = subjectsOf(namespace);
  await api(connection, `STREAM.CREATE.${namespace}`, { name: namespace, subjects: [all] });

  const { details } = findingOf(await look(namespace), "subjects/taken");

  const { journal, results } = topologyOf(namespace);
  expect(details).toMatchObject({ stream: namespace, streams: [journal.name, results.name] });
});

it.each<[what: string, pattern: (namespace: Namespace) => string]>([
  ["requests", (namespace) => `${namespace}.orchestrator.>`],
  ["one request", (namespace) => subjectsOf(namespace).taskSubmit],
  ["heartbeats", (namespace) => `${namespace}.agent.*.heartbeat`],
  ["assignments", (namespace) => `${namespace}.agent.k-1.task`],
])("names a foreign stream that acknowledges %s", async (_what, pattern) => {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  await api(connection, `STREAM.CREATE.${namespace}`, { name: namespace, subjects: [pattern(namespace)] });

  expect(findingOf(await look(namespace), "subjects/captured").details).toEqual({
    stream: namespace,
    subjects: [pattern(namespace)],
  });
});

it.each<[what: string, config: (namespace: Namespace) => object]>([
  ["records events", (namespace) => ({ subjects: [subjectsOf(namespace).systemEvent] })],
  ["records requests and keeps silent", (namespace) => ({ subjects: [`${namespace}.orchestrator.>`], no_ack: true })],
  ["mirrors the journal", (namespace) => ({ mirror: { name: topologyOf(namespace).journal.name } })],
])("has nothing against a foreign stream that %s", async (_what, config) => {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  await api(connection, `STREAM.CREATE.${namespace}`, { name: namespace, ...config(namespace) });

  expect((await look(namespace)).checks.find(({ check }) => check === "subjects")?.findings).toEqual([]);
});

it("names the stream whose acknowledgement comes beside the orchestrator's answer", async () => {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const { taskSubmit } = subjectsOf(namespace);
  await api(connection, `STREAM.CREATE.${namespace}`, { name: namespace, subjects: [taskSubmit] });

  const { summary, details } = findingOf(await look(namespace), "subjects/answered-twice");

  expect(summary).toContain(`stream ${namespace}`);
  expect(details["subject"]).toBe(taskSubmit);
});

it("tells of somebody who answers beside the orchestrator", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const { taskSubmit } = subjectsOf(namespace);
  const thief = await givenConnection(nats.url, "thief");
  thief.subscribe(taskSubmit, ({ reply = "" }) => thief.publish(reply, '{"stolen":true}'));
  await thief.flush();

  const report = await look(namespace);

  expect(findingOf(report, "subjects/answered-twice").summary).toContain("stolen");
  expect(findingOf(report, "subjects/other-listener").summary).toContain("thief");
});

it("has nothing against a monitor that listens to everything", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const monitor = await givenConnection(nats.url, "monitor");
  monitor.subscribe(subjectsOf(namespace).all, () => undefined);
  await monitor.flush();

  expect((await look(namespace)).checks.find(({ check }) => check === "subjects")).toMatchObject({ status: "ok" });
});

it("says that what answers is no orchestrator", async () => {
  const namespace = newNamespace();
  const impostor = await givenConnection(nats.url, "impostor");
  for (const subject of subjectsOf(namespace).allRequests) {
    impostor.subscribe(subject, ({ reply = "" }) => impostor.publish(reply, "what?"));
  }
  await impostor.flush();

  expect(codesOf(await look(namespace))).toContain("subjects/foreign-answer");
});

it("says that one of the request subjects is not served", async () => {
  const namespace = newNamespace();
  const partial = await givenConnection(nats.url, "partial");
  const { allRequests, taskWait } = subjectsOf(namespace);
  for (const subject of allRequests.filter((one) => one !== taskWait)) {
    partial.subscribe(subject, ({ reply = "", data }) => partial.publish(reply, data));
  }
  await partial.flush();

  expect(findingOf(await look(namespace), "subjects/unanswered").details).toEqual({ subject: taskWait });
});

it("finds the orchestrator's answers among those of somebody who is faster", async () => {
  const namespace = newNamespace();
  const thief = await givenConnection(nats.url, "thief");
  for (const subject of subjectsOf(namespace).allRequests) {
    thief.subscribe(subject, ({ reply = "" }) => thief.publish(reply, "mine"));
  }
  await thief.flush();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });

  const report = await look(namespace);

  expect(report.checks.find(({ check }) => check === "orchestrator")?.findings).toEqual([]);
});
