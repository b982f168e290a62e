/**
 * Buckets + journal -> the state a new leader starts from.
 *
 * Records are loaded as they stand, then the facts behind the checkpoint are set on top, each only where the record
 * is older. Nothing is decided here. The fences were taken before: whoever led until now cannot write any more.
 */
import { Ledger } from "../core/ledger.js";
import type { Tally } from "../core/tally.js";
import { PerdureError } from "../errors.js";
import { Checkpoint, type Flush, type ResultsPosition } from "../protocol/fact.js";
import type { AgentId, RunId, TaskId, WorkflowId } from "../protocol/ids.js";
import { type Parsed, parseMessage } from "../protocol/parse.js";
import { StoredAgent, StoredRun, StoredTask } from "../protocol/stored-record.js";
import { META_KEYS } from "../protocol/topology.js";
import { Turns } from "./turns.js";

export interface ReadableBucket {
  loadAll(signal?: AbortSignal): AsyncIterable<{ readonly key: string; readonly value: unknown }>;
  get(key: string): Promise<unknown>;
}

export interface RecoverySources {
  readonly tasks: ReadableBucket;
  readonly agents: ReadableBucket;
  readonly runs: ReadableBucket;
  readonly meta: ReadableBucket;
  readonly journal: {
    /** Of the flush with which the new leader took the fence. */
    readonly lastSequence: number;
    readFrom(
      sequence: number,
      signal?: AbortSignal,
    ): AsyncIterable<{ readonly sequence: number; readonly flush: Flush }>;
  };
}

export interface Recovered {
  readonly ledger: Ledger;
  readonly lastResult: ResultsPosition | null;
  readonly checkpointSequence: number;
  readonly liveFrom: number;
  /** Task ids with a key in the bucket of live tasks. */
  readonly liveKeys: Set<TaskId>;
  /** Workflow ids with a key in the bucket of runs. */
  readonly runKeys: Set<WorkflowId>;
  /** The last event that the bucket of histories has, by run. */
  readonly historiesUpTo: Map<RunId, number>;
  readonly replayedFlushes: number;
}

/** @param tally counts what the recovered ledger will decide; what is replayed was counted by whoever decided it */
export async function recover(sources: RecoverySources, tally: Tally, signal?: AbortSignal): Promise<Recovered> {
  const checkpoint = await readCheckpoint(sources.meta);
  const ledger = new Ledger(tally);
  ledger.nextOrder = checkpoint.nextOrder;
  const liveKeys = new Set<TaskId>();
  const standsAt = new Map<string, number>();
  const turns = new Turns();

  for await (const { key, value } of sources.tasks.loadAll(signal)) {
    if (turns.isOver) await turns.next();
    const stored = readable(parseMessage(StoredTask, value), `task ${key}`);
    refuseFuture(`task ${key}`, stored.sequence, sources.journal.lastSequence);
    // Deleted long ago, and brought back by a server that was killed.
    if (stored.sequence < checkpoint.liveFrom) continue;
    ledger.restoreTask(stored.record);
    liveKeys.add(key as TaskId);
    standsAt.set(`task ${key}`, stored.sequence);
  }
  for await (const { key, value } of sources.agents.loadAll(signal)) {
    const stored = readable(parseMessage(StoredAgent, value), `agent ${key}`);
    refuseFuture(`agent ${key}`, stored.sequence, sources.journal.lastSequence);
    ledger.restoreAgent(stored.record);
    standsAt.set(`agent ${key}`, stored.sequence);
  }

  const runKeys = new Set<WorkflowId>();
  const historiesUpTo = new Map<RunId, number>();
  for await (const { key, value } of sources.runs.loadAll(signal)) {
    const stored = readable(parseMessage(StoredRun, value), `run ${key}`);
    refuseFuture(`run ${key}`, stored.sequence, sources.journal.lastSequence);
    ledger.runs.restore(stored.record);
    // Histories are written before records: the bucket holds at least what the record counts.
    historiesUpTo.set(stored.record.runId, stored.record.lastEventId);
    runKeys.add(key as WorkflowId);
    standsAt.set(`run ${key}`, stored.sequence);
  }

  let { lastResult } = checkpoint;
  let replayedFlushes = 0;
  for await (const { sequence, flush } of sources.journal.readFrom(checkpoint.journalSequence + 1, signal)) {
    replayedFlushes += 1;
    // What these facts change is dirty since then: the next checkpoint must stay behind what is not copied.
    ledger.nextSequence = sequence;
    // A new leader's first flush has no facts and says nothing about results. The last word holds, also if it is lower:
    // a stream of results that lost its end is read again from its beginning.
    if (flush.facts.length > 0) lastResult = flush.lastResult;
    if (turns.isOver) await turns.next();
    for (const fact of flush.facts) {
      if (sequence > (standsAt.get(subjectOf(fact)) ?? 0)) ledger.restoreFact(fact);
    }
  }
  ledger.nextSequence = sources.journal.lastSequence + 1;
  for (const _ of ledger.derivation()) if (turns.isOver) await turns.next();
  return {
    ledger,
    lastResult,
    checkpointSequence: checkpoint.journalSequence,
    liveFrom: checkpoint.liveFrom,
    liveKeys,
    runKeys,
    historiesUpTo,
    replayedFlushes,
  };
}

function subjectOf(fact: Flush["facts"][number]): `task ${TaskId}` | `agent ${AgentId}` | `run ${WorkflowId}` {
  switch (fact.type) {
    case "TaskSubmitted":
      return `task ${fact.spec.taskId}`;
    case "TaskRetained":
      return `task ${fact.task.spec.taskId}`;
    case "AgentAdded":
      return `agent ${fact.agent.agentId}`;
    case "RunStarted":
      return `run ${fact.run.spec.workflowId}`;
    case "RunAdvanced":
      return `run ${fact.workflowId}`;
    default:
      return "taskId" in fact ? `task ${fact.taskId}` : `agent ${fact.agentId}`;
  }
}

/** Of the last copy; zeroes where there was none yet. */
export async function readCheckpoint(meta: Pick<ReadableBucket, "get">): Promise<Checkpoint> {
  const value = await meta.get(META_KEYS.checkpoint);
  if (value === null || value === undefined) {
    return { journalSequence: 0, highWaterMark: 0, lastResult: null, nextOrder: 1, liveFrom: 0, at: 0 };
  }
  return readable(parseMessage(Checkpoint, value), "the checkpoint");
}

/**
 * A record that stands at a flush which the journal does not have was written by a leader whose journal lost its end.
 * Facts under the same sequences would be taken for older than it and skipped, the next time.
 */
function refuseFuture(what: string, standsAt: number, fencedAt: number): void {
  if (standsAt < fencedAt) return;
  throw new PerdureError(
    "STORE_DAMAGED",
    `the stored record of ${what} stands at flush ${standsAt} of the journal, which ended at ${fencedAt - 1}: the journal lost flushes it had acknowledged. The orchestrator did not start; restore the server's store directory from a copy.`,
    { details: { what, standsAt, journalEndedAt: fencedAt - 1 } },
  );
}

function readable<T>(parsed: Parsed<T>, what: string): T {
  if (parsed.ok) return parsed.value;
  throw new PerdureError(
    "STORE_DAMAGED",
    `the stored record of ${what} cannot be read: ${parsed.failure.message}. The orchestrator did not start; restore the bucket or delete that one key.`,
    { details: { what, fields: parsed.failure.fields } },
  );
}
