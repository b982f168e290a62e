/**
 * Compares a declared topology with the server: one change for each stream, consumer and bucket, `none` where it is as
 * declared. What the server has besides is nobody's business here and is left alone.
 */
import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import { type DeclaredTopology, durableOf } from "../protocol/topology-declaration.js";
import { apiCodes, refusalOf, storageError } from "./api-error.js";
import type { Connection } from "./connection.js";
import {
  bucketFields,
  type ConsumerFields,
  consumerFields,
  differences,
  foundConsumer,
  type StreamFields,
  settingOf,
  streamFields,
} from "./declared-settings.js";
import { managerOf } from "./jetstream-manager.js";
import { natsOf } from "./nats-of.js";
import type { TopologyChange } from "./topology-change.js";
import { lastingOf, lossByUpdate, lossOfConsumer, lossOfStream } from "./topology-losses.js";

/** One line of a declaration, as the server would have it. */
export type DeclaredEntry = DeclaredStore | DeclaredConsumer;

/** A stream, or the one under a bucket. */
export interface DeclaredStore {
  readonly kind: "stream" | "bucket";
  readonly name: string;
  readonly fields: StreamFields;
}

export interface DeclaredConsumer {
  readonly kind: "consumer";
  readonly name: string;
  readonly stream: string;
  readonly fields: ConsumerFields;
}

/**
 * What `applyTopology` would do, without doing it. Changes stand in the order of the declaration: streams, buckets,
 * consumers.
 * @throws PerdureError STORAGE_UNAVAILABLE, REQUEST_TIMED_OUT, PERMISSION_DENIED or CONNECTION_FAILED where the server
 *   cannot be asked
 */
export async function planTopology(
  connection: Connection,
  topology: DeclaredTopology,
): Promise<readonly TopologyChange[]> {
  const changes = await planEntries(connection, topology);
  return await Promise.all(changes.map((change) => withUndeclared(connection, topology, change)));
}

export async function planEntries(
  connection: Connection,
  topology: DeclaredTopology,
): Promise<readonly TopologyChange[]> {
  const stores = await Promise.all(storesOf(topology).map((store) => planEntry(connection, store)));
  // A consumer goes with its stream; that sentence of the stream covers it.
  const madeAnew = new Set(stores.filter(({ action }) => action === "replace").map(({ name }) => name));
  const consumers = await Promise.all(
    consumersOf(topology).map((consumer) =>
      madeAnew.has(consumer.stream) ? changeOf(consumer, "replace", null) : planEntry(connection, consumer),
    ),
  );
  return [...stores, ...consumers];
}

export function storesOf({ streams, buckets }: DeclaredTopology): readonly DeclaredStore[] {
  return [
    ...Object.entries(streams).map(([name, declared]) => ({
      kind: "stream" as const,
      name,
      fields: streamFields(name, declared),
    })),
    ...Object.entries(buckets).map(([name, declared]) => ({
      kind: "bucket" as const,
      name,
      fields: bucketFields(name, declared),
    })),
  ];
}

export function consumersOf({ consumers }: DeclaredTopology): readonly DeclaredConsumer[] {
  return Object.entries(consumers).map(([key, declared]) => {
    const name = durableOf(key, declared);
    return { kind: "consumer" as const, name, stream: declared.stream, fields: consumerFields(name, declared) };
  });
}

export function planEntry(connection: Connection, entry: DeclaredEntry): Promise<TopologyChange> {
  return entry.kind === "consumer" ? planConsumer(connection, entry) : planStore(connection, entry);
}

async function planStore(connection: Connection, declared: DeclaredStore): Promise<TopologyChange> {
  const info = await findStream(connection, declared.fields.name);
  const store = { ...declared, fields: fieldsFor(connection, declared.fields, info) };
  const wantedReplicas = declared.fields.num_replicas ?? 1;
  const lowered =
    store.fields.num_replicas === 1 && wantedReplicas > 1 ? { from: wantedReplicas, to: 1 as const } : null;
  const change = (action: TopologyChange["action"], losesData?: string): TopologyChange => ({
    ...changeOf(store, action, info?.config ?? null),
    ...(lowered === null ? {} : { lowered }),
    ...(losesData === undefined ? {} : { losesData }),
  });
  if (info === undefined) return change("create");
  const lasting = lastingOf(info.config, store.fields);
  if (lasting.length > 0) return change("replace", lossOfStream(info, lasting));
  const isAsDeclared = change("none").settings.length === 0;
  return isAsDeclared ? change("none") : change("update", lossByUpdate(info, store.fields));
}

