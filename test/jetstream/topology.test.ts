/** A declared topology and a real server: what is planned, made, refused and left alone. */
import type { ConsumerConfig, StreamConfig } from "@nats-io/jetstream";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { describe, expect, test } from "vitest";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { natsOf } from "../../src/jetstream/nats-of.js";
import { applyTopology } from "../../src/jetstream/topology-apply.js";
import type { TopologyChange } from "../../src/jetstream/topology-change.js";
import { planTopology } from "../../src/jetstream/topology-plan.js";
import { createLogger, silentLogger } from "../../src/logger.js";
import type {
  ConsumerDeclaration,
  DeclaredTopology,
  StreamDeclaration,
} from "../../src/protocol/topology-declaration.js";
import { startWithoutJetStream } from "../support/bare-nats.js";
import { newNamespace, useNats } from "../support/nats.js";
import { untilHolds } from "../support/until.js";

const nats = useNats();

const refuse = { onDataLoss: "refuse" } as const;
const allow = { onDataLoss: "allow" } as const;

/** Names of a test's own, on a server that the others use too. */
interface Names {
  readonly subject: string;
  readonly stream: string;
  readonly consumer: string;
}

function newNames(): Names {
  const subject = newNamespace();
  return { subject, stream: `${subject}_s`, consumer: `${subject}-c` };
}

function topologyWith(
  { subject, stream, consumer }: Names,
  change: Partial<StreamDeclaration> = {},
  consumerChange: Partial<ConsumerDeclaration> = {},
): DeclaredTopology {
  return defineTopology("test", {
    streams: { [stream]: { subjects: [`${subject}.>`], retention: "limits", ...change } },
    consumers: { [consumer]: { stream, maxDeliver: 3, ...consumerChange } },
  });
}

const streamConfig = async (connection: Connection, name: string): Promise<StreamConfig> =>
  (await (await managerOf(connection)).streams.info(name)).config;
const consumerConfig = async (connection: Connection, stream: string, name: string): Promise<ConsumerConfig> =>
  (await (await managerOf(connection)).consumers.info(stream, name)).config;
const messagesIn = async (connection: Connection, name: string): Promise<number> =>
  (await (await managerOf(connection)).streams.info(name)).state.messages;

async function publish(connection: Connection, subject: string, count: number): Promise<void> {
  const stream = jetstream(natsOf(connection));
  for (let index = 0; index < count; index += 1) await stream.publish(subject, "some text");
}

const actionsOf = (changes: readonly TopologyChange[]): readonly string[] =>
  changes.map(({ kind, action }) => `${kind} ${action}`);
const differing = (changes: readonly TopologyChange[]): readonly TopologyChange[] =>
  changes.filter(({ action }) => action !== "none");

