import { DiscardPolicy, PersistMode, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import { PerdureError } from "../errors.js";
import type { Durability } from "../protocol/system-message.js";
import type { BucketTopology, StreamTopology, Topology } from "../protocol/topology.js";
import { apiCodes, refusalOf, storageError } from "./api-error.js";
import { allKeysOf, streamOfBucket } from "./bucket-names.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";

/**
 * Makes the server match protocol/topology.ts. Safe to run again, and by several orchestrators at once: what is there
 * and right is left alone, what can be repaired is updated, and what cannot be, or belongs to somebody else, is refused
 * by name. Limits that an operator sets (`max_bytes`, `max_msgs`, placement) are never touched.
 */

/** Atomic batch publish, which every write of records uses. */
const SERVER_VERSION_MIN = "2.12.0";

/**
 * What is known of the server's `jetstream.sync_interval`, which it shows to its system account and its monitoring port
 * only: `always` from whoever started it with that, `interval` from whoever read otherwise.
 */
export type ServerSync = "always" | "interval" | "unknown";

export interface ProvisionOptions {
  /** 1, or 3 and 5 in a cluster. */
  readonly replicas: number;
  readonly serverSync: ServerSync;
}

export interface Provisioned {
  /** Of an acknowledged flush. */
  readonly durability: Durability;
  /** Of the journal as it is, which may be more than was asked for. */
  readonly replicas: number;
}

/** The settings of a stream that this file decides about. */
type WantedConfig = Pick<StreamConfig, "name" | "subjects" | "retention" | "storage"> & Partial<StreamConfig>;

/**
 * @throws PerdureError NATS_SERVER_TOO_OLD; STORAGE_UNAVAILABLE where JetStream is not enabled or refuses;
 *   STORAGE_MISCONFIGURED where a stream of this name exists with settings that cannot be changed or are somebody else's.
 */
export async function provision(
  connection: Connection,
  topology: Topology,
  options: ProvisionOptions,
): Promise<Provisioned> {
  assertRecentServer(connection);
  const { replicas } = options;
  const [journalReplicas] = await Promise.all([
    provisionStream(connection, streamConfig(topology.journal, replicas)),
    provisionStream(connection, streamConfig(topology.results, replicas)),
    provisionStream(connection, bucketConfig(topology.tasks, replicas)),
    provisionStream(connection, bucketConfig(topology.endedTasks, replicas)),
    provisionStream(connection, bucketConfig(topology.runs, replicas)),
    provisionStream(connection, bucketConfig(topology.histories, replicas)),
    provisionStream(connection, bucketConfig(topology.agents, replicas)),
    provisionStream(connection, bucketConfig(topology.meta, replicas)),
  ]);
  return { durability: durabilityOf(journalReplicas, options.serverSync), replicas: journalReplicas };
}

function streamConfig(stream: StreamTopology, replicas: number): WantedConfig {
  // The server takes `async` for a single replica only; with more, the quorum is what makes a result safe.
  const persistMode = stream.persistence === "async" && replicas === 1 ? PersistMode.Async : PersistMode.Default;
  return {
    name: stream.name,
    subjects: [...stream.subjects],
    description: stream.description,
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    num_replicas: replicas,
    max_age: 0,
    max_msgs_per_subject: -1,
    // A full store must refuse what is new, not forget what it acknowledged.
    discard: DiscardPolicy.New,
    // Direct reads are answered by any replica, so they may be stale.
    allow_direct: false,
    persist_mode: persistMode,
  };
}

function bucketConfig(bucket: BucketTopology, replicas: number): WantedConfig {
  return {
    name: streamOfBucket(bucket.bucket),
    subjects: [allKeysOf(bucket.bucket)],
    description: bucket.description,
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    num_replicas: replicas,
    max_age: 0,
    max_msgs_per_subject: 1,
    discard: DiscardPolicy.New,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: false,
    allow_msg_ttl: true,
    allow_atomic: true,
    persist_mode: PersistMode.Default,
  };
}

/** Differences in these cannot be repaired: the server refuses to change them, or another owner wanted them so. */
const fixedSettings = ["subjects", "retention", "storage", "persist_mode"] as const;

const repairableSettings = [
  "num_replicas",
  "max_age",
  "max_msgs_per_subject",
  "discard",
  "allow_rollup_hdrs",
  "deny_delete",
  "allow_direct",
  "allow_msg_ttl",
  "allow_atomic",
] as const;

type Setting = (typeof fixedSettings)[number] | (typeof repairableSettings)[number];

/** Returns the replicas that the stream has in the end. */
async function provisionStream(connection: Connection, wanted: WantedConfig): Promise<number> {
  const { streams } = await managerOf(connection);
  try {
    const found = (await findConfig(connection, wanted.name)) ?? (await createStream(connection, wanted));
    refuseDrift(found, wanted);
    const drifted = repairableSettings.filter((setting) => differs(found, wanted, setting));
    if (drifted.length === 0) return found.num_replicas;
    const repaired = await streams.update(
      wanted.name,
      Object.fromEntries(drifted.map((setting) => [setting, wanted[setting]])),
    );
    return repaired.config.num_replicas;
  } catch (error) {
    throw storageError(error, `provision stream ${wanted.name}`);
  }
}

async function findConfig(connection: Connection, name: string): Promise<StreamConfig | undefined> {
  const { streams } = await managerOf(connection);
  try {
    return (await streams.info(name)).config;
  } catch (error) {
    if (refusalOf(error)?.code === apiCodes.streamNotFound) return undefined;
    throw error;
  }
}

async function createStream(connection: Connection, wanted: WantedConfig): Promise<StreamConfig> {
  const { streams } = await managerOf(connection);
  try {
    return (await streams.add(wanted)).config;
  } catch (error) {
    if (refusalOf(error)?.code !== apiCodes.streamNameInUse) throw error;
    // Somebody else created it between our two requests; what counts is what is there now.
    return (await streams.info(wanted.name)).config;
  }
}

function refuseDrift(found: StreamConfig, wanted: WantedConfig): void {
  const setting = fixedSettings.find((name) => differs(found, wanted, name));
  if (setting === undefined) return;
  const foundValue = JSON.stringify(settingOf(found, setting));
  const wantedValue = JSON.stringify(settingOf(wanted, setting));
  throw new PerdureError(
    "STORAGE_MISCONFIGURED",
    `Stream ${wanted.name} has ${setting} ${foundValue}, and Perdure needs ${wantedValue}; it was left as it is. Choose another namespace, or delete the stream if nobody needs it (\`nats stream rm ${wanted.name}\`).`,
    { details: { stream: wanted.name, setting, found: settingOf(found, setting), wanted: settingOf(wanted, setting) } },
  );
}

function differs(found: StreamConfig, wanted: WantedConfig, setting: Setting): boolean {
  if (wanted[setting] === undefined) return false;
  return JSON.stringify(settingOf(found, setting)) !== JSON.stringify(settingOf(wanted, setting));
}

/** The server leaves settings out that have their default. */
const defaults: Partial<Record<Setting, unknown>> = {
  persist_mode: PersistMode.Default,
  max_age: 0,
  allow_rollup_hdrs: false,
  deny_delete: false,
  allow_direct: false,
  allow_msg_ttl: false,
  allow_atomic: false,
};

function settingOf(config: StreamConfig | WantedConfig, setting: Setting): unknown {
  return config[setting] ?? defaults[setting];
}

function durabilityOf(replicas: number, serverSync: ServerSync): Durability {
  if (serverSync === "always") return "fsync";
  if (replicas >= 3) return "replicated";
  return serverSync === "interval" ? "relaxed" : "unverified";
}

function assertRecentServer(connection: Connection): void {
  const version = connection.serverVersion;
  const found = numbersOf(version);
  const wanted = numbersOf(SERVER_VERSION_MIN);
  const difference = found.map((part, index) => part - (wanted[index] ?? 0)).find((part) => part !== 0) ?? 0;
  if (difference >= 0) return;
  throw new PerdureError(
    "NATS_SERVER_TOO_OLD",
    `nats-server at ${connection.url} is ${version}; Perdure needs ${SERVER_VERSION_MIN} or newer, for atomic batches. Upgrade it, or let \`perdure dev\` start one.`,
    { details: { found: version, needed: SERVER_VERSION_MIN } },
  );
}

/** Major, minor and patch; a pre-release counts as its release. */
function numbersOf(version: string): readonly number[] {
  return (/^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
}
