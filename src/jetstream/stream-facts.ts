/**
 * What JetStream tells of streams, consumers and messages, in the engine's terms. Fields that nobody reads are left out.
 */
import { z } from "zod";
import type { Topology } from "../protocol/topology.js";
import { apiCodes } from "./api-error.js";
import { type Inspector, type Known, known } from "./inspector.js";
import { OPERATION_HEADER } from "./stored-key.js";
import { type Drift, driftOf, ownStreams } from "./stream-settings.js";
import { TTL_HEADER } from "./ttl-header.js";

const limit = z.number().default(-1);
const instant = z.string().transform((text) => Date.parse(text));

const StreamReply = z.object({
  config: z.looseObject({
    name: z.string(),
    subjects: z.array(z.string()).default([]),
    num_replicas: z.number(),
    max_bytes: limit,
    max_msgs: limit,
    max_msg_size: limit,
    max_consumers: limit,
    no_ack: z.boolean().default(false),
  }),
  state: z.object({
    messages: z.number(),
    bytes: z.number(),
    first_seq: z.number(),
    last_seq: z.number(),
    last_ts: instant,
    deleted: z.array(z.number()).nullish(),
  }),
  cluster: z
    .object({
      leader: z.string().default(""),
      replicas: z
        .array(
          z.object({
            name: z.string(),
            current: z.boolean().default(false),
            offline: z.boolean().default(false),
            lag: z.number().default(0),
          }),
        )
        .default([]),
    })
    .optional(),
});

export interface ReplicaFacts {
  readonly name: string;
  readonly isCurrent: boolean;
  readonly isOffline: boolean;
  /** Messages behind the leader. */
  readonly lag: number;
}

/** A stream as its leader has it. Limits: -1 is none. */
export interface StreamFacts {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly replicas: number;
  readonly bytesMax: number;
  readonly messagesMax: number;
  readonly messageBytesMax: number;
  readonly consumersMax: number;
  /** Whoever publishes into it gets an acknowledgement, wanted or not. */
  readonly acknowledges: boolean;
  readonly messages: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Epoch milliseconds, by the server's clock; negative for a stream that never had one. */
  readonly lastStoredAt: number;
  /** Sequences between first and last that are gone. */
  readonly deleted: readonly number[];
  /** Names the server that leads it; empty while none does. */
  readonly leader: string;
  readonly followers: readonly ReplicaFacts[];
}

function streamFacts({ config, state, cluster }: z.infer<typeof StreamReply>): StreamFacts {
  return {
    name: config.name,
    subjects: config.subjects,
    replicas: config.num_replicas,
    bytesMax: config.max_bytes,
    messagesMax: config.max_msgs,
    messageBytesMax: config.max_msg_size,
    consumersMax: config.max_consumers,
    acknowledges: !config.no_ack,
    messages: state.messages,
    bytes: state.bytes,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    lastStoredAt: state.last_ts,
    deleted: state.deleted ?? [],
    leader: cluster?.leader ?? "",
    followers: (cluster?.replicas ?? []).map(({ name, current, offline, lag }) => ({
      name,
      isCurrent: current,
      isOffline: offline,
      lag,
    })),
  };
}

/** One of our streams: as it is (null: it is not there), and how that differs from what it must be. */
export interface OwnStreamFacts {
  readonly name: string;
  /** Those that it must have. */
  readonly subjects: readonly string[];
  readonly stream: Known<StreamFacts | null>;
  readonly drift: readonly Drift[];
  readonly consumers: Known<readonly ConsumerFacts[]>;
}

/** A stream as it is; null if there is none of this name. */
export async function streamFactsOf(inspector: Inspector, name: string): Promise<Known<StreamFacts | null>> {
  const reply = await askForStream(inspector, name);
  if (reply.known) return known(streamFacts(reply.value));
  return reply.code === apiCodes.streamNotFound ? known(null) : reply;
}

const askForStream = (inspector: Inspector, name: string): Promise<Known<z.infer<typeof StreamReply>>> =>
  inspector.ask(`$JS.API.STREAM.INFO.${name}`, { deleted_details: true }, StreamReply);

