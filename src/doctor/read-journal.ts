/** Reads the journal behind the checkpoint, as a new leader would, but each message for itself and not for long. */
import { type Inspector, type Known, known } from "../jetstream/inspector.js";
import { type StoredMessageFacts, type StreamFacts, storedMessage } from "../jetstream/stream-facts.js";
import { decodeMessage } from "../protocol/decode.js";
import { Flush } from "../protocol/fact.js";
import type { TaskId } from "../protocol/ids.js";
import type { CheckpointFacts, JournalFacts } from "./facts.js";

/** Each is a question of its own; a leader that works leaves far fewer behind the checkpoint. */
const FLUSHES_MAX = 2_000;
/** Questions under way at a time. */
const AT_ONCE = 50;

export async function readJournal(
  inspector: Inspector,
  subject: string,
  stream: Known<StreamFacts | null>,
  checkpoint: Known<CheckpointFacts>,
): Promise<Known<JournalFacts>> {
  if (!stream.known) return stream;
  const wanted = stream.value === null ? [] : sequencesBehind(stream.value, coveredBy(checkpoint));
  const unreadable: { readonly sequence: number; readonly why: string }[] = [];
  const tasks = new Set<TaskId>();
  for (let start = 0; start < Math.min(wanted.length, FLUSHES_MAX); start += AT_ONCE) {
    const batch = wanted.slice(start, start + AT_ONCE);
    const read = await Promise.all(
      batch.map((sequence) => storedMessage(inspector, stream.value?.name ?? "", { sequence })),
    );
    for (const message of read) {
      if (!message.known) return message;
      // Trimmed meanwhile.
      if (message.value === null) continue;
      const { flush, why } = flushOf(message.value, subject);
      if (why !== null) unreadable.push({ sequence: message.value.sequence, why });
      for (const fact of flush?.facts ?? []) for (const taskId of tasksOf(fact)) tasks.add(taskId);
    }
  }
  const lookedAt = Math.min(wanted.length, FLUSHES_MAX);
  return known({ lookedAt, extent: lookedAt === wanted.length ? "whole" : "part", unreadable, tasks });
}

const coveredBy = (checkpoint: Known<CheckpointFacts>): number =>
  checkpoint.known && checkpoint.value.state === "read" ? checkpoint.value.checkpoint.journalSequence : 0;

/** The last message is looked at in any case: whoever appends next reads it if somebody else was faster. */
function sequencesBehind({ messages, firstSequence, lastSequence, deleted }: StreamFacts, covered: number): number[] {
  if (messages === 0) return [];
  const from = Math.min(lastSequence, Math.max(firstSequence, covered + 1));
  const gone = new Set(deleted);
  return Array.from({ length: lastSequence - from + 1 }, (_, index) => from + index).filter(
    (sequence) => !gone.has(sequence),
  );
}

interface Read {
  readonly flush: Flush | null;
  /** Why it is no flush; null if it is one. */
  readonly why: string | null;
}

function flushOf({ subject, data }: StoredMessageFacts, journalSubject: string): Read {
  if (subject !== journalSubject) return { flush: null, why: `was published to ${subject}` };
  const flush = decodeMessage(Flush, data);
  return flush.ok ? { flush: flush.value, why: null } : { flush: null, why: flush.failure.message };
}

function tasksOf(fact: Flush["facts"][number]): readonly TaskId[] {
  switch (fact.type) {
    case "TaskSubmitted":
      return [fact.spec.taskId];
    case "TaskRetained":
      return [fact.task.spec.taskId];
    default:
      return "taskId" in fact ? [fact.taskId] : [];
  }
}
