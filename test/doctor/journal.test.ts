/** A store that was damaged, or written to by others: what a new leader would find, found before it. */
import { expect, it } from "vitest";
import { connectClient } from "../../src/client/client.js";
import { systemClock } from "../../src/clock.js";
import type { Connection } from "../../src/jetstream/connection.js";
import { Inspector } from "../../src/jetstream/inspector.js";
import { provision } from "../../src/jetstream/provision.js";
import { storedMessage } from "../../src/jetstream/stream-facts.js";
import { decodeMessage } from "../../src/protocol/decode.js";
import { Checkpoint } from "../../src/protocol/fact.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { META_KEYS, topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";
import { untilHolds } from "../support/until.js";
import { api, store } from "./api.js";
import { codesOf, findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";

const nats = useNats();

const look = (namespace: Namespace) => lookAt(nats.url, { namespace });

/** Names of what is stored, and a connection to spoil it with. */
async function givenNames() {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  const { journal, meta, tasks, results } = topologyOf(namespace);
  return {
    namespace,
    connection,
    journal: journal.name,
    journalSubject: subjectsOf(namespace).journal,
    results: results.name,
    metaKey: (key: string) => `$KV.${meta.bucket}.${key}`,
    taskKey: (key: string) => `$KV.${tasks.bucket}.${key}`,
    tasksStream: `KV_${tasks.bucket}`,
  };
}

async function submitted(namespace: Namespace, count: number): Promise<readonly string[]> {
  const client = await connectClient({ servers: nats.url, namespace });
  const taskIds: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const { taskId } = await client.submit({ taskId: `t-${index}`, type: "ocr" });
    taskIds.push(taskId);
  }
  await client.close();
  return taskIds;
}

/** A store as an orchestrator left it that had some tasks and was stopped. */
async function givenStore() {
  const names = await givenNames();
  {
    await using _orchestrator = await givenOrchestrator(nats.url, { namespace: names.namespace });
    await submitted(names.namespace, 5);
  }
  return names;
}

async function checkpointOf(connection: Connection, metaKey: string): Promise<Checkpoint> {
  const stream = `KV_${metaKey.split(".")[1]}`;
  const inspector = new Inspector(connection, {
    timeoutMs: 2_000,
    clock: systemClock,
    signal: new AbortController().signal,
  });
  const stored = await storedMessage(inspector, stream, { lastOn: metaKey });
  const parsed = stored.known && stored.value !== null ? decodeMessage(Checkpoint, stored.value.data) : null;
  if (parsed?.ok !== true) throw new Error("there is no checkpoint");
  return parsed.value;
}

it("finds nothing wrong with a store that was left in order", async () => {
  const { namespace } = await givenStore();

  expect((await look(namespace)).checks.find(({ check }) => check === "journal")).toMatchObject({
    status: "ok",
    findings: [],
  });
});

it("finds nothing wrong with a store that is being written", async () => {
  const { namespace } = await givenNames();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const client = await connectClient({ servers: nats.url, namespace });
  const stop = new AbortController();
  const writing = (async () => {
    for (let index = 0; !stop.signal.aborted; index += 1) await client.submit({ taskId: `t-${index}`, type: "ocr" });
  })();
  for (let index = 0; index < 5; index += 1) {
    const report = await look(namespace);
    expect(report.checks.find(({ check }) => check === "journal")?.findings).toEqual([]);
  }
  stop.abort();
  await writing;
  await client.close();
});

it("says that the journal ends before its checkpoint", async () => {
  const { namespace, connection, journal, journalSubject } = await givenStore();
  await api(connection, `STREAM.DELETE.${journal}`);
  await provision(connection, topologyOf(namespace), { replicas: 1, serverSync: "always" });
  await store(connection, journalSubject, '{"flushId":"f","lastResult":null,"facts":[]}');

  expect(findingOf(await look(namespace), "journal/ends-before-checkpoint").details).toMatchObject({ lastSequence: 1 });
});

it("says that the journal was emptied", async () => {
  const { namespace, connection, journal } = await givenStore();
  await api(connection, `STREAM.PURGE.${journal}`);

  expect(codesOf(await look(namespace))).toContain("journal/emptied");
});

it("says that flushes behind the checkpoint are gone, and which", async () => {
  const { namespace, connection, journal, journalSubject, metaKey } = await givenStore();
  const { journalSequence } = await checkpointOf(connection, metaKey(META_KEYS.checkpoint));
  for (let index = 0; index < 3; index += 1) {
    await store(connection, journalSubject, '{"flushId":"f","lastResult":null,"facts":[]}');
  }
  await api(connection, `STREAM.MSG.DELETE.${journal}`, { seq: journalSequence + 2 });

  const deleted = findingOf(await look(namespace), "journal/gap").details;
  await api(connection, `STREAM.PURGE.${journal}`, { seq: journalSequence + 3 });
  const purged = findingOf(await look(namespace), "journal/gap").details;

  expect(deleted).toMatchObject({ checkpoint: journalSequence, missing: [journalSequence + 2] });
  expect(purged).toMatchObject({ firstSequence: journalSequence + 3 });
});

