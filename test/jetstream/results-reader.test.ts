import { cp, rm } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import type { PerdureError } from "../../src/errors.js";
import type { Connection } from "../../src/jetstream/connection.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { provision } from "../../src/jetstream/provision.js";
import { publishAcked } from "../../src/jetstream/publisher.js";
import { ResultsReader } from "../../src/jetstream/results-reader.js";
import { silentLogger } from "../../src/logger.js";
import type { ResultsPosition } from "../../src/protocol/fact.js";
import type { AgentId, Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";

const nats = useNats();

interface Given {
  readonly connection: Connection;
  readonly namespace: Namespace;
  readonly stream: string;
}

async function provisioned(): Promise<Given> {
  const connection = await nats.connect();
  const namespace = newNamespace();
  const topology = topologyOf(namespace);
  await provision(connection, topology, { replicas: 1, serverSync: "always" });
  return { connection, namespace, stream: topology.results.name };
}

async function handIn({ connection, namespace }: Given, ...bodies: readonly string[]): Promise<void> {
  const subject = subjectsOf(namespace).agentResult("agent-1" as AgentId);
  for (const body of bodies) await publishAcked(connection, subject, body, { timeoutMs: 5_000 });
}

interface Reading {
  readonly reader: ResultsReader;
  /** `<sequence>:<body>` */
  readonly seen: string[];
  readonly positions: ResultsPosition[];
  readonly failures: PerdureError[];
}

function startReading(given: Given, after: ResultsPosition | null, onEach?: () => void): Reading {
  const seen: string[] = [];
  const positions: ResultsPosition[] = [];
  const failures: PerdureError[] = [];
  const reader = new ResultsReader(given.connection, {
    stream: given.stream,
    after,
    logger: silentLogger,
    onResult: ({ sequence, storedAt, data }) => {
      positions.push({ sequence, storedAt });
      seen.push(`${sequence}:${new TextDecoder().decode(data)}`);
      onEach?.();
    },
    onFailed: (error) => failures.push(error),
  });
  onTestFinished(() => reader.stop());
  return { reader, seen, positions, failures };
}

const seenAre = (seen: readonly string[], wanted: readonly string[]) =>
  untilHolds(
    `the results are ${wanted.join()}`,
    () => [...seen],
    (now) => now.length >= wanted.length,
  ).then((now) => expect(now).toEqual(wanted));

test("results come in order: those that waited, and those that are handed in later", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b");
  const { seen } = startReading(given, null);
  await seenAre(seen, ["1:a", "2:b"]);
  await handIn(given, "c");
  await seenAre(seen, ["1:a", "2:b", "3:c"]);
});

test("what the journal covers is not read again", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b", "c");
  const first = startReading(given, null);
  await until("all are read", () => first.positions.length === 3);
  const { seen } = startReading(given, first.positions[1] ?? null);
  await seenAre(seen, ["3:c"]);
  await handIn(given, "d");
  await seenAre(seen, ["3:c", "4:d"]);
});

test("a result says which agent's subject it came on, and its headers", async () => {
  const given = await provisioned();
  const subject = subjectsOf(given.namespace).agentResult("agent-7" as AgentId);
  const heard: string[] = [];
  const reader = new ResultsReader(given.connection, {
    stream: given.stream,
    after: null,
    logger: silentLogger,
    onResult: (result) => heard.push(`${result.subject} ${result.header("traceparent")}`),
    onFailed: (error) => heard.push(error.message),
  });
  onTestFinished(() => reader.stop());
  await publishAcked(given.connection, subject, "{}", { timeoutMs: 5_000, headers: { traceparent: "00-7" } });
  await until("it is heard", () => heard.length > 0);
  expect(heard).toEqual([`${subject} 00-7`]);
});

test("a restarted server neither skips nor repeats a result", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b");
  const { seen } = startReading(given, null);
  await seenAre(seen, ["1:a", "2:b"]);
  await nats.stop();
  await nats.restart();
  const other = await nats.connect();
  await handIn({ ...given, connection: other }, "c");
  await seenAre(seen, ["1:a", "2:b", "3:c"]);
});

test("a consumer that somebody deleted is replaced", async () => {
  const given = await provisioned();
  await handIn(given, "a");
  const { seen } = startReading(given, null);
  await seenAre(seen, ["1:a"]);
  const { consumers } = await managerOf(given.connection);
  for await (const { name } of consumers.list(given.stream)) await consumers.delete(given.stream, name);
  await handIn(given, "b");
  await seenAre(seen, ["1:a", "2:b"]);
});

test("results that took the sequences of lost ones are read", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b");
  const { seen } = startReading(given, null);
  await nats.stop();
  const copy = `${nats.jetstreamFolder}-copy`;
  await cp(nats.jetstreamFolder, copy, { recursive: true });
  await nats.restart();
  await handIn({ ...given, connection: await nats.connect() }, "c", "lost", "lost too");
  await until("all five are read", () => seen.length === 5);

  await nats.kill();
  await rm(nats.jetstreamFolder, { recursive: true });
  await cp(copy, nats.jetstreamFolder, { recursive: true });
  await rm(copy, { recursive: true });
  await nats.restart();
  await handIn({ ...given, connection: await nats.connect() }, "c", "d", "e", "f");
  await until("the last one is read", () => seen.includes("6:f"));
  expect(seen.slice(-4)).toEqual(["3:c", "4:d", "5:e", "6:f"]);
});

test("a stream that ends before what the journal covers is read from its beginning", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b");
  const { seen } = startReading(given, { sequence: 99, storedAt: "1795234932394000000" });
  await seenAre(seen, ["1:a", "2:b"]);
  await handIn(given, "c");
  await seenAre(seen, ["1:a", "2:b", "3:c"]);
});

test("purging leaves the last result the journal covers, so that the next reader finds its place", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b", "c");
  const { seen, positions, reader } = startReading(given, null);
  await until("all are read", () => seen.length === 3);
  await reader.purgeUpTo(2);
  reader.stop();
  const { streams } = await managerOf(given.connection);
  expect((await streams.info(given.stream)).state).toMatchObject({ first_seq: 2, last_seq: 3 });
  const next = startReading(given, positions[1] ?? null);
  await seenAre(next.seen, ["3:c"]);
});

test("a new reader recognises that a sequence was given a second time", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b");
  const { seen } = startReading(given, { sequence: 2, storedAt: "1795234932394000000" });
  await seenAre(seen, ["1:a", "2:b"]);
});

test("purging what was not read does nothing", async () => {
  const given = await provisioned();
  await handIn(given, "a", "b");
  const { seen, reader } = startReading(given, null);
  await until("both are read", () => seen.length === 2);
  await reader.purgeUpTo(50);
  const { streams } = await managerOf(given.connection);
  expect((await streams.info(given.stream)).state.messages).toBe(2);
});

test("a deleted stream ends the reading with its name", async () => {
  const given = await provisioned();
  const { failures } = startReading(given, null);
  const { streams } = await managerOf(given.connection);
  await streams.delete(given.stream);
  await until("the reader has failed", () => failures.length === 1, { deadlineMs: 40_000 });
  expect(failures[0]).toMatchObject({ code: "STORAGE_UNAVAILABLE", message: expect.stringContaining(given.stream) });
});

test("a handler that throws ends the reading: the result is not passed over", async () => {
  const given = await provisioned();
  const { failures } = startReading(given, null, () => {
    throw new Error("broken invariant");
  });
  await handIn(given, "a", "b");
  await until("the reader has failed", () => failures.length === 1);
  expect(failures[0]).toMatchObject({ code: "INTERNAL", details: { sequence: 1 } });
});
