/** Streams that are gone, edited by hand, or read by others. */
import { expect, it } from "vitest";
import type { Connection } from "../../src/jetstream/connection.js";
import { provision } from "../../src/jetstream/provision.js";
import { ownStreams } from "../../src/jetstream/stream-settings.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";
import { api, editStream } from "./api.js";
import { codesOf, findingOf, findingsOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";
import { givenStatus } from "./fake-orchestrator.js";

const nats = useNats();

/** Streams as an orchestrator makes them, and a connection to spoil them with. */
async function givenStreams() {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  const topology = topologyOf(namespace);
  await provision(connection, topology, { replicas: 1, serverSync: "always" });
  return { namespace, connection, topology, journal: topology.journal.name, tasks: `KV_${topology.tasks.bucket}` };
}

const look = (namespace: Namespace) => lookAt(nats.url, { namespace });

it("finds nothing wrong with streams as an orchestrator makes them", async () => {
  const { namespace } = await givenStreams();

  const report = await look(namespace);

  expect(report.checks.find(({ check }) => check === "streams")).toMatchObject({ status: "ok", findings: [] });
});

it("does not miss streams where no orchestrator ever was", async () => {
  const report = await look(newNamespace());

  expect(codesOf(report)).toContain("orchestrator/none");
  expect(report.checks.find(({ check }) => check === "streams")).toMatchObject({ status: "ok", findings: [] });
});

it("names streams that were deleted", async () => {
  const { namespace, connection, tasks } = await givenStreams();
  await api(connection, `STREAM.DELETE.${tasks}`);

  expect(findingOf(await look(namespace), "streams/missing").details).toEqual({ streams: [tasks] });
});

it("says that all streams are gone under an orchestrator that runs", async () => {
  const { namespace, connection, topology } = await givenStreams();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  for (const { name } of ownStreams(topology)) await api(connection, `STREAM.DELETE.${name}`);

  expect(findingOf(await look(namespace), "streams/missing").details["streams"]).toHaveLength(8);
});

it.each<[setting: string, stream: "journal" | "tasks", change: object, found: unknown, wanted: unknown]>([
  ["discard", "journal", { discard: "old" }, "old", "new"],
  ["max_age", "journal", { max_age: 3_600_000_000_000 }, 3_600_000_000_000, 0],
  ["no_ack", "journal", { no_ack: true }, true, false],
  ["allow_direct", "tasks", { allow_direct: true }, true, false],
  ["max_msgs_per_subject", "tasks", { max_msgs_per_subject: 5 }, 5, 1],
  ["discard_new_per_subject", "tasks", { discard_new_per_subject: true }, true, false],
])(
  "names %s, what it is and what it must be; an orchestrator's start puts it right",
  async (setting, stream, change, found, wanted) => {
    const given = await givenStreams();
    const { namespace, connection } = given;
    await editStream(connection, given[stream], change);

    const { details } = findingOf(await look(namespace), "streams/drift");
    await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
    const after = codesOf(await look(namespace));

    expect(details).toEqual({ stream: given[stream], setting, found, wanted });
    expect(after).not.toContain("streams/drift");
  },
);

it.each<[setting: string, config: object]>([
  ["subjects", { subjects: ["theirs"] }],
  ["storage", { storage: "memory" }],
  ["retention", { retention: "workqueue" }],
  ["deny_purge", { deny_purge: true }],
  ["sources", { sources: [{ name: "OTHER" }] }],
  ["subject_transform", { subject_transform: { src: ">", dest: "other.>" } }],
])("says that no start can put %s right, and none succeeds", async (setting, config) => {
  const { namespace, connection, topology, journal } = await givenStreams();
  await api(connection, `STREAM.DELETE.${journal}`);
  const { subjects } = topology.journal;
  const wrong = { discard: "new", storage: "file", ...config };
  const own = setting === "subjects" ? { subjects: [`${namespace}.theirs`] } : { subjects };
  await api(connection, `STREAM.CREATE.${journal}`, { name: journal, ...wrong, ...own });

  const { details, advice } = findingOf(await look(namespace), "streams/drift-for-good");

  expect(details).toMatchObject({ stream: journal, setting });
  const isForHands = ["subjects", "sources", "subject_transform"].includes(setting);
  expect(advice).toContain(isForHands ? "by hand" : "cannot be taken back");
  await expect(givenOrchestrator(nats.url, { namespace })).rejects.toMatchObject({ code: "STORAGE_MISCONFIGURED" });
});

it("says that a stream was sealed", async () => {
  const { namespace, connection, journal } = await givenStreams();
  await editStream(connection, journal, { sealed: true });

  const settings = findingsOf(await look(namespace)).map(({ details }) => details["setting"]);

  expect(settings).toContain("sealed");
});

it("says that a stream takes no messages as large as ours", async () => {
  const { namespace, connection, journal } = await givenStreams();
  await editStream(connection, journal, { max_msg_size: 1_000 });

  expect(findingOf(await look(namespace), "streams/message-limit").details).toMatchObject({ messageBytesMax: 1_000 });
});

it("says that a stream allows too few consumers", async () => {
  const { namespace, connection, topology, journal } = await givenStreams();
  await api(connection, `STREAM.DELETE.${journal}`);
  await api(connection, `STREAM.CREATE.${journal}`, {
    name: journal,
    subjects: topology.journal.subjects,
    max_consumers: 1,
  });

  expect(findingOf(await look(namespace), "streams/consumer-limit").details).toMatchObject({ consumersMax: 1 });
});

it("warns of consumers that Perdure did not make", async () => {
  const { namespace, connection, journal } = await givenStreams();
  await api(connection, `CONSUMER.CREATE.${journal}.theirs`, {
    stream_name: journal,
    config: { name: "theirs", durable_name: "theirs", ack_policy: "explicit" },
  });

  expect(findingOf(await look(namespace), "streams/foreign-consumer").details).toEqual({
    stream: journal,
    consumers: ["theirs"],
  });
});

/** Reads results as an orchestrator does. */
async function givenReader(connection: Connection, results: string): Promise<void> {
  const inbox = connection.newInbox();
  connection.subscribe(inbox, () => undefined);
  await api(connection, `CONSUMER.CREATE.${results}`, {
    stream_name: results,
    config: {
      deliver_subject: inbox,
      ack_policy: "none",
      mem_storage: true,
      flow_control: true,
      idle_heartbeat: 1_000_000_000,
      num_replicas: 1,
    },
  });
}

it("warns of a reader that nobody leads with", async () => {
  const { namespace, connection, topology } = await givenStreams();
  await givenReader(connection, topology.results.name);

  expect(findingOf(await look(namespace), "streams/reader-left-over").details).toMatchObject({
    readers: 1,
    leaders: 0,
  });
});

it("does not take an orchestrator that answers, and misses the roll call of services, for none", async () => {
  const { namespace, connection, topology } = await givenStreams();
  await givenReader(connection, topology.results.name);
  const fields = { ...givenStatus({ namespace }), messageId: crypto.randomUUID(), timestamp: Date.now() };
  connection.subscribe(subjectsOf(namespace).systemStatus, ({ reply = "" }) =>
    connection.publish(reply, JSON.stringify(fields)),
  );

  const report = await look(namespace);

  expect(codesOf(report)).not.toContain("streams/reader-left-over");
  expect(report.checks.find(({ check }) => check === "orchestrator")?.skipped.join()).toContain("all services");
});

it("has nothing against the reader of the orchestrator that leads", async () => {
  const { namespace } = await givenStreams();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });

  expect(codesOf(await look(namespace))).toEqual(["agents/none"]);
});