it.each<[what: string, body: string, why: string]>([
  ["no JSON", "garbage", "is not JSON"],
  ["another JSON", '{"facts":3}', "flushId"],
])("says that a message of the journal is %s, and which", async (_what, body, why) => {
  const { namespace, connection, journalSubject } = await givenStore();
  await store(connection, journalSubject, body);

  const { summary } = findingOf(await look(namespace), "journal/unreadable");

  expect(summary).toContain(why);
});

it("says that the checkpoint was deleted", async () => {
  const { namespace, connection, metaKey } = await givenStore();
  await store(connection, metaKey(META_KEYS.checkpoint), "", { "KV-Operation": "DEL" });

  expect(codesOf(await look(namespace))).toContain("journal/checkpoint-missing");
});

it("says that the checkpoint cannot be read", async () => {
  const { namespace, connection, metaKey } = await givenStore();
  await store(connection, metaKey(META_KEYS.checkpoint), '{"journalSequence":"seven"}');

  expect(findingOf(await look(namespace), "journal/checkpoint-unreadable").summary).toContain("journalSequence");
});

it("warns of a checkpoint that has fallen behind", async () => {
  const { namespace, connection, metaKey, journalSubject } = await givenStore();
  const checkpoint = await checkpointOf(connection, metaKey(META_KEYS.checkpoint));
  await store(connection, journalSubject, '{"flushId":"f","lastResult":null,"facts":[]}');
  await store(connection, journalSubject, '{"flushId":"g","lastResult":null,"facts":[]}');
  await store(
    connection,
    metaKey(META_KEYS.checkpoint),
    JSON.stringify({ ...checkpoint, at: checkpoint.at - 120_000 }),
  );

  expect(findingOf(await look(namespace), "journal/checkpoint-behind").details).toMatchObject({ behind: 2 });
});

it("warns of a journal that is not trimmed", async () => {
  const { namespace, connection, journal, metaKey, journalSubject } = await givenStore();
  const checkpoint = await checkpointOf(connection, metaKey(META_KEYS.checkpoint));
  const flushes = 10_100;
  for (let index = 0; index < flushes; index += 1) {
    connection.publish(journalSubject, '{"flushId":"f","lastResult":null,"facts":[]}');
  }
  await connection.flush();
  const end = checkpoint.journalSequence + flushes;
  const info = async () => JSON.stringify(await api(connection, `STREAM.INFO.${journal}`));
  await untilHolds("all flushes are stored", info, (text) => text.includes(`"last_seq":${end}`), {
    deadlineMs: 25_000,
  });
  await store(
    connection,
    metaKey(META_KEYS.checkpoint),
    JSON.stringify({ ...checkpoint, journalSequence: end, highWaterMark: end }),
  );

  expect(codesOf(await look(namespace))).toContain("journal/not-trimmed");
});

it("warns of results that nobody reads", async () => {
  const { namespace, connection } = await givenStore();
  for (let index = 0; index < 1_001; index += 1) connection.publish(`${namespace}.agent.k-1.result`, "{}");
  await connection.flush();

  expect(codesOf(await look(namespace))).toContain("journal/results-unread");
});

it.each<[what: string, body: string]>([
  ["no JSON", "hello"],
  ["no record", '{"sequence":1,"record":{"state":"running"}}'],
  ["a record in no state there is", '{"sequence":1,"record":{"state":"banana"}}'],
])("names a record that is %s, at which an orchestrator would stumble", async (_what, body) => {
  const { namespace, connection, taskKey } = await givenStore();
  await store(connection, taskKey("theirs"), body);

  const { details } = findingOf(await look(namespace), "journal/record-unreadable");

  expect(details["keys"]).toEqual(["theirs"]);
});

it("says that a record is ahead of the journal", async () => {
  const { namespace, connection, tasksStream, taskKey } = await givenStore();
  const inspector = new Inspector(connection, {
    timeoutMs: 2_000,
    clock: systemClock,
    signal: new AbortController().signal,
  });
  const stored = await storedMessage(inspector, tasksStream, { lastOn: taskKey("t-1") });
  const body = stored.known && stored.value !== null ? Buffer.from(stored.value.data).toString() : "";
  await store(connection, taskKey("t-1"), body.replace(/"sequence":\d+/, '"sequence":9999'));

  expect(findingOf(await look(namespace), "journal/record-ahead").details).toMatchObject({
    key: "t-1",
    sequence: 9_999,
  });
});

it("names tasks whose records were deleted under an orchestrator that runs", async () => {
  const { namespace, connection, tasksStream, taskKey } = await givenNames();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  await submitted(namespace, 3);
  const info = async () =>
    JSON.stringify(await api(connection, `STREAM.INFO.${tasksStream}`, { subjects_filter: ">" }));
  await untilHolds("the records are copied", info, (text) => text.includes(taskKey("t-2")));
  await untilHolds(
    "nothing is left to replay",
    () => look(namespace),
    (report) => report.checks.some(({ seen }) => seen.includes("the checkpoint is 0 flushes behind")),
  );
  await store(connection, taskKey("t-1"), "", { "KV-Operation": "DEL" });

  expect(findingOf(await look(namespace), "journal/record-missing").details).toEqual({ tasks: ["t-1"] });
});
