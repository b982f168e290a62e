/**
 * Buckets + journal -> the state a new leader starts from.
 *
 * Records are loaded as they stand, then the facts behind the checkpoint are set on top, each only where the record
 * is older. Nothing is decided here. The fences were taken before: whoever led until now cannot write any more.
 */
import { Ledger } from "../core/ledger.js";
import { PerdureError } from "../errors.js";
import { Checkpoint, type Flush } from "../protocol/fact.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import { type Parsed, parseMessage } from "../protocol/parse.js";
import { META_KEYS } from "../protocol/topology.js";
import { StoredAgent, StoredTask } from "./stored-record.js";

export interface ReadableBucket {
  loadAll(): AsyncIterable<{ readonly key: string; readonly value: unknown }>;
  get(key: string): Promise<unknown>;
}

export interface RecoverySources {
  readonly tasks: ReadableBucket;
  readonly agents: ReadableBucket;
  readonly meta: ReadableBucket;
  readonly journal: {
    readFrom(sequence: number): AsyncIterable<{ readonly sequence: number; readonly flush: Flush }>;
  };
}

export interface Recovered {
  readonly ledger: Ledger;
  readonly resultsSequence: number;
  readonly checkpointSequence: number;
  /** Task ids with a key in the bucket of live tasks. */
  readonly liveKeys: Set<TaskId>;
  readonly replayedFlushes: number;
}

export async function recover(sources: RecoverySources): Promise<Recovered> {
  const checkpoint = await readCheckpoint(sources.meta);
  const ledger = new Ledger();
  ledger.nextOrder = checkpoint.nextOrder;
  const liveKeys = new Set<TaskId>();
  const standsAt = new Map<string, number>();

  for await (const { key, value } of sources.tasks.loadAll()) {
    const stored = readable(parseMessage(StoredTask, value), `task ${key}`);
    ledger.restoreTask(stored.record);
    liveKeys.add(key as TaskId);
    standsAt.set(`task ${key}`, stored.sequence);
  }
  for await (const { key, value } of sources.agents.loadAll()) {
    const stored = readable(parseMessage(StoredAgent, value), `agent ${key}`);
    ledger.restoreAgent(stored.record);
    standsAt.set(`agent ${key}`, stored.sequence);
  }

  let { resultsSequence } = checkpoint;
  let replayedFlushes = 0;
  for await (const { sequence, flush } of sources.journal.readFrom(checkpoint.journalSequence + 1)) {
    replayedFlushes += 1;
    // A new leader's first flush has no facts and says nothing about results. The last word holds, also if it is lower:
    // a stream of results that lost its end is read again from its beginning.
    if (flush.facts.length > 0) resultsSequence = flush.resultsSequence;
    for (const fact of flush.facts) {
      if (sequence > (standsAt.get(subjectOf(fact)) ?? 0)) ledger.restoreFact(fact);
    }
  }
  ledger.deriveIndexes();
  return { ledger, resultsSequence, checkpointSequence: checkpoint.journalSequence, liveKeys, replayedFlushes };
}

function subjectOf(fact: Flush["facts"][number]): `task ${TaskId}` | `agent ${AgentId}` {
  switch (fact.type) {
    case "TaskSubmitted":
      return `task ${fact.spec.taskId}`;
    case "TaskRetained":
      return `task ${fact.task.spec.taskId}`;
    case "AgentAdded":
      return `agent ${fact.agent.agentId}`;
    default:
      return "taskId" in fact ? `task ${fact.taskId}` : `agent ${fact.agentId}`;
  }
}

/** Of the last copy; zeroes where there was none yet. */
export async function readCheckpoint(meta: Pick<ReadableBucket, "get">): Promise<Checkpoint> {
  const value = await meta.get(META_KEYS.checkpoint);
  if (value === null || value === undefined) return { journalSequence: 0, resultsSequence: 0, nextOrder: 1, at: 0 };
  return readable(parseMessage(Checkpoint, value), "the checkpoint");
}

function readable<T>(parsed: Parsed<T>, what: string): T {
  if (parsed.ok) return parsed.value;
  throw new PerdureError(
    "STORE_DAMAGED",
    `the stored record of ${what} cannot be read: ${parsed.failure.message}. The orchestrator did not start; restore the bucket or delete that one key.`,
    { details: { what, fields: parsed.failure.fields } },
  );
}
