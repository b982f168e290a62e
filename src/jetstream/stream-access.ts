/** What members of a fleet ask of streams and consumers, beside publishing and consuming: how much lies there, the last message, to purge. */
import { PerdureError } from "../errors.js";
import { apiCodes, refusalOf, storageError } from "./api-error.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";
import { headersOf, type ReceivedHeaders, repeatedHeadersOf } from "./wire-headers.js";

export interface StreamState {
  readonly retention: "limits" | "interest" | "workqueue";
  /** Epoch milliseconds by the server's clock: a stream that was deleted and made anew is another one. */
  readonly createdAt: number;
  readonly messages: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly consumers: number;
}

/** How far a consumer is behind. */
export interface ConsumerLag {
  /** Messages that were not delivered yet. */
  readonly pending: number;
  /** Delivered, and not acknowledged. */
  readonly ackPending: number;
  /** Of those, delivered more than once. */
  readonly redelivered: number;
  /** Pulls that wait for a message. */
  readonly waiting: number;
  /** The last one delivered: its place in the stream, and in the consumer's own count. */
  readonly delivered: { readonly streamSequence: number; readonly consumerSequence: number };
  /** Everything up to here is acknowledged. */
  readonly ackFloor: { readonly streamSequence: number; readonly consumerSequence: number };
}

/** What can be known of a consumer before joining it. */
export interface ConsumerSetup {
  readonly name: string;
  /** `>` for every message of the stream. */
  readonly filterSubjects: readonly string[];
  /** Where a push consumer delivers; undefined for one that is asked for messages (pull). */
  readonly deliverSubject: string | undefined;
  /** Its queue group; without one, everybody who listens there hears every message. */
  readonly deliverGroup: string | undefined;
}

export interface StoredMessage extends ReceivedHeaders {
  readonly subject: string;
  readonly sequence: number;
  /** Epoch milliseconds by the server's clock. */
  readonly storedAt: number;
  readonly data: Uint8Array;
}

/** @throws PerdureError NOT_FOUND, STORAGE_UNAVAILABLE, REQUEST_TIMED_OUT, PERMISSION_DENIED; as all of these do */
export async function streamState(connection: Connection, stream: string): Promise<StreamState> {
  const { streams } = await managerOf(connection);
  const { config, state, created } = await asked(streams.info(stream), `stream ${stream}`);
  return {
    retention: config.retention,
    createdAt: Date.parse(created),
    messages: state.messages,
    bytes: state.bytes,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    consumers: state.consumer_count,
  };
}

export async function consumerLag(connection: Connection, stream: string, consumer: string): Promise<ConsumerLag> {
  const { consumers } = await managerOf(connection);
  const info = await asked(consumers.info(stream, consumer), `consumer ${consumer} of stream ${stream}`);
  const place = ({ stream_seq, consumer_seq }: { stream_seq: number; consumer_seq: number }) => ({
    streamSequence: stream_seq,
    consumerSequence: consumer_seq,
  });
  return {
    pending: info.num_pending,
    ackPending: info.num_ack_pending,
    redelivered: info.num_redelivered,
    waiting: info.num_waiting,
    delivered: place(info.delivered),
    ackFloor: place(info.ack_floor),
  };
}

/** All of a stream's, whoever made them. */
export async function consumerSetups(connection: Connection, stream: string): Promise<readonly ConsumerSetup[]> {
  const { consumers } = await managerOf(connection);
  const setups: ConsumerSetup[] = [];
  try {
    for await (const { name, config } of consumers.list(stream)) {
      const { filter_subject: one = ">", filter_subjects: filterSubjects = [one] } = config;
      setups.push({ name, filterSubjects, deliverSubject: config.deliver_subject, deliverGroup: config.deliver_group });
    }
  } catch (error) {
    throw notThere(error, `stream ${stream}`);
  }
  return setups;
}

/** The last message on a subject, by the leader of the stream; undefined where there is none. */
export async function lastMessage(
  connection: Connection,
  stream: string,
  subject: string,
): Promise<StoredMessage | undefined> {
  return messageOf(connection, stream, { last_by_subj: subject });
}

export async function messageAt(
  connection: Connection,
  stream: string,
  sequence: number,
): Promise<StoredMessage | undefined> {
  return messageOf(connection, stream, { seq: sequence });
}

/** The first one at this sequence or behind it; undefined where there is none. */
export async function nextMessage(
  connection: Connection,
  stream: string,
  query: { readonly sequence: number; readonly subject: string },
): Promise<StoredMessage | undefined> {
  return messageOf(connection, stream, { seq: query.sequence, next_by_subj: query.subject });
}

async function messageOf(
  connection: Connection,
  stream: string,
  query: { last_by_subj: string } | { seq: number } | { seq: number; next_by_subj: string },
): Promise<StoredMessage | undefined> {
  const { streams } = await managerOf(connection);
  let found: Awaited<ReturnType<typeof streams.getMessage>>;
  try {
    found = await streams.getMessage(stream, query);
  } catch (error) {
    if (refusalOf(error)?.code === apiCodes.noMessageFound) return undefined;
    throw notThere(error, `stream ${stream}`);
  }
  if (found === null) return undefined;
  const { header } = found;
  return {
    subject: found.subject,
    sequence: found.seq,
    storedAt: found.time.getTime(),
    headers: headersOf(header),
    repeatedHeaders: repeatedHeadersOf(header),
    data: found.data,
  };
}

/** Returns how many messages are gone. `subject` may have wildcards; without one, everything. */
export async function purgeStream(connection: Connection, stream: string, subject?: string): Promise<number> {
  const { streams } = await managerOf(connection);
  const purging = streams.purge(stream, subject === undefined ? undefined : { filter: subject });
  return (await asked(purging, `stream ${stream}`)).purged;
}

/** False where it was gone already. */
export async function deleteMessage(connection: Connection, stream: string, sequence: number): Promise<boolean> {
  const { streams } = await managerOf(connection);
  try {
    return await streams.deleteMessage(stream, sequence, false);
  } catch (error) {
    const code = refusalOf(error)?.code;
    if (code === apiCodes.noMessageFound || code === apiCodes.sequenceNotFound) return false;
    throw notThere(error, `stream ${stream}`);
  }
}

/** Milliseconds of a round trip to JetStream, which is more than the server's own ping says. */
export async function pingJetStream(connection: Connection): Promise<number> {
  const startedAt = performance.now();
  const manager = await managerOf(connection);
  try {
    await manager.getAccountInfo();
  } catch (error) {
    throw storageError(error, "reach JetStream");
  }
  return performance.now() - startedAt;
}

async function asked<T>(answer: Promise<T>, what: string): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw notThere(error, what);
  }
}

function notThere(error: unknown, what: string): PerdureError {
  const code = refusalOf(error)?.code;
  if (code !== apiCodes.consumerNotFound && code !== apiCodes.streamNotFound)
    return storageError(error, `read ${what}`);
  return new PerdureError(
    "NOT_FOUND",
    `There is no ${what} on this server. Declare it in a topology, and apply that.`,
    {
      details: { what },
      cause: error,
    },
  );
}