test("every setting that can be declared is made as it is declared, and found so again", async () => {
  const connection = await nats.connect();
  const { subject, stream } = newNames();
  const topology = defineTopology("everything", {
    streams: {
      [stream]: {
        subjects: [`${subject}.a.>`, `${subject}.b`],
        retention: "limits",
        description: "of a test",
        storage: "memory",
        replicas: 1,
        discard: "new",
        maxAge: "7d",
        maxBytes: 10_000_000,
        maxMessages: 10_000,
        maxMessageBytes: 65_536,
        duplicateWindow: "24h",
        allowDirect: true,
      },
      [`${stream}-queue`]: { subjects: [`${subject}.queue.>`], retention: "workqueue", maxAge: "1m" },
      [`${stream}-interest`]: { subjects: [`${subject}.interest`], retention: "interest" },
    },
    consumers: {
      pull: {
        stream,
        filterSubjects: [`${subject}.a.x`, `${subject}.b`],
        description: "of a test",
        maxDeliver: 5,
        ackWait: "60s",
        maxAckPending: 20,
        maxBatch: 1_000,
        deliverPolicy: "new",
      },
      one: { stream, filterSubjects: [`${subject}.>`], backoff: ["1s", 2_000], ackPolicy: "all", maxDeliver: 3 },
      push: { stream, deliverSubject: `${subject}.pushed`, deliverGroup: "workers", ackPolicy: "none" },
      queue: { stream: `${stream}-queue`, filterSubjects: [`${subject}.queue.a.>`], maxDeliver: 1, ackWait: "30s" },
    },
    buckets: {
      [`${subject}_b`]: { history: 5, ttl: "1h", maxBytes: 1_000_000, storage: "memory", description: "of a test" },
      [`${subject}_plain`]: {},
    },
  });

  expect(actionsOf(await planTopology(connection, topology))).toEqual([
    ...Array(3).fill("stream create"),
    ...Array(2).fill("bucket create"),
    ...Array(4).fill("consumer create"),
  ]);
  expect(await applyTopology(connection, topology, refuse)).toHaveLength(9);

  expect(await streamConfig(connection, stream)).toMatchObject({
    subjects: [`${subject}.a.>`, `${subject}.b`],
    retention: "limits",
    description: "of a test",
    storage: "memory",
    num_replicas: 1,
    discard: "new",
    max_age: 7 * 86_400 * 1e9,
    max_bytes: 10_000_000,
    max_msgs: 10_000,
    max_msg_size: 65_536,
    duplicate_window: 86_400 * 1e9,
    allow_direct: true,
  });
  expect(await streamConfig(connection, `${stream}-queue`)).toMatchObject({
    retention: "workqueue",
    storage: "file",
    discard: "old",
    max_age: 60e9,
    duplicate_window: 60e9,
  });
  const pull = await consumerConfig(connection, stream, "pull");
  expect(pull).toMatchObject({
    durable_name: "pull",
    filter_subjects: [`${subject}.a.x`, `${subject}.b`],
    ack_policy: "explicit",
    deliver_policy: "new",
    max_deliver: 5,
    ack_wait: 60e9,
    max_ack_pending: 20,
    max_batch: 1_000,
  });
  expect(pull).not.toHaveProperty("filter_subject");
  const one = await consumerConfig(connection, stream, "one");
  expect(one).toMatchObject({ filter_subject: `${subject}.>`, backoff: [1e9, 2e9], ack_policy: "all" });
  expect(one).not.toHaveProperty("filter_subjects");
  expect(await consumerConfig(connection, stream, "push")).toMatchObject({
    deliver_subject: `${subject}.pushed`,
    deliver_group: "workers",
    ack_policy: "none",
  });
  const bucket = await new Kvm(jetstream(natsOf(connection))).open(`${subject}_b`);
  expect(await bucket.status()).toMatchObject({ history: 5, ttl: 3_600_000, max_bytes: 1_000_000 });

  expect(differing(await planTopology(connection, topology))).toEqual([]);
  expect(await applyTopology(connection, topology, refuse)).toEqual([]);
});

test("several processes may apply one topology at once", async () => {
  const names = newNames();
  const topology = topologyWith(names);
  const connections = await Promise.all(Array.from({ length: 6 }, () => nats.connect()));

  const made = await Promise.all(connections.map((connection) => applyTopology(connection, topology, refuse)));

  expect(made.flat()).not.toEqual([]);
  const [first] = connections;
  if (first !== undefined) expect(differing(await planTopology(first, topology))).toEqual([]);
});

test("processes whose declarations disagree may apply them at once, and none fails", async () => {
  const names = newNames();
  const connections = await Promise.all(Array.from({ length: 8 }, () => nats.connect()));
  const declared = [topologyWith(names), topologyWith(names, { maxAge: "1d" }, { maxDeliver: 5 })] as const;

  const made = connections.map((connection, index) =>
    applyTopology(connection, declared[index % 2 === 0 ? 0 : 1], refuse),
  );

  await expect(Promise.all(made)).resolves.toHaveLength(8);
});

test("processes that replace one consumer at once all end with what is declared", async () => {
  const names = newNames();
  const connections = await Promise.all(Array.from({ length: 6 }, () => nats.connect()));
  const [first] = connections;
  if (first === undefined) throw new Error("no connection");
  await applyTopology(first, topologyWith(names), refuse);
  const changed = topologyWith(names, {}, { ackPolicy: "all" });

  await Promise.all(connections.map((connection) => applyTopology(connection, changed, allow)));

  expect(differing(await planTopology(first, changed))).toEqual([]);
});

