/** Could a new leader start on what is stored? It replays the journal behind the checkpoint over the records. */
import type { StreamFacts } from "../../jetstream/stream-facts.js";
import type { Checkpoint } from "../../protocol/fact.js";
import type { CheckpointFacts, Facts, JournalFacts, RecordsFacts, StoreFacts } from "../facts.js";
import type { Notes } from "../finding.js";

const restore =
  "Stop the orchestrators and restore the server's store directory, all streams together, from a copy (docs/operations.md).";

/** Flushes a new leader replays in a second or two; copies keep the distance far below, whatever the load. */
const REPLAY_MAX = 20_000;
/** Flushes between two trims of a very busy journal. */
const UNTRIMMED_MAX = 10_000;
/** A copy follows each change within seconds. */
const CHECKPOINT_AGE_MS_MAX = 60_000;
/** The leader has each result within milliseconds. */
const UNREAD_RESULTS_MAX = 1_000;
const NAMED_MAX = 5;

export function checkJournal(facts: Facts, notes: Notes): void {
  const { streams, store, startedAt } = facts;
  const found = notes.need(store.journalStream);
  const before = notes.need(store.checkpointBefore);
  const checkpoint = notes.need(store.checkpoint);
  if (found === null) notes.see("there is no journal");
  if (found === undefined || found === null || before === undefined || checkpoint === undefined) return;
  notes.see(`the journal holds ${flushes(found.messages)} and ends at ${found.lastSequence}`);
  checkEnd(found, before, checkpoint, notes);
  if (checkpoint.state === "read") checkDistance(found, checkpoint.checkpoint, startedAt, notes);
  const journal = notes.need(store.journal);
  if (journal !== undefined) checkFlushes(found, journal, notes);
  checkResults(streams, store, checkpoint, notes);
  for (const records of store.records) checkRecords(records, found, notes);
  checkUnrecorded(facts, notes);
}

/**
 * A leader may copy and trim while this is read: a checkpoint read before says where the journal must reach at least, and
 * one read afterwards where it may begin at most.
 */
function checkEnd(journal: StreamFacts, before: CheckpointFacts, found: CheckpointFacts, notes: Notes): void {
  const { name, messages, firstSequence, lastSequence, deleted } = journal;
  if (messages === 0 && lastSequence > 0) {
    notes.find(
      "journal/emptied",
      `${name} was emptied: it had flushes up to ${lastSequence} and holds none.`,
      `Somebody purged it. No orchestrator starts on it, and one that runs stops at its next write. ${restore}`,
      { lastSequence },
    );
  }
  if (found.state === "unreadable") {
    notes.find(
      "journal/checkpoint-unreadable",
      `The checkpoint cannot be read: ${found.why}.`,
      `No orchestrator starts. ${restore}`,
    );
    return;
  }
  if (found.state === "missing") {
    if (firstSequence <= 1) return;
    notes.find(
      "journal/checkpoint-missing",
      `There is no checkpoint, and ${name} begins at ${firstSequence}: what was before it is in the buckets only.`,
      `Somebody deleted the checkpoint, and no orchestrator starts without it. One that leads writes a new one with its next change. ${restore}`,
      { firstSequence },
    );
    return;
  }
  const { journalSequence } = found.checkpoint;
  const highWaterMark = before.state === "read" ? before.checkpoint.highWaterMark : 0;
  if (lastSequence < highWaterMark) {
    notes.find(
      "journal/ends-before-checkpoint",
      `${name} ends at ${lastSequence}, and the checkpoint was written when it reached ${highWaterMark}: the store lost flushes it had acknowledged.`,
      `No orchestrator starts on it. ${restore} If the stream was deleted and made anew, everything behind the checkpoint is gone.`,
      { lastSequence, highWaterMark },
    );
    return;
  }
  // What the checkpoint covers may go.
  const missing = deleted.filter((sequence) => sequence > journalSequence);
  const from = messages > 0 && firstSequence > journalSequence + 1 ? journalSequence + 1 : undefined;
  if (missing.length === 0 && from === undefined) return;
  const what = from === undefined ? missing.slice(0, NAMED_MAX).join(", ") : `${from} to ${firstSequence - 1}`;
  notes.find(
    "journal/gap",
    `${name} lacks flushes behind the checkpoint ${journalSequence}: ${what}.`,
    `Somebody deleted or purged them. State cannot be rebuilt without them: no orchestrator starts, though one that leads goes on, and if it is stopped in order (SIGTERM) it first copies what it knows. If none leads: ${restore}`,
    { checkpoint: journalSequence, missing: missing.slice(0, NAMED_MAX), firstSequence },
  );
}

