/**
 * Makes the server match a declared topology. Safe to run again, and by several processes at once: each entry is looked
 * at just before it is touched, and whoever comes second to a change finds it done.
 */
import type { StreamConfig } from "@nats-io/jetstream";
import { PerdureError } from "../errors.js";
import { type Logger, silentLogger } from "../logger.js";
import type { DeclaredTopology } from "../protocol/topology-declaration.js";
import { apiCodes, refusalOf, storageError } from "./api-error.js";
import type { Connection } from "./connection.js";
import { consumerConfig, type StreamFields } from "./declared-settings.js";
import { managerOf } from "./jetstream-manager.js";
import type { TopologyChange } from "./topology-change.js";
import { conflictError } from "./topology-conflict.js";
import {
  consumersOf,
  type DeclaredConsumer,
  type DeclaredEntry,
  type DeclaredStore,
  fieldsFor,
  findStream,
  planEntries,
  planEntry,
  storesOf,
} from "./topology-plan.js";

export interface ApplyOptions {
  /** What to do where a change would lose messages, or where a consumer stands. `refuse` changes nothing at all then. */
  readonly onDataLoss: "refuse" | "allow";
  readonly logger?: Logger;
}

/**
 * Resolves with the changes that this call made, in the order in which it made them; none where all is as declared.
 * @throws PerdureError TOPOLOGY_LOSES_DATA; STORAGE_MISCONFIGURED where another stream, or another consumer of a work queue, has
 *   the subjects already; what `planTopology` throws
 */
export async function applyTopology(
  connection: Connection,
  topology: DeclaredTopology,
  { onDataLoss, logger = silentLogger }: ApplyOptions,
): Promise<readonly TopologyChange[]> {
  const planned = await planEntries(connection, topology);
  if (onDataLoss === "refuse") refuseLosses(topology, planned, []);
  for (const { name, lowered } of planned) {
    if (lowered === undefined) continue;
    logger.warn({ stream: name }, "a stream has one replica: the server is not clustered");
  }
  const made: TopologyChange[] = [];
  for (const entry of inOrder(topology, planned)) {
    const change = await settle(connection, entry, (found) => {
      if (onDataLoss === "refuse") refuseLosses(topology, [found], made);
    });
    if (change === undefined) continue;
    made.push(change);
    const { kind, name, stream = name, action, settings } = change;
    logger.info(
      {
        stream,
        ...(kind === "consumer" ? { consumer: name } : {}),
        doing: action,
        settings: settings.map(({ setting }) => setting),
      },
      "the server was changed to what is declared",
    );
  }
  return made;
}

/**
 * Those that are to be changed. A subject may move from one stream, or consumer of a work queue, to another, so whoever
 * has it lets go of it before a new one takes it.
 */
function inOrder(topology: DeclaredTopology, planned: readonly TopologyChange[]): readonly DeclaredEntry[] {
  const changeOf = new Map(planned.map((change) => [placeOf(change), change]));
  const rank = (entry: DeclaredEntry): number => {
    const change = changeOf.get(placeOf(entry));
    if (change === undefined || change.action === "none") return -1;
    if (entry.kind === "consumer") return change.action === "create" ? 4 : 3;
    if (change.action === "create") return 2;
    return change.losesData === undefined ? 1 : 0;
  };
  const entries: readonly DeclaredEntry[] = [...storesOf(topology), ...consumersOf(topology)];
  return entries.filter((entry) => rank(entry) >= 0).toSorted((one, other) => rank(one) - rank(other));
}

/** Streams may have consumers of one name. */
const placeOf = ({ kind, name, ...rest }: DeclaredEntry | TopologyChange): string =>
  "stream" in rest ? `${kind} ${rest.stream}/${name}` : `${kind} ${name}`;

/** Each means that somebody else made, changed or deleted the same thing between our look and our change. */
const raced: ReadonlySet<number | undefined> = new Set([
  apiCodes.streamNameInUse,
  apiCodes.consumerExists,
  apiCodes.streamNotFound,
  apiCodes.consumerNotFound,
  // One that is made while another process deletes its predecessor may find its folder gone.
  apiCodes.consumerCreateFailed,
]);

/** Each try is lost to somebody who got further; two declarations that disagree would go on for ever. */
const TRIES_MAX = 5;

async function settle(
  connection: Connection,
  entry: DeclaredEntry,
  refuse: (change: TopologyChange) => void,
): Promise<TopologyChange | undefined> {
  for (let tries = 1; ; tries += 1) {
    const change = await planEntry(connection, entry);
    if (change.action === "none") return undefined;
    refuse(change);
    try {
      await (entry.kind === "consumer"
        ? changeConsumer(connection, entry, change.action)
        : changeStore(connection, entry, change.action));
      return change;
    } catch (error) {
      const code = refusalOf(error)?.code;
      if (raced.has(code) && tries < TRIES_MAX) continue;
      throw (
        (await conflictError(connection, entry, error)) ??
        storageError(error, `${change.action} ${entry.kind} ${entry.name}`)
      );
    }
  }
}

type Action = Exclude<TopologyChange["action"], "none">;

async function changeStore(connection: Connection, { fields }: DeclaredStore, action: Action): Promise<void> {
  const { streams } = await managerOf(connection);
  const { name } = fields;
  const found = await findStream(connection, name);
  const wanted = fieldsFor(connection, fields, found);
  if (action === "update") {
    await streams.update(name, { ...wanted, ...windowWithin(wanted, found?.config) });
    return;
  }
  if (action === "replace") await streams.delete(name);
  await streams.add(wanted);
}

/** The server refuses to remember ids for longer than messages; where it chose the window itself, it gives way. */
function windowWithin(wanted: StreamFields, found: StreamConfig | undefined): Partial<StreamConfig> {
  const { max_age, duplicate_window } = wanted;
  if (max_age === undefined || duplicate_window !== undefined || found === undefined) return {};
  return found.duplicate_window > max_age ? { duplicate_window: max_age } : {};
}

async function changeConsumer(
  connection: Connection,
  { name, stream, fields }: DeclaredConsumer,
  action: Action,
): Promise<void> {
  const { consumers } = await managerOf(connection);
  const config = consumerConfig(fields);
  if (action === "update") {
    await consumers.update(stream, name, config);
    return;
  }
  if (action === "replace") await consumers.delete(stream, name);
  await consumers.add(stream, config);
}

function refuseLosses(
  topology: DeclaredTopology,
  planned: readonly TopologyChange[],
  made: readonly TopologyChange[],
): void {
  const losses = planned.flatMap(({ kind, name, stream, losesData }) =>
    losesData === undefined
      ? []
      : [{ entry: stream === undefined ? `${kind} ${name}` : `${kind} ${name} of ${stream}`, losesData }],
  );
  if (losses.length === 0) return;
  const done = made.length === 0 ? "Nothing was changed." : `${made.length} changes before it were made.`;
  throw new PerdureError(
    "TOPOLOGY_LOSES_DATA",
    `Topology "${topology.name}" would lose data: ${losses.map(({ entry, losesData }) => `${entry}: ${losesData}`).join("; ")}. ${done} Change the declaration, or say that it may (perdure topology apply --allow-data-loss).`,
    { details: { topology: topology.name, losses } },
  );
}
