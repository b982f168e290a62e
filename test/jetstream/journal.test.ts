import { expect, test } from "vitest";
import type { Connection } from "../../src/jetstream/connection.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { type FlushBytes, type Journal, type JournalEntry, openJournal } from "../../src/jetstream/journal.js";
import { provision } from "../../src/jetstream/provision.js";
import { publishAcked } from "../../src/jetstream/publisher.js";
import { type Logger, silentLogger } from "../../src/logger.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { captureLog } from "../support/log-lines.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

function flush(flushId: string): FlushBytes {
  return { flushId, bytes: new TextEncoder().encode(JSON.stringify({ flushId, lastResult: null, facts: [] })) };
}

async function open(
  connection: Connection,
  namespace: Namespace,
  options: { readonly highWaterMark?: number; readonly logger?: Logger } = {},
): Promise<Journal> {
  return openJournal(connection, {
    stream: topologyOf(namespace).journal.name,
    subject: subjectsOf(namespace).journal,
    highWaterMark: options.highWaterMark ?? 0,
    logger: options.logger ?? silentLogger,
  });
}

async function provisioned(): Promise<{ connection: Connection; namespace: Namespace }> {
  const connection = await nats.connect();
  const namespace = newNamespace();
  await provision(connection, topologyOf(namespace), { replicas: 1, serverSync: "always" });
  return { connection, namespace };
}

async function appendAll(journal: Journal, ...flushIds: readonly string[]): Promise<void> {
  for (const flushId of flushIds) expect(await journal.append(flush(flushId))).toMatchObject({ outcome: "appended" });
}

async function read(journal: Journal, from: number): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for await (const entry of journal.readFrom(from)) entries.push(entry);
  return entries;
}

const idsOf = (entries: readonly JournalEntry[]): string[] => entries.map(({ flush: { flushId } }) => flushId);

test("flushes are read back in the order they were appended, from any of them", async () => {
  const { connection, namespace } = await provisioned();
  const journal = await open(connection, namespace);
  expect(journal.lastSequence).toBe(0);
  expect(await read(journal, 1)).toEqual([]);
  await appendAll(journal, "a", "b", "c");
  expect(journal.lastSequence).toBe(3);
  expect(await read(journal, 2)).toEqual([
    { sequence: 2, flush: { flushId: "b", lastResult: null, facts: [] } },
    { sequence: 3, flush: { flushId: "c", lastResult: null, facts: [] } },
  ]);
  expect(await read(journal, 4)).toEqual([]);
});

test("a journal opened again goes on where it ended", async () => {
  const { connection, namespace } = await provisioned();
  await appendAll(await open(connection, namespace), "a", "b");
  const again = await open(connection, namespace, { highWaterMark: 2 });
  expect(await again.append(flush("c"))).toEqual({ outcome: "appended", sequence: 3 });
});

test("a writer that another has overtaken is fenced, and told by whom", async () => {
  const { connection, namespace } = await provisioned();
  const old = await open(connection, namespace);
  await appendAll(old, "old-1");
  const current = await open(await nats.connect(), namespace);
  await appendAll(current, "new-1");
  expect([await old.isOvertaken(), await current.isOvertaken()]).toEqual([true, false]);
  expect(await old.append(flush("old-2"))).toEqual({ outcome: "fenced", lastSequence: 2, lastFlushId: "new-1" });
  expect(idsOf(await read(current, 1))).toEqual(["old-1", "new-1"]);
});

test("a flush whose acknowledgement was lost is recognised as its own", async () => {
  const { namespace } = await provisioned();
  const { logger, count } = captureLog();
  const journal = await open(await nats.connect(), namespace, { logger });
  await appendAll(journal, "a");
  await nats.freeze();
  const appended = journal.append(flush("b"));
  await until("the flush was sent a second time", () => count("outcome unknown") >= 2);
  nats.thaw();
  expect(await appended).toEqual({ outcome: "appended", sequence: 2 });
  await appendAll(journal, "c");
  expect(idsOf(await read(journal, 1))).toEqual(["a", "b", "c"]);
});