export function ownStreamFacts(inspector: Inspector, topology: Topology): Promise<readonly OwnStreamFacts[]> {
  return Promise.all(
    ownStreams(topology).map(async ({ name, wanted }) => {
      const { subjects } = wanted(1);
      const reply = await askForStream(inspector, name);
      if (!reply.known) {
        const isAbsent = reply.code === apiCodes.streamNotFound;
        return { name, subjects, stream: isAbsent ? known(null) : reply, drift: [], consumers: reply };
      }
      const { config } = reply.value;
      return {
        name,
        subjects,
        stream: known(streamFacts(reply.value)),
        drift: driftOf(config, wanted(config.num_replicas)),
        consumers: await consumersOf(inspector, name),
      };
    }),
  );
}

/** An account may have many thousands; what follows is not looked at. */
const STREAMS_MAX = 5_000;

const StreamPage = z.object({ total: z.number(), streams: z.array(StreamReply).nullish() });

/** Streams that take what is published to any subject matching `pattern`. */
export async function streamsOn(inspector: Inspector, pattern: string): Promise<Known<readonly StreamFacts[]>> {
  const found: StreamFacts[] = [];
  for (;;) {
    const page = await inspector.ask("$JS.API.STREAM.LIST", { subject: pattern, offset: found.length }, StreamPage);
    if (!page.known) return page;
    const streams = page.value.streams ?? [];
    found.push(...streams.map(streamFacts));
    if (streams.length === 0 || found.length >= Math.min(page.value.total, STREAMS_MAX)) return known(found);
  }
}

const ConsumerPage = z.object({
  total: z.number(),
  consumers: z
    .array(
      z.object({
        name: z.string(),
        config: z.object({
          durable_name: z.string().optional(),
          deliver_subject: z.string().optional(),
          ack_policy: z.string(),
          mem_storage: z.boolean().default(false),
          flow_control: z.boolean().default(false),
        }),
        push_bound: z.boolean().default(false),
      }),
    )
    .nullish(),
});

export interface ConsumerFacts {
  readonly name: string;
  /** `ours`: made as `ordered-reader.ts` makes them, read by an orchestrator, or by this inspection. */
  readonly maker: "ours" | "others";
  /** Somebody receives what it delivers. */
  readonly isRead: boolean;
}

const CONSUMERS_MAX = 1_000;

async function consumersOf(inspector: Inspector, stream: string): Promise<Known<readonly ConsumerFacts[]>> {
  const found: ConsumerFacts[] = [];
  for (;;) {
    const page = await inspector.ask(`$JS.API.CONSUMER.LIST.${stream}`, { offset: found.length }, ConsumerPage);
    if (!page.known) return page;
    const consumers = page.value.consumers ?? [];
    for (const { name, config, push_bound } of consumers) {
      const isOurs =
        config.durable_name === undefined &&
        config.deliver_subject !== undefined &&
        config.ack_policy === "none" &&
        config.mem_storage &&
        config.flow_control;
      found.push({ name, maker: isOurs ? "ours" : "others", isRead: push_bound });
    }
    if (consumers.length === 0 || found.length >= Math.min(page.value.total, CONSUMERS_MAX)) return known(found);
  }
}

const MessageReply = z.object({
  message: z.object({
    subject: z.string(),
    seq: z.number(),
    data: z.string().default(""),
    hdrs: z.string().default(""),
    time: instant,
  }),
});

export interface StoredMessageFacts {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly storedAt: number;
  /** The server forgets it by itself. */
  readonly expires: boolean;
  readonly isDeletion: boolean;
}

/** A message as the stream's leader has it; null if there is none. */
export async function storedMessage(
  inspector: Inspector,
  stream: string,
  which: { readonly sequence: number } | { readonly lastOn: string },
): Promise<Known<StoredMessageFacts | null>> {
  const body = "sequence" in which ? { seq: which.sequence } : { last_by_subj: which.lastOn };
  const reply = await inspector.ask(`$JS.API.STREAM.MSG.GET.${stream}`, body, MessageReply);
  if (!reply.known) return reply.code === apiCodes.noMessageFound ? known(null) : reply;
  const { subject, seq, data, hdrs, time } = reply.value.message;
  const headers = Buffer.from(hdrs, "base64").toString();
  return known({
    subject,
    sequence: seq,
    data: Buffer.from(data, "base64"),
    storedAt: time,
    expires: hasHeader(headers, TTL_HEADER),
    isDeletion: hasHeader(headers, OPERATION_HEADER),
  });
}

const hasHeader = (headers: string, name: string): boolean => headers.includes(`\r\n${name}:`);