/**
 * The fields to be had on this server. One that is in no cluster holds one copy; one that says so and has a stream of
 * several all the same serves the streams of another one.
 */
export function fieldsFor(connection: Connection, fields: StreamFields, found: StreamInfo | undefined): StreamFields {
  const { info } = natsOf(connection);
  const isAlone = info !== undefined && info.cluster === undefined && (found?.config.num_replicas ?? 1) === 1;
  return isAlone && fields.num_replicas !== undefined ? { ...fields, num_replicas: 1 } : fields;
}

/** Settings of a consumer that no update changes. */
const lastingOfConsumers = ["durable_name", "ack_policy", "deliver_policy"] as const;

async function planConsumer(connection: Connection, consumer: DeclaredConsumer): Promise<TopologyChange> {
  const info = await findConsumer(connection, consumer);
  if (info === undefined) return changeOf(consumer, "create", null);
  const { config } = info;
  const lasting: string[] = lastingOfConsumers
    .filter((field) => config[field] !== consumer.fields[field])
    .map((field) => settingOf(field, "consumer"));
  // The subject that is pushed to can be changed; whether there is one cannot.
  if ((config.deliver_subject === undefined) !== (consumer.fields.deliver_subject === null))
    lasting.push("deliverSubject");
  if (lasting.length > 0) {
    return { ...changeOf(consumer, "replace", foundConsumer(config)), losesData: lossOfConsumer(info, lasting) };
  }
  const change = changeOf(consumer, "update", foundConsumer(config));
  return change.settings.length === 0 ? { ...change, action: "none" } : change;
}

function changeOf(entry: DeclaredEntry, action: TopologyChange["action"], found: object | null): TopologyChange {
  const settings = differences(found, entry.fields, entry.kind);
  const { kind, name } = entry;
  return kind === "consumer"
    ? { kind, name, stream: entry.stream, action, settings }
    : { kind, name, action, settings };
}

export async function findStream(connection: Connection, name: string): Promise<StreamInfo | undefined> {
  const { streams } = await managerOf(connection);
  try {
    return await streams.info(name);
  } catch (error) {
    if (refusalOf(error)?.code === apiCodes.streamNotFound) return undefined;
    throw storageError(error, `look for stream ${name}`);
  }
}

const absent: ReadonlySet<number | undefined> = new Set([apiCodes.consumerNotFound, apiCodes.streamNotFound]);

async function findConsumer(
  connection: Connection,
  { name, stream }: DeclaredConsumer,
): Promise<ConsumerInfo | undefined> {
  const { consumers } = await managerOf(connection);
  try {
    return await consumers.info(stream, name);
  } catch (error) {
    if (absent.has(refusalOf(error)?.code)) return undefined;
    throw storageError(error, `look for consumer ${name} of stream ${stream}`);
  }
}

async function withUndeclared(
  connection: Connection,
  topology: DeclaredTopology,
  change: TopologyChange,
): Promise<TopologyChange> {
  if (change.kind !== "stream" || change.action === "create") return change;
  const { consumers } = await managerOf(connection);
  const declared = new Set(consumersOf(topology).flatMap(({ stream, name }) => (stream === change.name ? [name] : [])));
  const undeclared: string[] = [];
  try {
    for await (const { config } of consumers.list(change.name)) {
      const { durable_name: name } = config;
      if (name !== undefined && !declared.has(name)) undeclared.push(name);
    }
  } catch (error) {
    throw storageError(error, `list the consumers of stream ${change.name}`);
  }
  return undeclared.length === 0 ? change : { ...change, undeclared: undeclared.toSorted() };
}
