/**
 * The settings that Perdure's streams must have, from protocol/topology.ts, and how a stream on the server differs from
 * them. Provisioning mends what can be mended; the doctor names all of it. Limits that an operator sets (`max_bytes`,
 * `max_msgs`, placement) are nobody's business here.
 */
import { DiscardPolicy, PersistMode, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import type { BucketTopology, StreamTopology, Topology } from "../protocol/topology.js";
import { allKeysOf, streamOfBucket } from "./bucket-names.js";

export type WantedStream = Pick<StreamConfig, "name" | "subjects" | "retention" | "storage"> & Partial<StreamConfig>;

export interface Drift {
  readonly setting: string;
  readonly found: unknown;
  readonly wanted: unknown;
  /**
   * `atStart`: the next orchestrator that starts puts it right. `byHand`: the server would change it, but the stream may be
   * somebody else's. `never`: the server refuses.
   */
  readonly mended: "atStart" | "byHand" | "never";
}

/** Every stream of a namespace, those under its buckets included, with the settings it must have as so many replicas. */
export interface OwnStream {
  readonly name: string;
  readonly wanted: (replicas: number) => WantedStream;
}

export function ownStreams(topology: Topology): readonly OwnStream[] {
  return Object.values(topology).map((entry: StreamTopology | BucketTopology) =>
    "bucket" in entry
      ? { name: streamOfBucket(entry.bucket), wanted: (replicas) => bucketConfig(entry, replicas) }
      : { name: entry.name, wanted: (replicas) => streamConfig(entry, replicas) },
  );
}

const alike = {
  retention: RetentionPolicy.Limits,
  storage: StorageType.File,
  // What is old goes when Perdure says so.
  max_age: 0,
  // A full store must refuse what is new, not forget what it acknowledged.
  discard: DiscardPolicy.New,
  discard_new_per_subject: false,
  // Direct reads are answered by any replica, so they may be stale.
  allow_direct: false,
  // Every write waits for its acknowledgement.
  no_ack: false,
  sealed: false,
  // What is behind the checkpoint is purged.
  deny_purge: false,
} as const;

function streamConfig(stream: StreamTopology, replicas: number): WantedStream {
  // The server takes `async` for a single replica only; with more, the quorum is what makes a result safe.
  const persistMode = stream.persistence === "async" && replicas === 1 ? PersistMode.Async : PersistMode.Default;
  return {
    ...alike,
    name: stream.name,
    subjects: [...stream.subjects],
    description: stream.description,
    num_replicas: replicas,
    max_msgs_per_subject: -1,
    persist_mode: persistMode,
  };
}

function bucketConfig(bucket: BucketTopology, replicas: number): WantedStream {
  return {
    ...alike,
    name: streamOfBucket(bucket.bucket),
    subjects: [allKeysOf(bucket.bucket)],
    description: bucket.description,
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_msg_ttl: true,
    allow_atomic: true,
    persist_mode: PersistMode.Default,
  };
}

/** The settings that are compared, with whether an update can put them right. */
const compared = {
  subjects: "byHand",
  retention: "never",
  storage: "never",
  persist_mode: "never",
  sealed: "never",
  deny_purge: "never",
  mirror: "never",
  sources: "byHand",
  subject_transform: "byHand",
  num_replicas: "atStart",
  max_age: "atStart",
  max_msgs_per_subject: "atStart",
  discard: "atStart",
  discard_new_per_subject: "atStart",
  allow_rollup_hdrs: "atStart",
  deny_delete: "atStart",
  allow_direct: "atStart",
  allow_msg_ttl: "atStart",
  allow_atomic: "atStart",
  no_ack: "atStart",
} as const satisfies Partial<Record<keyof StreamConfig, Drift["mended"]>>;

/** What the server means where it leaves a setting out, and what is wanted where nothing else is said. */
const defaults: Readonly<Record<string, unknown>> = {
  persist_mode: PersistMode.Default,
  max_age: 0,
  sealed: false,
  deny_purge: false,
  no_ack: false,
  discard_new_per_subject: false,
  allow_rollup_hdrs: false,
  deny_delete: false,
  allow_direct: false,
  allow_msg_ttl: false,
  allow_atomic: false,
  mirror: null,
  sources: null,
  subject_transform: null,
};

/** Settings that a stream of the journal's kind may have in addition without harm, so only what is wanted is compared. */
const optional: ReadonlySet<string> = new Set(["allow_rollup_hdrs", "deny_delete", "allow_msg_ttl", "allow_atomic"]);

/** @param found a stream's configuration as the server tells it */
export function driftOf(found: object, wanted: WantedStream): readonly Drift[] {
  return Object.entries(compared).flatMap(([setting, mended]) => {
    if (Reflect.get(wanted, setting) === undefined && optional.has(setting)) return [];
    const [has, want] = [settingOf(found, setting), settingOf(wanted, setting)];
    return JSON.stringify(has) === JSON.stringify(want) ? [] : [{ setting, found: has, wanted: want, mended }];
  });
}

function settingOf(config: object, setting: string): unknown {
  return Reflect.get(config, setting) ?? defaults[setting];
}
