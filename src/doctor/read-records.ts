/** Reads a bucket of records as a new leader would, and notes what it would stumble over. */
import { keyOfSubject, streamOfBucket } from "../jetstream/bucket-names.js";
import { type Inspector, type Known, known, notKnown } from "../jetstream/inspector.js";
import type { StreamMessage } from "../jetstream/ordered-reader.js";
import { readToEnd } from "../jetstream/read-to-end.js";
import { silentLogger } from "../logger.js";
import { decodeMessage } from "../protocol/decode.js";
import { StoredAgent, StoredRun, StoredTask } from "../protocol/stored-record.js";
import { FENCE_KEY } from "../protocol/topology.js";
import type { RecordsFacts } from "./facts.js";

/** Of each bucket. Beyond this the answer takes longer than people wait. */
const RECORDS_MAX = 50_000;
const READ_TIMEOUT_MS = 5_000;

const schemaOf = { tasks: StoredTask, agents: StoredAgent, runs: StoredRun } as const;

interface Reading {
  readonly keys: Set<string>;
  readonly unreadable: { readonly key: string; readonly why: string }[];
  /** The record that stands at the latest flush. */
  furthest: { readonly key: string; readonly sequence: number };
}

/** @param endOfJournal asked after the reading: a leader that works writes no record before its flush */
export async function readRecords(
  inspector: Inspector,
  bucket: string,
  kind: RecordsFacts["kind"],
  endOfJournal: () => Promise<number>,
): Promise<RecordsFacts["read"]> {
  const reading: Reading = { keys: new Set(), unreadable: [], furthest: { key: "", sequence: 0 } };
  const read = await readInto(reading, inspector, bucket, kind);
  if (!read.known) return read;
  const { keys, unreadable, furthest } = reading;
  const ahead = furthest.sequence > (await endOfJournal()) ? furthest : null;
  return known({ count: keys.size, extent: read.value, unreadable, ahead, keys });
}

async function readInto(
  reading: Reading,
  inspector: Inspector,
  bucket: string,
  kind: RecordsFacts["kind"],
): Promise<Known<"whole" | "part">> {
  const timeLimit = AbortSignal.timeout(READ_TIMEOUT_MS);
  const messages = readToEnd(inspector.connection, {
    stream: streamOfBucket(bucket),
    content: "full",
    startSequence: 1,
    logger: silentLogger,
    signal: AbortSignal.any([inspector.signal, timeLimit]),
  });
  try {
    for await (const arrived of messages) {
      for (const message of arrived) note(message, reading, bucket, kind);
      if (reading.keys.size >= RECORDS_MAX) return known("part");
    }
    return known("whole");
  } catch (error) {
    if (inspector.signal.aborted) return notKnown("lost", String(inspector.signal.reason));
    if (timeLimit.aborted && reading.keys.size > 0) return known("part");
    const why = timeLimit.aborted ? `no answer in ${READ_TIMEOUT_MS} ms` : String(error);
    return notKnown("silent", `bucket ${bucket} could not be read: ${why}`);
  }
}

function note({ subject, data }: StreamMessage, reading: Reading, bucket: string, kind: RecordsFacts["kind"]): void {
  const key = keyOfSubject(bucket, subject);
  // Deletions have no body.
  if (key === FENCE_KEY || data.byteLength === 0) return;
  reading.keys.add(key);
  const parsed = decodeMessage(schemaOf[kind], data);
  if (!parsed.ok) reading.unreadable.push({ key, why: parsed.failure.message });
  else if (parsed.value.sequence > reading.furthest.sequence)
    reading.furthest = { key, sequence: parsed.value.sequence };
}
