/**
 * A topology as it is declared: the streams, consumers and KV buckets that a system needs on its server, by the names and
 * settings they must have. Here are the shape of it and its rules, all of which can be held without a server;
 * `jetstream/topology-plan.ts` compares it with one. The engine's own streams are in topology.ts.
 */
import { z } from "zod";
import { type Duration, durationMs } from "./time.js";
import { holdConsumers, holdStreams, type Report } from "./topology-rules.js";

export interface StreamDeclaration {
  readonly subjects: readonly string[];
  /** `limits` keeps messages until a limit is met, `workqueue` until one consumer acknowledged them, `interest` until all have. */
  readonly retention: "limits" | "workqueue" | "interest";
  readonly description?: string | undefined;
  /** Default `file`. */
  readonly storage?: "file" | "memory" | undefined;
  /**
   * Copies: 1, 3 or 5; default 1, where a stream that has more is left alone. On a server that is not clustered it is 1
   * in any case.
   */
  readonly replicas?: number | undefined;
  /** What gives way when a limit is met: the oldest messages, or the new one, which is refused. The server's default is `old`. */
  readonly discard?: "old" | "new" | undefined;
  readonly maxAge?: Duration | undefined;
  readonly maxBytes?: number | undefined;
  readonly maxMessages?: number | undefined;
  readonly maxMessageBytes?: number | undefined;
  /** How long a `Nats-Msg-Id` is remembered. The server's default is two minutes, or `maxAge` if that is less. */
  readonly duplicateWindow?: Duration | undefined;
  /** Whether every replica answers reads of single messages. */
  readonly allowDirect?: boolean | undefined;
}

export interface ConsumerDeclaration<StreamName extends string = string> {
  /** Its name on the server, by which streams may have one each. Default: the one it is declared under. */
  readonly durable?: string | undefined;
  /** Name of a stream of the same topology. */
  readonly stream: StreamName;
  /** Default: every message of the stream. */
  readonly filterSubjects?: readonly string[] | undefined;
  readonly description?: string | undefined;
  /** Default `explicit`. */
  readonly ackPolicy?: "explicit" | "all" | "none" | undefined;
  /** Where it begins, when it is made. Default `all`. */
  readonly deliverPolicy?: "all" | "new" | "last" | "last_per_subject" | undefined;
  /** How often a message is delivered that nobody acknowledges. The server's default is without end. */
  readonly maxDeliver?: number | undefined;
  readonly ackWait?: Duration | undefined;
  /** The waits before each redelivery, in place of `ackWait`. */
  readonly backoff?: readonly Duration[] | undefined;
  readonly maxAckPending?: number | undefined;
  /** Messages that one pull may ask for. */
  readonly maxBatch?: number | undefined;
  /** Makes it a push consumer, which delivers to this subject. */
  readonly deliverSubject?: string | undefined;
  /** Queue group of a push consumer. */
  readonly deliverGroup?: string | undefined;
}

export interface BucketDeclaration {
  readonly description?: string | undefined;
  /** Values kept of each key, 1 to 64; default 1. */
  readonly history?: number | undefined;
  readonly ttl?: Duration | undefined;
  readonly maxBytes?: number | undefined;
  /** As of a stream. */
  readonly replicas?: number | undefined;
  /** Default `file`. */
  readonly storage?: "file" | "memory" | undefined;
}

/** What the server calls a consumer that is declared under `key`. */
export const durableOf = (key: string, { durable = key }: ConsumerDeclaration): string => durable;

/** A valid topology, made by `defineTopology`; its names are part of its type. */
export interface DeclaredTopology<
  StreamName extends string = string,
  ConsumerName extends string = string,
  BucketName extends string = string,
> {
  readonly kind: "topology";
  readonly name: string;
  readonly streams: Readonly<Record<StreamName, StreamDeclaration>>;
  readonly consumers: Readonly<Record<ConsumerName, ConsumerDeclaration<StreamName>>>;
  readonly buckets: Readonly<Record<BucketName, BucketDeclaration>>;
}

export interface TopologyProblem {
  /** `stream fleet_a_tasks`, `consumer galahad-consumer`, `bucket seen`, or `topology`. */
  readonly entry: string;
  /** A sentence without its subject. */
  readonly problem: string;
}

/** JetStream takes no shorter one. */
const WINDOW_MS_MIN = 100;
const HISTORY_MAX = 64;
/** It keeps this limit in 32 bits. */
const MESSAGE_BYTES_MAX = 2 ** 31 - 1;

const DurationText = z.custom<Duration>(
  (given) =>
    (typeof given === "string" || (typeof given === "number" && Number.isInteger(given))) &&
    (durationMs(given) ?? 0) > 0,
  'must be a length of time above 0: "30s", "10m", "7d", or a whole number of milliseconds',
);
const WindowText = DurationText.refine((given) => (durationMs(given) ?? 0) >= WINDOW_MS_MIN, "must be 100ms at least");
const Count = z.int().min(1);
const Replicas = z
  .int()
  .refine((count) => [1, 3, 5].includes(count), "must be 1, 3 or 5: an even number survives no more");
const Storage = z.enum(["file", "memory"]);
const description = z.string().min(1).max(4_096).optional();

