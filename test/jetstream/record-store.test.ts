import { expect, test } from "vitest";
import type { Connection } from "../../src/jetstream/connection.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { provision } from "../../src/jetstream/provision.js";
import { publishAcked } from "../../src/jetstream/publisher.js";
import { type RecordChange, RecordStore } from "../../src/jetstream/record-store.js";
import { type Logger, silentLogger } from "../../src/logger.js";
import { FENCE_KEY, topologyOf } from "../../src/protocol/topology.js";
import { captureLog } from "../support/log-lines.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

interface Given {
  readonly connection: Connection;
  readonly bucket: string;
}

async function provisioned(): Promise<Given> {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  await provision(connection, topology, { replicas: 1, serverSync: "always" });
  return { connection, bucket: topology.tasks.bucket };
}

async function fencedStore({ connection, bucket }: Given, logger: Logger = silentLogger): Promise<RecordStore> {
  const store = new RecordStore(connection, { bucket, logger });
  await store.takeFence();
  return store;
}

async function load(store: RecordStore): Promise<Record<string, unknown>> {
  const records: Record<string, unknown> = {};
  for await (const { key, value } of store.loadAll()) records[key] = value;
  return records;
}

async function keysOf(store: RecordStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.keys()) keys.push(key);
  return keys.toSorted();
}

async function storedMessages({ connection, bucket }: Given): Promise<number> {
  const { streams } = await managerOf(connection);
  return (await streams.info(`KV_${bucket}`)).state.messages;
}

const put = (key: string, value: unknown): RecordChange => ({ key, value: JSON.stringify(value) });
const written = { outcome: "written" };

test("records are read back as written last, one by one and all together", async () => {
  const store = await fencedStore(await provisioned());
  expect(await load(store)).toEqual({});
  expect(await store.write([put("a", { n: 1 }), put("b", null), put("c", [0])])).toEqual(written);
  expect(await store.write([put("a", { n: 2 })])).toEqual(written);
  expect(await load(store)).toEqual({ a: { n: 2 }, b: null, c: [0] });
  expect(await keysOf(store)).toEqual(["a", "b", "c"]);
  expect(await store.get("a")).toEqual({ n: 2 });
  expect(await store.get("absent")).toBeNull();
});

test("a deleted record is gone for every reader", async () => {
  const store = await fencedStore(await provisioned());
  await store.write([put("a", 1), put("b", 2)]);
  await store.write([{ key: "a", value: null }]);
  expect(await load(store)).toEqual({ b: 2 });
  expect(await keysOf(store)).toEqual(["b"]);
  expect(await store.get("a")).toBeNull();
});

test("a deleted record stays gone when the server is killed", async () => {
  const given = await provisioned();
  const store = await fencedStore(given);
  await store.write([put("a", 1), put("b", 2)]);
  await store.write([{ key: "a", value: null }]);
  const deletedAt = performance.now();
  // The server brings back what a message that expired had overwritten.
  await until("a tombstone of the shortest life would have expired", () => performance.now() > deletedAt + 2_500);
  await nats.kill();
  await nats.restart();
  expect(await load(await fencedStore(given))).toEqual({ b: 2 });
});

test("a sweep takes away the tombstones and what was not written again, and nothing else", async () => {
  const given = await provisioned();
  const store = await fencedStore(given);
  await store.write([put("kept", 1), put("forgotten", 1), put("gone", 1), put("gone-too", 1)]);
  await store.write([
    { key: "gone", value: null },
    { key: "gone-too", value: null },
  ]);
  await store.write([put("kept", 1)]);
  store.beginSweep();
  await store.write([put("kept", 2), put("new", 2), { key: "new", value: null }]);
  expect(store.tombstones).toBe(3);

  await store.endSweep();

  expect(store.tombstones).toBe(1);
  expect(await load(store)).toEqual({ kept: 2 });
  // The fence, the record, the tombstone.
  expect(await storedMessages(given)).toBe(3);
  expect(await store.write([put("later", 3)])).toEqual(written);
});

test("the tombstones that were left by others are known after loading", async () => {
  const given = await provisioned();
  const former = await fencedStore(given);
  await former.write([put("a", 1), put("b", 1)]);
  await former.write([{ key: "a", value: null }]);
  const store = await fencedStore(given);
  await load(store);
  expect(store.tombstones).toBe(1);
});

test("a record with a time to live expires by itself, and not early", async () => {
  const store = await fencedStore(await provisioned());
  const writtenAt = performance.now();
  await store.write([{ key: "short", value: "1", ttlMs: 1_500 }, put("long", 2)]);
  expect(await load(store)).toEqual({ short: 1, long: 2 });
  await until("it has expired", async () => (await store.get("short")) === null);
  expect(performance.now() - writtenAt).toBeGreaterThan(1_500);
  expect(await load(store)).toEqual({ long: 2 });
});

test("more records than a batch holds are all written", async () => {
  const store = await fencedStore(await provisioned());
  const changes = Array.from({ length: 2_500 }, (_, index) => put(`k${index}`, index));
  expect(await store.write(changes)).toEqual(written);
  expect(Object.keys(await load(store))).toHaveLength(2_500);
  expect(await store.write([put("k0", "again")])).toEqual(written);
});

test("records of many megabytes are written in batches that the server takes", async () => {
  const store = await fencedStore(await provisioned());
  const changes = Array.from({ length: 20 }, (_, index) => put(`k${index}`, "x".repeat(500_000)));
  expect(await store.write(changes)).toEqual(written);
  expect(await keysOf(store)).toHaveLength(20);
});

