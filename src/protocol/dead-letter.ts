/**
 * Where foreign messages end that nobody could handle, and what is kept of them. Written by bridges and members of
 * fleets (src/bridges), counted in the status, listed and replayed by people.
 */
import { z } from "zod";
import type { Namespace } from "./ids.js";
import { EpochMs } from "./time.js";

/** Why a message was given up: it could not be read, its handling failed each time, or whoever had it ended each time. */
export const DeadLetterReason = z.enum(["undecodable", "failed", "exhausted"]);
export type DeadLetterReason = z.infer<typeof DeadLetterReason>;

export const DeadLetter = z.object({
  reason: DeadLetterReason,
  /** One sentence: what was wrong with it, or the error of the last try. At most 2,000 characters of it. */
  message: z.string(),
  /** How often it was delivered. */
  attempts: z.int().min(1),
  /** Where it came from. */
  stream: z.string(),
  consumer: z.string(),
  sequence: z.int().min(1),
  subject: z.string(),
  /** Those it came with; of one that it had several times, the first value. */
  headers: z.record(z.string(), z.string()),
  /** Of each header that it had several times, all values in their order; absent where there is none. */
  repeatedHeaders: z.record(z.string(), z.array(z.string()).min(2)).optional(),
  /** Its bytes as text; base64 where they are no UTF-8. */
  data: z.string(),
  encoding: z.enum(["text", "base64"]),
  /** Of a message too large for one letter: its headers and data are in so many parts, and none are here. */
  parts: z.object({ digest: z.string(), count: z.int().min(1) }).optional(),
  failedAt: EpochMs,
});
export type DeadLetter = z.infer<typeof DeadLetter>;

export const deadLetterStreamOf = (namespace: Namespace): string => `${namespace.toUpperCase()}_DEAD_LETTERS`;

/** A subject of its own for each message, so that it is kept once however often it is given up. */
export const deadLetterSubject = (
  namespace: Namespace,
  { stream, consumer, sequence }: Pick<DeadLetter, "stream" | "consumer" | "sequence">,
): string => `${namespace}.deadletter.${stream}.${consumer}.${sequence}`;

/** Of a stream, or of the consumers of one name. Without either: also what lies among them and is none. */
export const allDeadLetters = (
  namespace: Namespace,
  { stream, consumer }: Partial<Record<"stream" | "consumer", string | undefined>> = {},
): string =>
  stream === undefined && consumer === undefined
    ? `${namespace}.deadletter.>`
    : `${namespace}.deadletter.${stream ?? "*"}.${consumer ?? "*"}.*`;

export const deadLetterPartsStreamOf = (namespace: Namespace): string => `${namespace.toUpperCase()}_DEAD_LETTER_PARTS`;

/** The digest is of what the parts make: a part that is there already is the same part. `*` is all of them. */
export const deadLetterPartSubject = (
  namespace: Namespace,
  { stream, consumer, sequence }: Pick<DeadLetter, "stream" | "consumer" | "sequence">,
  digest: string,
  number: number | "*",
): string => `${namespace}.deadletterpart.${stream}.${consumer}.${sequence}.${digest}.${number}`;

export const allDeadLetterParts = (namespace: Namespace): string => `${namespace}.deadletterpart.>`;

/**
 * Keeps what the server says of messages that were delivered as often as allowed, until somebody has looked. One for all
 * namespaces: two streams cannot take one subject, and each of them asks for its own consumers only.
 */
export const exhaustedStreamOf = (stream: string): string => `PERDURE_EXHAUSTED_${stream}`;

/** The server's advisory for a consumer's message that reached its limit of deliveries (NATS: `MAX_DELIVERIES`). */
export const maxDeliveriesAdvisories = (stream: string, consumer = "*"): string =>
  `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.${consumer}`;

export const MaxDeliveriesAdvisory = z.object({
  stream: z.string(),
  consumer: z.string(),
  stream_seq: z.int().min(1),
  deliveries: z.int().min(1),
});
export type MaxDeliveriesAdvisory = z.infer<typeof MaxDeliveriesAdvisory>;