test("a server that is killed and started again delays a flush, and neither loses nor doubles it", async () => {
  const { namespace } = await provisioned();
  const { logger, count } = captureLog();
  const connection = await nats.connect({ logger });
  const journal = await open(connection, namespace, { logger });
  await appendAll(journal, "a");
  await nats.kill();
  await until("the loss is noticed", () => count("disconnected from NATS") === 1);
  const appended = journal.append(flush("b"));
  await nats.restart();
  expect(await appended).toEqual({ outcome: "appended", sequence: 2 });
  expect(idsOf(await read(journal, 1))).toEqual(["a", "b"]);
});

test("an append that was given up must be repeated before another", async () => {
  const { namespace } = await provisioned();
  const journal = await open(await nats.connect(), namespace);
  await nats.freeze();
  const stop = new AbortController();
  const appended = journal.append(flush("a"), stop.signal);
  stop.abort(new Error("enough"));
  await expect(appended).rejects.toThrow("enough");
  nats.thaw();
  await expect(journal.append(flush("b"))).rejects.toThrow(/may have been written/);
  expect(await journal.append(flush("a"))).toEqual({ outcome: "appended", sequence: 1 });
  expect(await journal.append(flush("b"))).toEqual({ outcome: "appended", sequence: 2 });
});

test("a full store refuses the flush, and takes the same one when there is room", async () => {
  const { connection, namespace } = await provisioned();
  const { streams } = await managerOf(connection);
  const { name } = topologyOf(namespace).journal;
  const journal = await open(connection, namespace);
  await appendAll(journal, "a");
  await streams.update(name, { max_bytes: 150 });
  await expect(journal.append(flush("b"))).rejects.toMatchObject({ code: "STORAGE_FULL" });
  await streams.update(name, { max_bytes: -1 });
  expect(await journal.append(flush("b"))).toEqual({ outcome: "appended", sequence: 2 });
});

test("trimming keeps what lies behind, and always the last flush", async () => {
  const { connection, namespace } = await provisioned();
  const journal = await open(connection, namespace);
  await appendAll(journal, "a", "b", "c");
  await journal.trimBefore(2);
  expect(idsOf(await read(journal, 2))).toEqual(["b", "c"]);
  await journal.trimBefore(100);
  expect(idsOf(await read(journal, 3))).toEqual(["c"]);
  await appendAll(journal, "d");
});

test("reading from before what was trimmed says what is missing", async () => {
  const { connection, namespace } = await provisioned();
  const journal = await open(connection, namespace);
  await appendAll(journal, "a", "b", "c");
  await journal.trimBefore(3);
  await expect(read(journal, 2)).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { expected: 2, found: 3 } });
});

test("a gap in the journal is not read over", async () => {
  const { connection, namespace } = await provisioned();
  const journal = await open(connection, namespace);
  await appendAll(journal, "a", "b", "c");
  const { streams } = await managerOf(connection);
  await streams.deleteMessage(topologyOf(namespace).journal.name, 2);
  await expect(read(journal, 1)).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { expected: 2, found: 3 } });
});

test("a missing end of the journal is noticed while reading", async () => {
  const { connection, namespace } = await provisioned();
  const journal = await open(connection, namespace);
  await appendAll(journal, "a", "b");
  const { streams } = await managerOf(connection);
  await streams.deleteMessage(topologyOf(namespace).journal.name, 2);
  await expect(read(journal, 1)).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { expected: 2 } });
});

test("a journal that ends before the checkpoint is damaged", async () => {
  const { connection, namespace } = await provisioned();
  await appendAll(await open(connection, namespace), "a");
  await expect(open(connection, namespace, { highWaterMark: 5 })).rejects.toMatchObject({
    code: "STORE_DAMAGED",
    details: { lastSequence: 1, highWaterMark: 5 },
  });
});

test("a journal that somebody emptied is damaged", async () => {
  const { connection, namespace } = await provisioned();
  await appendAll(await open(connection, namespace), "a", "b");
  const { streams } = await managerOf(connection);
  await streams.purge(topologyOf(namespace).journal.name);
  await expect(open(connection, namespace, { highWaterMark: 1 })).rejects.toMatchObject({ code: "STORE_DAMAGED" });
});

test("a message that is no flush is named by its sequence", async () => {
  const { connection, namespace } = await provisioned();
  const journal = await open(connection, namespace);
  await appendAll(journal, "a");
  await publishAcked(connection, subjectsOf(namespace).journal, '{"flushId":7}', { timeoutMs: 5_000 });
  await expect(read(journal, 1)).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { sequence: 2 } });
});