describe("a setting that differs", () => {
  test("is named with both values, in the declaration's words, and put right", async () => {
    const connection = await nats.connect();
    const names = newNames();
    await applyTopology(connection, topologyWith(names, { maxAge: "7d" }), refuse);
    const changed = topologyWith(
      names,
      { maxAge: "14d", description: "now with one" },
      { maxDeliver: 5, filterSubjects: [`${names.subject}.a`] },
    );

    const planned = await planTopology(connection, changed);

    expect(planned).toEqual([
      {
        kind: "stream",
        name: names.stream,
        action: "update",
        settings: [
          { setting: "description", found: null, wanted: "now with one" },
          { setting: "maxAge", found: 604_800_000, wanted: 1_209_600_000 },
        ],
      },
      {
        kind: "consumer",
        name: names.consumer,
        stream: names.stream,
        action: "update",
        settings: [
          { setting: "filterSubjects", found: null, wanted: [`${names.subject}.a`] },
          { setting: "maxDeliver", found: 3, wanted: 5 },
        ],
      },
    ]);
    expect(await applyTopology(connection, changed, refuse)).toEqual(planned);
    expect(differing(await planTopology(connection, changed))).toEqual([]);
  });

  test("of an operator's is left as it is, where the declaration says nothing of it", async () => {
    const connection = await nats.connect();
    const names = newNames();
    const topology = topologyWith(names);
    await applyTopology(connection, topology, refuse);
    const { streams, consumers } = await managerOf(connection);
    await streams.update(names.stream, { max_bytes: 5_000_000, allow_direct: true, metadata: { owner: "ops" } });
    await consumers.update(names.stream, names.consumer, { max_ack_pending: 7 });

    expect(differing(await planTopology(connection, topology))).toEqual([]);

    await applyTopology(connection, topologyWith(names, { maxAge: "1d" }, { maxDeliver: 9 }), refuse);
    expect(await streamConfig(connection, names.stream)).toMatchObject({
      max_bytes: 5_000_000,
      allow_direct: true,
      metadata: { owner: "ops" },
      max_age: 86_400e9,
    });
    expect(await consumerConfig(connection, names.stream, names.consumer)).toMatchObject({
      max_ack_pending: 7,
      max_deliver: 9,
    });
  });

  test("may be the number of filters, none, one or several", async () => {
    const connection = await nats.connect();
    const names = newNames();
    const filters = [undefined, [`${names.subject}.a`], [`${names.subject}.a`, `${names.subject}.b`], undefined];
    for (const filterSubjects of filters) {
      const topology = topologyWith(names, {}, { filterSubjects });
      await applyTopology(connection, topology, refuse);
      expect(differing(await planTopology(connection, topology))).toEqual([]);
    }
  });

  test("of a duplicate window that the server chose gives way to a shorter age", async () => {
    const connection = await nats.connect();
    const names = newNames();
    await applyTopology(connection, topologyWith(names), refuse);
    const shorter = topologyWith(names, { maxAge: "1m" });

    await applyTopology(connection, shorter, refuse);

    expect(await streamConfig(connection, names.stream)).toMatchObject({ max_age: 60e9, duplicate_window: 60e9 });
    expect(differing(await planTopology(connection, shorter))).toEqual([]);
  });

  test("leaves no trace in a consumer that loses its queue group", async () => {
    const connection = await nats.connect();
    const names = newNames();
    const deliverSubject = `${names.subject}-pushed`;
    await applyTopology(connection, topologyWith(names, {}, { deliverSubject, deliverGroup: "g" }), refuse);

    await applyTopology(connection, topologyWith(names, {}, { deliverSubject }), refuse);

    expect(await consumerConfig(connection, names.stream, names.consumer)).not.toHaveProperty("deliver_group");
  });
});

test("a subject moves from one declared stream to another, and the messages it had stay", async () => {
  const connection = await nats.connect();
  const { subject, stream } = newNames();
  const streamsWith = (first: readonly string[], second: readonly string[]) =>
    defineTopology("moving", {
      streams: {
        [`${stream}-2`]: { subjects: second, retention: "limits" },
        [stream]: { subjects: first, retention: "limits" },
      },
    });
  await applyTopology(connection, streamsWith([`${subject}.a`, `${subject}.b`], [`${subject}.c`]), refuse);
  await publish(connection, `${subject}.b`, 2);

  await applyTopology(connection, streamsWith([`${subject}.a`], [`${subject}.b`, `${subject}.c`]), allow);

  expect(await messagesIn(connection, stream)).toBe(2);
  expect((await streamConfig(connection, `${stream}-2`)).subjects).toEqual([`${subject}.b`, `${subject}.c`]);
});