function checkDistance(journal: StreamFacts, checkpoint: Checkpoint, now: number, notes: Notes): void {
  const { name, firstSequence, lastSequence, lastStoredAt, messages } = journal;
  const behind = Math.max(0, lastSequence - checkpoint.journalSequence);
  notes.see(`the checkpoint is ${flushes(behind)} behind`);
  const isStale =
    behind > 1 && now - checkpoint.at > CHECKPOINT_AGE_MS_MAX && lastStoredAt - checkpoint.at > CHECKPOINT_AGE_MS_MAX;
  if (behind > REPLAY_MAX || isStale) {
    notes.find(
      "journal/checkpoint-behind",
      `The checkpoint is ${behind} flushes behind ${name}, and ${Math.round((now - checkpoint.at) / 1_000)} s old.`,
      "If an orchestrator leads, its log says why it cannot copy records (a bucket that is full or refuses). If none leads, the next one replays them when it starts.",
      { behind, checkpointAt: checkpoint.at },
    );
  }
  const trimmable = messages === 0 ? 0 : checkpoint.journalSequence - firstSequence;
  if (trimmable <= UNTRIMMED_MAX) return;
  notes.find(
    "journal/not-trimmed",
    `${name} still holds ${trimmable} flushes that the checkpoint covers.`,
    "The leader trims them every few seconds while it works: its log says what keeps it from purging. Do not purge by hand: the last flush must stay.",
    { trimmable },
  );
}

function checkFlushes({ name }: StreamFacts, journal: JournalFacts, notes: Notes): void {
  const { lookedAt, extent, unreadable } = journal;
  notes.see(`read: ${flushes(lookedAt)}${extent === "part" ? ", the first of those behind the checkpoint" : ""}`);
  const [first] = unreadable;
  if (first === undefined) return;
  const more = unreadable.length > 1 ? ` and ${unreadable.length - 1} more` : "";
  notes.find(
    "journal/unreadable",
    `Message ${first.sequence}${more} of ${name} is no flush: it ${first.why}.`,
    `Somebody else wrote it, or the store is damaged; look at it with \`nats stream get ${name} ${first.sequence}\`. Keep everybody but orchestrators from publishing there. ${restore}`,
    { messages: unreadable.slice(0, NAMED_MAX) },
  );
}

function checkResults(streams: Facts["streams"], store: StoreFacts, found: CheckpointFacts, notes: Notes): void {
  const results = streams.find(({ name }) => name === store.resultsName)?.stream;
  if (results?.known !== true || results.value === null || found.state !== "read") return;
  const unread = results.value.lastSequence - (found.checkpoint.lastResult?.sequence ?? 0);
  if (unread <= UNREAD_RESULTS_MAX || results.value.messages === 0) return;
  notes.find(
    "journal/results-unread",
    `${results.value.name} holds ${results.value.messages} results, of which up to ${unread} are not in the journal's checkpoint yet.`,
    "Without an orchestrator they wait for the next one. With one that leads, it cannot keep up or does not read: look at its processor time and its log.",
    { unread },
  );
}

function checkRecords({ bucket, read }: RecordsFacts, journal: StreamFacts, notes: Notes): void {
  const found = notes.need(read);
  if (found === undefined) return;
  notes.see(`read: ${found.extent === "part" ? "the first " : ""}${found.count} of the records in ${bucket}`);
  const [unreadable] = found.unreadable;
  if (unreadable !== undefined) {
    const keys = found.unreadable.slice(0, NAMED_MAX).map(({ key }) => key);
    notes.find(
      "journal/record-unreadable",
      `${found.unreadable.length} ${found.unreadable.length === 1 ? "record" : "records"} of bucket ${bucket} cannot be read: ${unreadable.key} ${unreadable.why}.`,
      `No orchestrator starts on it. Restore it from a copy, or delete that key if nobody needs it: \`nats kv del ${bucket} ${unreadable.key}\`. Nobody but orchestrators may write there.`,
      { bucket, keys },
    );
  }
  const { ahead } = found;
  if (ahead === null) return;
  notes.find(
    "journal/record-ahead",
    `Record ${ahead.key} of bucket ${bucket} stands at flush ${ahead.sequence}, and the journal ends at ${journal.lastSequence}: it lost flushes.`,
    `No orchestrator starts on it. ${restore}`,
    { bucket, ...ahead, lastSequence: journal.lastSequence },
  );
}

/** Live tasks of the orchestrator that no record and no flush speaks of: gone with the next change of leaders. */
function checkUnrecorded({ orchestrator }: Facts, notes: Notes): void {
  if (!orchestrator.unrecorded.known) return;
  const unrecorded = orchestrator.unrecorded.value;
  if (unrecorded.length === 0) return;
  notes.find(
    "journal/record-missing",
    `The orchestrator has ${unrecorded.length} unfinished tasks of which the store has neither a record nor a flush: ${unrecorded.slice(0, NAMED_MAX).join(", ")}.`,
    "Somebody deleted their keys. While this orchestrator leads it finishes them; the next leader does not know them. Let them end before you restart it, or submit them again afterwards.",
    { tasks: unrecorded.slice(0, NAMED_MAX) },
  );
}

const flushes = (count: number): string => `${count} ${count === 1 ? "flush" : "flushes"}`;