interface NameRule {
  readonly pattern: RegExp;
  readonly sentence: string;
}

const JETSTREAM_NAME: NameRule = {
  pattern: /^[!-)+,\-0-=?-[\]-~]{1,255}$/,
  sentence: "must be named with 1 to 255 visible ASCII characters other than . * > / and \\",
};
const BUCKET_NAME: NameRule = {
  pattern: /^[A-Za-z0-9_-]{1,252}$/,
  sentence: "must be named with 1 to 252 letters, digits, _ and -",
};

const Stream = z.strictObject({
  subjects: z.array(z.string()).min(1, "must name a subject at least"),
  retention: z.enum(["limits", "workqueue", "interest"]),
  description,
  storage: Storage.optional(),
  replicas: Replicas.optional(),
  discard: z.enum(["old", "new"]).optional(),
  maxAge: WindowText.optional(),
  maxBytes: Count.optional(),
  maxMessages: Count.optional(),
  maxMessageBytes: Count.max(MESSAGE_BYTES_MAX).optional(),
  duplicateWindow: WindowText.optional(),
  allowDirect: z.boolean().optional(),
}) satisfies z.ZodType<StreamDeclaration>;

const Consumer = z.strictObject({
  durable: z.string().regex(JETSTREAM_NAME.pattern, JETSTREAM_NAME.sentence).optional(),
  stream: z.string(),
  filterSubjects: z.array(z.string()).min(1, "must name a subject; leave it out for every message").optional(),
  description,
  ackPolicy: z.enum(["explicit", "all", "none"]).optional(),
  deliverPolicy: z.enum(["all", "new", "last", "last_per_subject"]).optional(),
  maxDeliver: Count.optional(),
  ackWait: DurationText.optional(),
  backoff: z.array(DurationText).min(1).optional(),
  maxAckPending: Count.optional(),
  maxBatch: Count.optional(),
  deliverSubject: z.string().optional(),
  deliverGroup: z.string().optional(),
}) satisfies z.ZodType<ConsumerDeclaration>;

const Bucket = z.strictObject({
  description,
  history: z.int().min(1).max(HISTORY_MAX).optional(),
  ttl: WindowText.optional(),
  maxBytes: Count.optional(),
  replicas: Replicas.optional(),
  storage: Storage.optional(),
}) satisfies z.ZodType<BucketDeclaration>;

const Declaration = z.strictObject({
  streams: z.record(z.string(), z.unknown()).default({}),
  consumers: z.record(z.string(), z.unknown()).default({}),
  buckets: z.record(z.string(), z.unknown()).default({}),
});

export type ReadTopology =
  | { readonly ok: true; readonly topology: DeclaredTopology }
  | { readonly ok: false; readonly problems: readonly TopologyProblem[] };

/** Holds what somebody wrote against every rule, and tells all that is wrong at once. */
export function readTopology(name: unknown, given: unknown): ReadTopology {
  const problems: TopologyProblem[] = [];
  const report = (entry: string, problem: string): void => {
    problems.push({ entry, problem });
  };
  if (typeof name !== "string" || name === "") report("topology", "needs a name");
  const declaration = Declaration.safeParse(given);
  if (!declaration.success) {
    for (const issue of declaration.error.issues) report("topology", sentenceOf(issue));
    return { ok: false, problems };
  }
  const streams = entriesOf("stream", declaration.data.streams, Stream, JETSTREAM_NAME, report);
  const consumers = entriesOf("consumer", declaration.data.consumers, Consumer, JETSTREAM_NAME, report);
  const buckets = entriesOf("bucket", declaration.data.buckets, Bucket, BUCKET_NAME, report);
  if (Object.values(declaration.data).every((entries) => Object.keys(entries).length === 0)) {
    report("topology", "declares nothing");
  }
  holdStreams(streams, report);
  holdConsumers(consumers, streams, Object.keys(declaration.data.streams), report);
  for (const bucket of buckets.keys()) {
    if (streams.has(`KV_${bucket}`))
      report(`bucket ${bucket}`, `lies in the stream KV_${bucket}, which is declared as well`);
  }
  if (problems.length > 0 || typeof name !== "string") return { ok: false, problems };
  return {
    ok: true,
    topology: {
      kind: "topology",
      name,
      streams: Object.fromEntries(streams),
      consumers: Object.fromEntries(consumers),
      buckets: Object.fromEntries(buckets),
    },
  };
}

/** Those that have the right shape, whatever is wrong with the others. */
function entriesOf<S extends z.ZodType>(
  kind: string,
  given: Readonly<Record<string, unknown>>,
  schema: S,
  { pattern, sentence }: NameRule,
  report: Report,
): ReadonlyMap<string, z.infer<S>> {
  const entries = new Map<string, z.infer<S>>();
  for (const [name, value] of Object.entries(given)) {
    const entry = `${kind} ${name === "" ? '""' : name}`;
    if (!pattern.test(name)) report(entry, sentence);
    const parsed = schema.safeParse(value);
    if (parsed.success) entries.set(name, parsed.data);
    else for (const issue of parsed.error.issues) report(entry, sentenceOf(issue));
  }
  return entries;
}

function sentenceOf({ path, message }: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}