test("a filter moves from one consumer of a work queue to a new one", async () => {
  const connection = await nats.connect();
  const { subject, stream } = newNames();
  const queueWith = (consumers: Readonly<Record<string, readonly string[]>>) =>
    defineTopology("moving", {
      streams: { [stream]: { subjects: [`${subject}.>`], retention: "workqueue" } },
      consumers: Object.fromEntries(
        Object.entries(consumers).map(([name, tokens]) => [
          name,
          { stream, filterSubjects: tokens.map((token) => `${subject}.${token}`) },
        ]),
      ),
    });
  await applyTopology(connection, queueWith({ old: ["a", "b"] }), refuse);

  const made = await applyTopology(connection, queueWith({ new: ["b"], old: ["a"] }), refuse);

  expect(made.map(({ name, action }) => [name, action])).toEqual([
    ["old", "update"],
    ["new", "create"],
  ]);
});

describe("what would lose data", () => {
  test.each<[what: string, before: Partial<StreamDeclaration>, after: Partial<StreamDeclaration>, said: RegExp]>([
    ["fewer messages than it has", {}, { maxMessages: 2 }, /3 of its 5 messages would be deleted/],
    ["fewer bytes than it has", {}, { maxBytes: 100 }, /holds \d+ bytes, and the oldest messages above 100/],
    ["messages only as old as", {}, { maxAge: 100 }, /older than the new maxAge would be deleted/],
    ["other subjects", {}, { subjects: ["other"] }, /is published on .+ would be stored no more/],
    ["interest only", {}, { retention: "interest" }, /those that no consumer waits for would be deleted/],
    ["another storage", {}, { storage: "memory" }, /storage cannot be changed.+its 5 messages/],
    ["a work queue", {}, { retention: "workqueue" }, /retention cannot be changed.+its 5 messages/],
    ["no work queue", { retention: "workqueue" }, { retention: "limits" }, /retention cannot be changed/],
  ])("of a stream is refused by name, and nothing is changed: %s", async (_what, before, after, said) => {
    const connection = await nats.connect();
    const names = newNames();
    await applyTopology(connection, topologyWith(names, before), refuse);
    await publish(connection, `${names.subject}.x`, 5);
    if (after.maxAge !== undefined) await untilOlder(connection, names.stream, Number(after.maxAge));
    const own = (subjects = after.subjects) => (subjects === undefined ? {} : { subjects: [`${names.subject}-other`] });
    // A change of the consumer beside it, which would lose nothing.
    const changed = topologyWith(
      names,
      { ...before, ...after, ...own() },
      { maxDeliver: 9, filterSubjects: undefined },
    );
    const configBefore = await streamConfig(connection, names.stream);

    const refused = await applyTopology(connection, changed, refuse).catch((error: unknown) => error);

    expect(refused).toMatchObject({
      code: "TOPOLOGY_LOSES_DATA",
      message: expect.stringMatching(said),
      details: { losses: [{ entry: `stream ${names.stream}` }] },
    });
    expect(await streamConfig(connection, names.stream)).toEqual(configBefore);
    expect(await consumerConfig(connection, names.stream, names.consumer)).toMatchObject({ max_deliver: 3 });
    expect(await messagesIn(connection, names.stream)).toBe(5);

    await applyTopology(connection, changed, allow);
    expect(differing(await planTopology(connection, changed))).toEqual([]);
  });

  test.each<[what: string, change: Partial<ConsumerDeclaration>, said: RegExp]>([
    ["ackPolicy", { ackPolicy: "all" }, /ackPolicy cannot be changed.+up to stream sequence 2/],
    ["deliverPolicy", { deliverPolicy: "new" }, /deliverPolicy cannot be changed/],
    ["deliverSubject", { deliverSubject: "pushed-by-a-test" }, /deliverSubject cannot be changed/],
  ])("of a consumer is refused by name: where it stands, for another %s", async (_what, change, said) => {
    const connection = await nats.connect();
    const names = newNames();
    await applyTopology(connection, topologyWith(names), refuse);
    await publish(connection, `${names.subject}.x`, 5);
    const consumer = await jetstream(natsOf(connection)).consumers.get(names.stream, names.consumer);
    for (const _ of [1, 2]) await (await consumer.next())?.ackAck();
    const changed = topologyWith(names, { description: "changed as well, which would lose nothing" }, change);

    const refused = applyTopology(connection, changed, refuse);

    await expect(refused).rejects.toMatchObject({ code: "TOPOLOGY_LOSES_DATA", message: expect.stringMatching(said) });
    const { consumers } = await managerOf(connection);
    expect((await consumers.info(names.stream, names.consumer)).ack_floor.stream_seq).toBe(2);
    expect(await streamConfig(connection, names.stream)).not.toHaveProperty("description");

    const made = await applyTopology(connection, changed, allow);
    expect(actionsOf(made)).toEqual(["stream update", "consumer replace"]);
    expect(differing(await planTopology(connection, changed))).toEqual([]);
  });

  test("of a bucket is refused by name: values that a shorter history has no place for", async () => {
    const connection = await nats.connect();
    const bucket = newNames().subject;
    const withHistory = (history: number) => defineTopology("kept", { buckets: { [bucket]: { history } } });
    await applyTopology(connection, withHistory(3), refuse);
    const kv = await new Kvm(jetstream(natsOf(connection))).open(bucket);
    await kv.put("key", "1");
    await applyTopology(connection, withHistory(2), refuse);
    await kv.put("key", "2");

    const refused = applyTopology(connection, withHistory(1), refuse);

    await expect(refused).rejects.toMatchObject({
      code: "TOPOLOGY_LOSES_DATA",
      details: { losses: [{ entry: `bucket ${bucket}`, losesData: "keys would keep their last 1 values only" }] },
    });
  });

  test.each<[what: string, before: Partial<StreamDeclaration>, after: Partial<StreamDeclaration>]>([
    ["more messages than it has", {}, { maxMessages: 5 }],
    ["a full stream that refuses what is new", {}, { maxMessages: 2, discard: "new" }],
    ["an age that nothing has yet", {}, { maxAge: "1h" }],
    ["a longer age", { maxAge: "1h" }, { maxAge: "2h" }],
    ["a shorter duplicate window", {}, { duplicateWindow: "1s" }],
    ["the same limit again", { maxMessages: 5 }, { maxMessages: 5, description: "x" }],
  ])("is not every smaller number: %s", async (_what, before, after) => {
    const connection = await nats.connect();
    const names = newNames();
    await applyTopology(connection, topologyWith(names, before), refuse);
    await publish(connection, `${names.subject}.x`, 5);

    await applyTopology(connection, topologyWith(names, { ...before, ...after }), refuse);

    expect(await messagesIn(connection, names.stream)).toBe(5);
  });

  test("takes the consumers of a stream that is replaced along, and they are made again", async () => {
    const connection = await nats.connect();
    const names = newNames();
    await applyTopology(connection, topologyWith(names), refuse);
    const changed = topologyWith(names, { storage: "memory" });

    expect(actionsOf(await planTopology(connection, changed))).toEqual(["stream replace", "consumer replace"]);
    await applyTopology(connection, changed, allow);

    expect(await consumerConfig(connection, names.stream, names.consumer)).toMatchObject({ max_deliver: 3 });
  });
});

