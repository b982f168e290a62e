import { jetstream, type StreamConfig } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { expect, test } from "vitest";
import { connect } from "../../src/jetstream/connection.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { natsOf } from "../../src/jetstream/nats-of.js";
import { type ProvisionOptions, provision } from "../../src/jetstream/provision.js";
import { RecordStore } from "../../src/jetstream/record-store.js";
import { silentLogger } from "../../src/logger.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { type ForeignServer, startFakeOfVersion, startWithoutJetStream } from "../support/bare-nats.js";
import { newNamespace, useNats } from "../support/nats.js";

const nats = useNats();
const single: ProvisionOptions = { replicas: 1, serverSync: "always" };

async function connectTo(server: ForeignServer) {
  return connect({
    servers: server.url,
    name: "test",
    connectionTimeoutMs: 5_000,
    reconnectWaitMs: 20,
    maxReconnects: 0,
    logger: silentLogger,
  });
}

test("the streams have the settings that the design rests on", async () => {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  await provision(connection, topology, single);
  const { streams } = await managerOf(connection);
  const configOf = async (name: string): Promise<StreamConfig> => (await streams.info(name)).config;
  expect(await configOf(topology.journal.name)).toMatchObject({
    subjects: topology.journal.subjects,
    retention: "limits",
    storage: "file",
    discard: "new",
    max_age: 0,
    allow_direct: false,
  });
  expect(await configOf(topology.results.name)).toMatchObject({ persist_mode: "async", discard: "new" });
  expect(await configOf(`KV_${topology.tasks.bucket}`)).toMatchObject({
    subjects: [`$KV.${topology.tasks.bucket}.>`],
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: false,
    allow_msg_ttl: true,
    allow_atomic: true,
    discard: "new",
    storage: "file",
  });
});

test("two orchestrators provisioning at once agree", async () => {
  const topology = topologyOf(newNamespace());
  const connections = await Promise.all([nats.connect(), nats.connect(), nats.connect()]);
  const provisioned = await Promise.all(connections.map((connection) => provision(connection, topology, single)));
  expect(provisioned).toEqual(Array(3).fill({ durability: "fsync", replicas: 1 }));
});

test("provisioning again changes nothing that is right, nor what an operator limited", async () => {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  await provision(connection, topology, single);
  const { streams } = await managerOf(connection);
  await streams.update(topology.journal.name, { max_bytes: 1_000_000_000 });
  const before = await streams.info(topology.journal.name);
  await provision(connection, topology, single);
  expect((await streams.info(topology.journal.name)).config).toEqual(before.config);
});

test("a setting that drifted is put right", async () => {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  await provision(connection, topology, single);
  const { streams } = await managerOf(connection);
  const bucketStream = `KV_${topology.tasks.bucket}`;
  await streams.update(bucketStream, { allow_direct: true });
  await streams.update(topology.journal.name, { discard: "old", max_age: 3_600_000_000_000 });
  await provision(connection, topology, single);
  expect((await streams.info(bucketStream)).config.allow_direct).toBe(false);
  expect((await streams.info(topology.journal.name)).config).toMatchObject({ discard: "new", max_age: 0 });
});

test("a stream of the name with other subjects is refused and left as it is", async () => {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  const { streams } = await managerOf(connection);
  const subjects = [`${topology.journal.name}.theirs`];
  await streams.add({ name: topology.journal.name, subjects });
  const refused = provision(connection, topology, single);
  await expect(refused).rejects.toMatchObject({
    code: "STORAGE_MISCONFIGURED",
    details: { stream: topology.journal.name, setting: "subjects", found: subjects, wanted: topology.journal.subjects },
  });
  expect((await streams.info(topology.journal.name)).config.subjects).toEqual(subjects);
});

test("a journal that acknowledges before the disk has it is refused", async () => {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  const { streams } = await managerOf(connection);
  await streams.add({
    name: topology.journal.name,
    subjects: [...topology.journal.subjects],
    retention: "limits",
    storage: "file",
    persist_mode: "async",
  });
  await expect(provision(connection, topology, single)).rejects.toMatchObject({
    code: "STORAGE_MISCONFIGURED",
    details: { setting: "persist_mode", found: "async", wanted: "default" },
  });
});

test("more replicas than the server can hold are refused with its reason", async () => {
  const connection = await nats.connect();
  await expect(provision(connection, topologyOf(newNamespace()), { ...single, replicas: 3 })).rejects.toMatchObject({
    code: "STORAGE_UNAVAILABLE",
    details: { apiCode: 10_074 },
  });
});

test.each([
  ["always", "fsync"],
  ["interval", "relaxed"],
  ["unknown", "unverified"],
] as const)("durability of one replica where the server's sync is %s is %s", async (serverSync, durability) => {
  const connection = await nats.connect();
  const provisioned = await provision(connection, topologyOf(newNamespace()), { replicas: 1, serverSync });
  expect(provisioned.durability).toBe(durability);
});

test("a bucket can be read with NATS' own tools", async () => {
  const connection = await nats.connect();
  const { tasks } = topologyOf(newNamespace());
  await provision(connection, { ...topologyOf(newNamespace()), tasks }, single);
  const store = new RecordStore(connection, { bucket: tasks.bucket, logger: silentLogger });
  await store.takeFence();
  await store.write([
    { key: "t-1", value: '{"a":1}' },
    { key: "t-2", value: "{}" },
  ]);
  await store.write([{ key: "t-2", value: null }]);
  const bucket = await new Kvm(jetstream(natsOf(connection))).open(tasks.bucket);
  expect((await bucket.get("t-1"))?.json()).toEqual({ a: 1 });
  expect((await bucket.get("t-2"))?.operation).toBe("DEL");
  const keys: string[] = [];
  for await (const key of await bucket.keys()) keys.push(key);
  expect(keys.toSorted()).toEqual(["_fence", "t-1"]);
});

test("a server without JetStream is refused with what to do", async () => {
  await using server = await startWithoutJetStream();
  const connection = await connectTo(server);
  const refused = provision(connection, topologyOf(newNamespace()), single);
  await expect(refused).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  await expect(refused).rejects.toThrow(/not enabled/);
  await connection.close();
});

test("a server that is too old is refused with both versions", async () => {
  await using server = await startFakeOfVersion("2.11.9");
  const connection = await connectTo(server);
  await expect(provision(connection, topologyOf(newNamespace()), single)).rejects.toMatchObject({
    code: "NATS_SERVER_TOO_OLD",
    details: { found: "2.11.9", needed: "2.12.0" },
  });
  await connection.close();
});

test("a bucket of tasks that is gone beside a journal that was written is not replaced by an empty one", async () => {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  await provision(connection, topology, single);
  const { streams } = await managerOf(connection);
  const [subject = ""] = topology.journal.subjects;
  await connection.request(subject, "{}", { timeoutMs: 2_000 });
  await streams.delete(`KV_${topology.tasks.bucket}`);

  const refused = provision(connection, topology, single);

  await expect(refused).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { lastSequence: 1 } });
  await new Kvm(jetstream(natsOf(connection))).create(topology.tasks.bucket);
  await expect(provision(connection, topology, single)).resolves.toMatchObject({ durability: "fsync" });
});
