/** Reads what a new leader would read: the lease, the checkpoint, the journal behind it, and the records. */
import { streamOfBucket, subjectOfKey } from "../jetstream/bucket-names.js";
import { type Inspector, type Known, known, notKnown } from "../jetstream/inspector.js";
import { parseHolder } from "../jetstream/leader-lease.js";
import { isGone } from "../jetstream/process-identity.js";
import { type OwnStreamFacts, type StreamFacts, storedMessage, streamFactsOf } from "../jetstream/stream-facts.js";
import { decodeJson, decodeMessage } from "../protocol/decode.js";
import { Checkpoint } from "../protocol/fact.js";
import type { Namespace } from "../protocol/ids.js";
import { subjectsOf } from "../protocol/subjects.js";
import { META_KEYS, topologyOf } from "../protocol/topology.js";
import type { CheckpointFacts, LeaseFacts, RecordsFacts, StoreFacts } from "./facts.js";
import { readJournal } from "./read-journal.js";
import { readRecords } from "./read-records.js";

export async function gatherStore(
  inspector: Inspector,
  namespace: Namespace,
  streams: readonly OwnStreamFacts[],
): Promise<StoreFacts> {
  const topology = topologyOf(namespace);
  const streamNamed = (name: string): Known<StreamFacts | null> =>
    streams.find((one) => one.name === name)?.stream ?? notKnown("notAsked", `stream ${name} was not asked for`);
  const metaBucket = topology.meta.bucket;
  const meta = streamNamed(streamOfBucket(metaBucket));
  // A leader goes on meanwhile. Where the journal ends counts from before, where it begins from after: see `checkEnd`.
  const checkpointBefore = await readCheckpoint(inspector, metaBucket, meta);
  const journalStream = await streamFactsOf(inspector, topology.journal.name);
  const checkpoint = await readCheckpoint(inspector, metaBucket, meta);
  const endOfJournal = async (): Promise<number> => {
    const last = await storedMessage(inspector, topology.journal.name, { lastOn: subjectsOf(namespace).journal });
    return last.known && last.value !== null ? last.value.sequence : Number.POSITIVE_INFINITY;
  };
  const [lease, journal, ...records] = await Promise.all([
    readLease(inspector, metaBucket, meta),
    readJournal(inspector, subjectsOf(namespace).journal, journalStream, checkpoint),
    ...(["tasks", "agents", "runs"] as const).map(async (kind): Promise<RecordsFacts> => {
      const { bucket } = topology[kind];
      const stream = streamNamed(streamOfBucket(bucket));
      if (!stream.known || stream.value === null) {
        return { bucket, kind, read: stream.known ? notKnown("notAsked", `there is no bucket ${bucket}`) : stream };
      }
      return { bucket, kind, read: await readRecords(inspector, bucket, kind, endOfJournal) };
    }),
  ]);
  return {
    journalName: topology.journal.name,
    resultsName: topology.results.name,
    metaBucket,
    lease,
    checkpointBefore,
    journalStream,
    checkpoint,
    journal,
    records,
  };
}

async function readLease(
  inspector: Inspector,
  bucket: string,
  stream: Known<StreamFacts | null>,
): Promise<Known<LeaseFacts | null>> {
  const stored = await lastOfKey(inspector, bucket, META_KEYS.leader, stream);
  if (!stored.known) return stored;
  if (stored.value === null || stored.value.isDeletion) return known(null);
  const { data, storedAt, expires } = stored.value;
  const decoded = decodeJson(data);
  const holder = decoded.ok ? parseHolder(decoded.value) : null;
  return known({
    holder: holder === null ? null : { host: holder.host, pid: holder.pid, isGone: isGone(holder) },
    storedAt,
    expires,
  });
}

async function readCheckpoint(
  inspector: Inspector,
  bucket: string,
  stream: Known<StreamFacts | null>,
): Promise<Known<CheckpointFacts>> {
  const stored = await lastOfKey(inspector, bucket, META_KEYS.checkpoint, stream);
  if (!stored.known) return stored;
  if (stored.value === null || stored.value.isDeletion) return known({ state: "missing" });
  const parsed = decodeMessage(Checkpoint, stored.value.data);
  return known(
    parsed.ok ? { state: "read", checkpoint: parsed.value } : { state: "unreadable", why: parsed.failure.message },
  );
}

function lastOfKey(
  inspector: Inspector,
  bucket: string,
  key: string,
  stream: Known<StreamFacts | null>,
): ReturnType<typeof storedMessage> {
  if (!stream.known) return Promise.resolve(stream);
  if (stream.value === null) return Promise.resolve(known(null));
  return storedMessage(inspector, stream.value.name, { lastOn: subjectOfKey(bucket, key) });
}