test("replicas fall to one on a server that is not clustered, which is planned, logged and no drift", async () => {
  const connection = await nats.connect();
  const names = newNames();
  const topology = topologyWith(names, { replicas: 3 });
  const lines: unknown[] = [];
  const logger = createLogger("info", { write: (line: string) => lines.push(JSON.parse(line)) });

  const [planned] = await planTopology(connection, topology);
  await applyTopology(connection, topology, { ...refuse, logger });
  const [again] = await planTopology(connection, topology);

  expect(planned).toMatchObject({ action: "create", lowered: { from: 3, to: 1 } });
  expect(again).toMatchObject({ action: "none", lowered: { from: 3, to: 1 } });
  expect((await streamConfig(connection, names.stream)).num_replicas).toBe(1);
  expect(lines).toMatchObject([
    { level: 40, stream: names.stream, msg: "a stream has one replica: the server is not clustered" },
    { level: 30, stream: names.stream, doing: "create" },
    { level: 30, stream: names.stream, consumer: names.consumer, doing: "create" },
  ]);
});

test("streams have a consumer of one name each, and one that differs is put right where it does", async () => {
  const connection = await nats.connect();
  const { subject, stream, consumer } = newNames();
  const topologyOf = (maxDeliver: number): DeclaredTopology =>
    defineTopology("same names", {
      streams: {
        [stream]: { subjects: [`${subject}.a`], retention: "workqueue" },
        [`${stream}-2`]: { subjects: [`${subject}.b`], retention: "workqueue" },
      },
      consumers: {
        [consumer]: { stream, maxDeliver: 3 },
        [`${consumer}-2`]: { stream: `${stream}-2`, durable: consumer, maxDeliver },
      },
    });

  await applyTopology(connection, topologyOf(3), refuse);
  expect(await planTopology(connection, topologyOf(3))).toEqual(
    [
      { kind: "stream", name: stream },
      { kind: "stream", name: `${stream}-2` },
      { kind: "consumer", name: consumer, stream },
      { kind: "consumer", name: consumer, stream: `${stream}-2` },
    ].map((entry) => ({ ...entry, action: "none", settings: [] })),
  );

  const made = await applyTopology(connection, topologyOf(5), refuse);

  expect(made).toMatchObject([{ kind: "consumer", name: consumer, stream: `${stream}-2`, action: "update" }]);
  expect((await consumerConfig(connection, stream, consumer)).max_deliver).toBe(3);
  expect((await consumerConfig(connection, `${stream}-2`, consumer)).max_deliver).toBe(5);
});