test("a paused old leader's batch is refused after a new leader took the fence", async () => {
  const given = await provisioned();
  const old = await fencedStore(given);
  await old.write([put("a", "old"), put("b", "old")]);
  const current = await fencedStore({ ...given, connection: await nats.connect() });
  await current.write([put("a", "new")]);
  expect(await old.write([put("b", "stale"), put("c", "stale")])).toMatchObject({ outcome: "fenced" });
  expect(await load(current)).toEqual({ a: "new", b: "old" });
});

test("a fenced store stays fenced", async () => {
  const given = await provisioned();
  const old = await fencedStore(given);
  const current = await fencedStore(given);
  await expect(old.write([put("a", 1)])).resolves.toMatchObject({ outcome: "fenced" });
  await expect(old.write([put("a", 1)])).resolves.toMatchObject({ outcome: "fenced" });
  expect(await current.write([put("a", 2)])).toEqual(written);
});

test("writing before the fence was taken is a fault of the caller", async () => {
  const { connection, bucket } = await provisioned();
  const store = new RecordStore(connection, { bucket, logger: silentLogger });
  await expect(store.write([put("a", 1)])).rejects.toThrow(/before its fence was taken/);
});

test("of leaders that take the fence at once, the last one writes", async () => {
  const given = await provisioned();
  const stores = await Promise.all([fencedStore(given), fencedStore(given), fencedStore(given)]);
  const outcomes: string[] = [];
  for (const store of stores) outcomes.push((await store.write([put("a", 1)])).outcome);
  expect(outcomes.toSorted()).toEqual(["fenced", "fenced", "written"]);
});

test("a batch whose acknowledgement was lost is recognised as its own", async () => {
  const given = await provisioned();
  const { logger, count } = captureLog();
  const store = await fencedStore(given, logger);
  await nats.freeze();
  const write = store.write([put("a", 1), put("b", 2)]);
  await until("the batch was sent a second time", () => count("outcome unknown") >= 2);
  nats.thaw();
  expect(await write).toEqual(written);
  expect(await store.write([put("c", 3)])).toEqual(written);
  expect(await load(store)).toEqual({ a: 1, b: 2, c: 3 });
});

test("a server killed in the middle of writing delays the batches, and none is lost or torn", async () => {
  const given = await provisioned();
  const { logger, count } = captureLog();
  const connection = await nats.connect({ logger });
  const store = await fencedStore({ ...given, connection }, logger);
  const rounds = 30;
  const writing = (async () => {
    for (let round = 0; round < rounds; round += 1) {
      const changes = Array.from({ length: 50 }, (_, index) => put(`k${index}`, round));
      expect(await store.write(changes)).toEqual(written);
    }
  })();
  await until("some rounds are written", async () => Number(await store.get("k0")) >= 3);
  await nats.kill();
  await until("the loss is noticed", () => count("disconnected from NATS") === 1);
  await nats.restart();
  await writing;
  const values = Object.values(await load(store));
  expect(values).toHaveLength(50);
  expect(new Set(values)).toEqual(new Set([rounds - 1]));
});

test("a write given up does not confuse the ones after it", async () => {
  const given = await provisioned();
  const store = await fencedStore(given);
  await nats.freeze();
  const stop = new AbortController();
  const givenUp = store.write([put("a", "given up")], stop.signal);
  stop.abort(new Error("enough"));
  await expect(givenUp).rejects.toThrow("enough");
  nats.thaw();
  expect(await store.write([put("a", "wanted")])).toEqual(written);
  expect(await load(store)).toEqual({ a: "wanted" });
});

test("a full store refuses a batch whole", async () => {
  const given = await provisioned();
  const store = await fencedStore(given);
  await store.write([put("a", 1)]);
  const { streams } = await managerOf(given.connection);
  await streams.update(`KV_${given.bucket}`, { max_bytes: 1_000 });
  const changes = [put("b", "x".repeat(200)), put("c", "x".repeat(2_000))];
  await expect(store.write(changes)).rejects.toMatchObject({ code: "STORAGE_FULL" });
  await streams.update(`KV_${given.bucket}`, { max_bytes: -1 });
  expect(await load(store)).toEqual({ a: 1 });
  expect(await store.write([put("d", 4)])).toEqual(written);
});

test("a record that is not JSON is named", async () => {
  const given = await provisioned();
  const store = await fencedStore(given);
  await publishAcked(given.connection, `$KV.${given.bucket}.broken`, "{", { timeoutMs: 5_000 });
  await expect(load(store)).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { key: "broken" } });
  await expect(store.get("broken")).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { key: "broken" } });
});

test("loading goes on after the connection was lost, each record once", async () => {
  const given = await provisioned();
  const store = await fencedStore(given);
  for (let batch = 0; batch < 20; batch += 1) {
    await store.write(Array.from({ length: 900 }, (_, index) => put(`k${batch}-${index}`, "x".repeat(600))));
  }
  const keys: string[] = [];
  let restarted: Promise<void> | undefined;
  for await (const { key } of store.loadAll()) {
    keys.push(key);
    if (keys.length === 1) restarted = nats.kill().then(() => nats.restart());
    if (keys.length === 2) await restarted;
  }
  expect(keys).toHaveLength(18_000);
  expect(new Set(keys).size).toBe(18_000);
});

test("the fence is not a record", async () => {
  const store = await fencedStore(await provisioned());
  expect(await store.get(FENCE_KEY)).toMatchObject({ write: 1 });
  expect(await keysOf(store)).toEqual([]);
});
