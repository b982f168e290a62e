import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { PerdureError } from "../errors.js";
import type { Durability } from "../protocol/system-message.js";
import type { Topology } from "../protocol/topology.js";
import { apiCodes, refusalOf, storageError } from "./api-error.js";
import { streamOfBucket } from "./bucket-names.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";
import { type Drift, driftOf, type OwnStream, ownStreams, type WantedStream } from "./stream-settings.js";

/**
 * Makes the server match protocol/topology.ts. Safe to run again, and by several orchestrators at once: what is there
 * and right is left alone, what can be repaired is updated, and what cannot be, or belongs to somebody else, is refused
 * by name. Limits that an operator sets (`max_bytes`, `max_msgs`, placement) are never touched.
 */

/** Atomic batch publish, which every write of records uses. */
export const SERVER_VERSION_MIN = "2.12.0";

/**
 * What is known of the server's `jetstream.sync_interval`, which it shows to its system account and its monitoring port
 * only: `always` from whoever started it with that, `interval` from whoever read otherwise.
 */
export type ServerSync = "always" | "interval" | "unknown";

export interface ProvisionOptions {
  /** 1, or 3 and 5 in a cluster. */
  readonly replicas: number;
  readonly serverSync: ServerSync;
  /** Told of each stream that was not there, or not as it has to be. */
  readonly onChange?: (change: StreamChange) => void;
}

export interface StreamChange {
  readonly stream: string;
  readonly change: "created" | "repaired";
  /** Those that were repaired. */
  readonly settings: readonly string[];
}

export interface Provisioned {
  /** Of an acknowledged flush. */
  readonly durability: Durability;
  /** Of the journal as it is, which may be more than was asked for. */
  readonly replicas: number;
}

/**
 * @throws PerdureError NATS_SERVER_TOO_OLD; STORAGE_UNAVAILABLE where JetStream is not enabled or refuses;
 *   STORAGE_MISCONFIGURED where a stream of this name exists with settings that cannot be changed or are somebody else's;
 *   STORE_DAMAGED where the bucket of unfinished tasks was deleted.
 */
export async function provision(
  connection: Connection,
  topology: Topology,
  options: ProvisionOptions,
): Promise<Provisioned> {
  assertRecentServer(connection);
  const { replicas } = options;
  await refuseWithoutTasks(connection, topology);
  const own = ownStreams(topology);
  const provisioned = await Promise.all(own.map((stream) => provisionStream(connection, stream, options)));
  const journalReplicas = provisioned[own.findIndex(({ name }) => name === topology.journal.name)] ?? replicas;
  return { durability: durabilityOf(journalReplicas, options.serverSync), replicas: journalReplicas };
}

/**
 * A journal that was ever written had a bucket of tasks beside it, and is trimmed behind what that holds. Made anew, an
 * empty one would look as if all of that had ended.
 */
async function refuseWithoutTasks(connection: Connection, { journal, tasks }: Topology): Promise<void> {
  const journalInfo = await findStream(connection, journal.name);
  if (journalInfo === undefined || journalInfo.state.last_seq === 0) return;
  const stream = streamOfBucket(tasks.bucket);
  if ((await findStream(connection, stream)) !== undefined) return;
  throw new PerdureError(
    "STORE_DAMAGED",
    `Journal ${journal.name} was written up to ${journalInfo.state.last_seq}, and the bucket ${tasks.bucket} beside it is gone, with every unfinished task that the journal does not hold any more. Nothing was started. Restore the server's store directory from a copy; or, to go on without them, make the bucket yourself (\`nats kv add ${tasks.bucket}\`).`,
    { details: { stream, lastSequence: journalInfo.state.last_seq } },
  );
}

/** Returns the replicas that the stream has in the end. */
async function provisionStream(
  connection: Connection,
  stream: OwnStream,
  { replicas, onChange }: ProvisionOptions,
): Promise<number> {
  const { name } = stream;
  const { streams } = await managerOf(connection);
  try {
    const existing = (await findStream(connection, name))?.config;
    const found = existing ?? (await createStream(connection, stream.wanted(replicas)));
    if (existing === undefined) onChange?.({ stream: name, change: "created", settings: [] });
    // More copies than were asked for are somebody's decision, and taking them away would cost durability.
    const drift = driftOf(found, stream.wanted(Math.max(replicas, found.num_replicas)));
    refuseLasting(drift, name);
    if (drift.length === 0) return found.num_replicas;
    const repaired = await streams.update(
      name,
      Object.fromEntries(drift.map((drifted) => [drifted.setting, drifted.wanted])),
    );
    onChange?.({ stream: name, change: "repaired", settings: drift.map(({ setting }) => setting) });
    return repaired.config.num_replicas;
  } catch (error) {
    throw storageError(error, `provision stream ${name}`);
  }
}

async function findStream(connection: Connection, name: string): Promise<StreamInfo | undefined> {
  const { streams } = await managerOf(connection);
  try {
    return await streams.info(name);
  } catch (error) {
    if (refusalOf(error)?.code === apiCodes.streamNotFound) return undefined;
    throw storageError(error, `look for stream ${name}`);
  }
}

async function createStream(connection: Connection, wanted: WantedStream): Promise<StreamConfig> {
  const { streams } = await managerOf(connection);
  try {
    return (await streams.add(wanted)).config;
  } catch (error) {
    if (refusalOf(error)?.code !== apiCodes.streamNameInUse) throw error;
    // Somebody else created it between our two requests; what counts is what is there now.
    return (await streams.info(wanted.name)).config;
  }
}

function refuseLasting(drift: readonly Drift[], name: string): void {
  const lasting = drift.find(({ mended }) => mended !== "atStart");
  if (lasting === undefined) return;
  const { setting, found, wanted, mended } = lasting;
  const own =
    mended === "byHand"
      ? `If it is Perdure's, put it right by hand (\`nats stream edit ${name}\`). Else choose`
      : "Choose";
  throw new PerdureError(
    "STORAGE_MISCONFIGURED",
    `Stream ${name} has ${setting} ${JSON.stringify(found)}, and Perdure needs ${JSON.stringify(wanted)}; it was left as it is. ${own} another namespace, or delete the stream if nobody needs it (\`nats stream rm ${name}\`).`,
    { details: { stream: name, setting, found, wanted } },
  );
}

/** Of an acknowledged flush, where the journal has so many replicas. */
export function durabilityOf(replicas: number, serverSync: ServerSync): Durability {
  if (serverSync === "always") return "fsync";
  if (replicas >= 3) return "replicated";
  return serverSync === "interval" ? "relaxed" : "unverified";
}

function assertRecentServer(connection: Connection): void {
  const version = connection.serverVersion;
  if (isVersionAtLeast(version, SERVER_VERSION_MIN)) return;
  throw new PerdureError(
    "NATS_SERVER_TOO_OLD",
    `nats-server at ${connection.url} is ${version}; Perdure needs ${SERVER_VERSION_MIN} or newer, for atomic batches. Upgrade it, or let \`perdure dev\` start one.`,
    { details: { found: version, needed: SERVER_VERSION_MIN } },
  );
}

/** A pre-release counts as its release; what is no version is taken for a new one. */
export function isVersionAtLeast(version: string, needed: string): boolean {
  const wanted = numbersOf(needed);
  const differences = numbersOf(version).map((part, index) => part - (wanted[index] ?? 0));
  return (differences.find((difference) => difference !== 0) ?? 0) >= 0;
}

/** Major, minor and patch. */
function numbersOf(version: string): readonly number[] {
  return (/^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
}