test("a durable consumer that nobody declared is named and left alone", async () => {
  const connection = await nats.connect();
  const names = newNames();
  const topology = topologyWith(names);
  await applyTopology(connection, topology, refuse);
  const { consumers } = await managerOf(connection);
  await consumers.add(names.stream, { durable_name: "somebody-elses", ack_policy: "explicit" });
  await consumers.add(names.stream, { ack_policy: "none" });

  const [stream, ...rest] = await planTopology(connection, topology);
  await applyTopology(connection, topology, refuse);

  expect(stream).toEqual({
    kind: "stream",
    name: names.stream,
    action: "none",
    settings: [],
    undeclared: ["somebody-elses"],
  });
  expect(differing(rest)).toEqual([]);
  expect(await consumerConfig(connection, names.stream, "somebody-elses")).toBeDefined();
});

test("a stream whose subjects another one has is refused with the name of that", async () => {
  const connection = await nats.connect();
  const names = newNames();
  await applyTopology(connection, topologyWith(names), refuse);
  const second = defineTopology("second", {
    streams: { [`${names.stream}-2`]: { subjects: [`${names.subject}.a`], retention: "limits" } },
  });

  await expect(applyTopology(connection, second, refuse)).rejects.toMatchObject({
    code: "STORAGE_MISCONFIGURED",
    details: { stream: `${names.stream}-2`, owners: [names.stream] },
  });
});

test.each<[what: string, filters: readonly string[] | undefined]>([
  ["some", ["x.y"]],
  ["all", undefined],
])(
  "a consumer of %s messages of a work queue that another one takes is refused with the name of that",
  async (_what, tokens) => {
    const connection = await nats.connect();
    const names = newNames();
    const { subject, stream, consumer } = names;
    const filterSubjects = tokens?.map((token) => `${subject}.${token}`);
    const alone = topologyWith(names, { retention: "workqueue" }, { filterSubjects: [`${subject}.z`] });
    await applyTopology(connection, alone, refuse);
    const { consumers } = await managerOf(connection);
    await consumers.delete(stream, consumer);
    const theirs = filterSubjects === undefined ? {} : { filter_subject: `${subject}.x.>` };
    await consumers.add(stream, { durable_name: "theirs", ack_policy: "explicit", ...theirs });

    const refused = applyTopology(
      connection,
      topologyWith(names, { retention: "workqueue" }, { filterSubjects }),
      refuse,
    );

    await expect(refused).rejects.toMatchObject({
      code: "STORAGE_MISCONFIGURED",
      details: { consumer, owners: ["theirs"] },
    });
  },
);

test("a server without JetStream is said to be one", async () => {
  await using server = await startWithoutJetStream();
  const connection = await connect({ servers: server.url, name: "test", maxReconnects: 0, logger: silentLogger });

  await expect(planTopology(connection, topologyWith(newNames()))).rejects.toMatchObject({
    code: "STORAGE_UNAVAILABLE",
  });
  await connection.close();
});

/** By the server's clock. */
async function untilOlder(connection: Connection, stream: string, ageMs: number): Promise<void> {
  const { streams } = await managerOf(connection);
  await untilHolds(
    `the first message is ${ageMs} ms old`,
    async () => {
      const { ts = "", state } = await streams.info(stream);
      return Date.parse(ts) - Date.parse(state.first_ts);
    },
    (age) => age > ageMs,
  );
}
