/**
 * A declaration in the server's terms, and how what is on the server differs from it. Only what the declaration says, or
 * has a default for, is compared: whatever else an operator set is the operator's.
 */
import type { ConsumerConfig, StreamConfig } from "@nats-io/jetstream";
import { type Duration, durationMs, nanosFromMs } from "../protocol/time.js";
import type { BucketDeclaration, ConsumerDeclaration, StreamDeclaration } from "../protocol/topology-declaration.js";
import { allKeysOf, streamOfBucket } from "./bucket-names.js";
import type { SettingChange, TopologyChange } from "./topology-change.js";

export type StreamFields = Partial<StreamConfig> & Pick<StreamConfig, "name" | "subjects" | "storage">;

/** Null: it must have none. */
export interface ConsumerFields
  extends Omit<Partial<ConsumerConfig>, "filter_subject" | "filter_subjects" | "deliver_subject" | "deliver_group"> {
  readonly durable_name: string;
  readonly filter_subjects: readonly string[] | null;
  readonly deliver_subject: string | null;
  readonly deliver_group: string | null;
}

export function streamFields(name: string, declared: StreamDeclaration): StreamFields {
  const { maxAge, duplicateWindow, storage = "file" } = declared;
  return {
    name,
    subjects: [...declared.subjects],
    retention: declared.retention,
    storage,
    ...given({
      description: declared.description,
      discard: declared.discard,
      num_replicas: declared.replicas,
      max_age: nanosOf(maxAge),
      max_bytes: declared.maxBytes,
      max_msgs: declared.maxMessages,
      max_msg_size: declared.maxMessageBytes,
      duplicate_window: nanosOf(duplicateWindow),
      allow_direct: declared.allowDirect,
    }),
  };
}

/** As NATS' own libraries make a bucket (ADR-8). */
export function bucketFields(bucket: string, declared: BucketDeclaration): StreamFields {
  const { history = 1, storage = "file" } = declared;
  return {
    name: streamOfBucket(bucket),
    subjects: [allKeysOf(bucket)],
    retention: "limits",
    storage,
    discard: "new",
    max_msgs_per_subject: history,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    ...given({
      description: declared.description,
      num_replicas: declared.replicas,
      max_age: nanosOf(declared.ttl),
      max_bytes: declared.maxBytes,
    }),
  };
}

export function consumerFields(name: string, declared: ConsumerDeclaration): ConsumerFields {
  return {
    durable_name: name,
    ack_policy: declared.ackPolicy ?? "explicit",
    deliver_policy: declared.deliverPolicy ?? "all",
    filter_subjects: declared.filterSubjects ?? null,
    deliver_subject: declared.deliverSubject ?? null,
    deliver_group: declared.deliverGroup ?? null,
    ...given({
      description: declared.description,
      max_deliver: declared.maxDeliver,
      // The server takes the first wait of a backoff for it.
      ack_wait: declared.backoff === undefined ? nanosOf(declared.ackWait) : undefined,
      backoff: declared.backoff?.map(nanos),
      max_ack_pending: declared.maxAckPending,
      max_batch: declared.maxBatch,
    }),
  };
}

/**
 * What is sent: one filter alone has a field of its own, which older servers and tools look at. What is undefined goes
 * from a consumer that has it.
 */
export function consumerConfig(fields: ConsumerFields): Readonly<Record<string, unknown>> {
  const filters = fields.filter_subjects ?? [];
  return {
    ...fields,
    filter_subject: filters.length === 1 ? filters[0] : undefined,
    filter_subjects: filters.length > 1 ? filters : undefined,
    deliver_subject: fields.deliver_subject ?? undefined,
    deliver_group: fields.deliver_group ?? undefined,
  };
}

/** The same view of a consumer on the server. */
export function foundConsumer({ filter_subject, filter_subjects, ...rest }: ConsumerConfig): object {
  return { ...rest, filter_subjects: filter_subjects ?? (filter_subject ? [filter_subject] : null) };
}

const settingNames: Readonly<Record<string, string>> = {
  num_replicas: "replicas",
  max_age: "maxAge",
  max_bytes: "maxBytes",
  max_msgs: "maxMessages",
  max_msg_size: "maxMessageBytes",
  max_msgs_per_subject: "history",
  duplicate_window: "duplicateWindow",
  allow_direct: "allowDirect",
  ack_policy: "ackPolicy",
  deliver_policy: "deliverPolicy",
  filter_subjects: "filterSubjects",
  max_deliver: "maxDeliver",
  ack_wait: "ackWait",
  max_ack_pending: "maxAckPending",
  max_batch: "maxBatch",
  deliver_subject: "deliverSubject",
  deliver_group: "deliverGroup",
};

/** As the declaration calls it. */
export function settingOf(field: string, kind: TopologyChange["kind"]): string {
  return kind === "bucket" && field === "max_age" ? "ttl" : (settingNames[field] ?? field);
}

/** @param found null where there is nothing yet: all that is wanted differs */
export function differences(
  found: object | null,
  wanted: StreamFields | ConsumerFields,
  kind: TopologyChange["kind"],
): readonly SettingChange[] {
  return Object.entries(wanted).flatMap(([field, value]): readonly SettingChange[] => {
    if (field === "name" || (found === null && (field === "durable_name" || value === null))) return [];
    const has = found === null ? null : shown(field, Reflect.get(found, field));
    const want = shown(field, value);
    return JSON.stringify(has) === JSON.stringify(want)
      ? []
      : [{ setting: settingOf(field, kind), found: has, wanted: want }];
  });
}

const unordered: ReadonlySet<string> = new Set(["subjects", "filter_subjects"]);
const inNanos: ReadonlySet<string> = new Set(["max_age", "duplicate_window", "ack_wait"]);
/** The server leaves them out, or says false. */
const flags: ReadonlySet<string> = new Set(["allow_direct", "allow_rollup_hdrs", "deny_delete"]);

function shown(field: string, value: unknown): unknown {
  if (flags.has(field)) return value === true;
  if (unordered.has(field) && Array.isArray(value)) return value.toSorted();
  if (field === "backoff" && Array.isArray(value)) return value.map((wait) => Number(wait) / NANOS_OF_MS);
  if (inNanos.has(field) && typeof value === "number") return value === 0 ? null : value / NANOS_OF_MS;
  // A limit that there is not.
  return value === -1 || value === undefined ? null : value;
}

const NANOS_OF_MS = nanosFromMs(1);

/** Only what was validated gets here. */
function nanos(duration: Duration): number {
  const ms = durationMs(duration);
  if (ms === null) throw new Error(`declared duration ${duration} is no length of time`);
  return nanosFromMs(ms);
}

const nanosOf = (duration: Duration | undefined): number | undefined =>
  duration === undefined ? undefined : nanos(duration);

type Given<T> = { [Field in keyof T]?: Exclude<T[Field], undefined> };

function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
