/** What one copy to the buckets takes up: a picture of the changed records at a barrier of the commit loop. */
import type { Ledger } from "../core/ledger.js";
import { AGENT_TOMBSTONE_MS } from "../core/settings.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import { encodeStored } from "../protocol/stored-record.js";
import { endedStates, type TaskRecord } from "../protocol/task-record.js";

export interface RecordWrite {
  readonly key: string;
  /** null: the key goes. */
  readonly value: string | null;
  readonly ttlMs?: number;
}

export interface Picture {
  /** Up to here the buckets hold everything once this is written. */
  readonly complete: number;
  readonly live: readonly RecordWrite[];
  /** They change no more, so they are encoded when they are written. */
  readonly ended: readonly TaskRecord[];
  readonly agents: readonly RecordWrite[];
}

export interface Exposure {
  readonly ledger: Ledger;
  /** Task ids with a key in the bucket of live tasks; kept up here. */
  readonly liveKeys: Set<TaskId>;
  /** Where the journal stands with everything that is in the ledger. */
  readonly journalSequence: number;
  readonly now: number;
  /** Live tasks younger than this are left for the next copy. */
  readonly youngMs: number;
  /** Live tasks in one picture: they are encoded while everything else waits. */
  readonly liveMax: number;
}

/** Takes the changed records out of the ledger's lists; what is left for later stays in them. */
export function takePicture(exposure: Exposure): Picture {
  const { ledger, journalSequence } = exposure;
  const { ended, live } = takeEnded(exposure);
  takeLive(exposure, live);
  const agents = takeAgents(exposure);
  // In order of their first change, so the first of what is left stands for all of it.
  const [left] = ledger.dirtyTasks.values();
  return { complete: left === undefined ? journalSequence : left - 1, live, ended, agents };
}

/** Puts back what may not have been written. `since` is at or before the first change that it holds. */
export function giveBack(
  { live, ended, agents }: Picture,
  { ledger, liveKeys, since }: Pick<Exposure, "ledger" | "liveKeys"> & { readonly since: number },
): void {
  const tasks = new Map<TaskId, number>();
  for (const { key, value } of live) {
    tasks.set(key as TaskId, since);
    // Whether the key went is unknown: it is taken out again, which costs nothing if it is not there.
    if (value === null) liveKeys.add(key as TaskId);
  }
  for (const { spec } of ended) {
    tasks.set(spec.taskId, since);
    ledger.dirtyEnded.add(spec.taskId);
  }
  for (const [taskId, changedAt] of ledger.dirtyTasks) if (!tasks.has(taskId)) tasks.set(taskId, changedAt);
  ledger.dirtyTasks = tasks;
  for (const { key } of agents) ledger.dirtyAgents.set(key as AgentId, since);
}

function takeEnded({ ledger, liveKeys }: Exposure): { readonly ended: TaskRecord[]; readonly live: RecordWrite[] } {
  const ended: TaskRecord[] = [];
  const live: RecordWrite[] = [];
  for (const taskId of ledger.dirtyEnded) {
    const record = ledger.tasks.get(taskId);
    // One that a new task depends on stays among the live ones, and so does one that is open again.
    if (record === undefined || !endedStates.has(record.state) || ledger.graph.hasDependents(taskId)) continue;
    ledger.dirtyTasks.delete(taskId);
    ended.push(record);
    if (liveKeys.delete(taskId)) live.push({ key: taskId, value: null });
  }
  ledger.dirtyEnded.clear();
  return { ended, live };
}

/** Stops at its limit without a look at the rest: at each of a million that wait to be copied, it would be a long one. */
function takeLive({ ledger, liveKeys, journalSequence, now, youngMs, liveMax }: Exposure, live: RecordWrite[]): void {
  let taken = 0;
  for (const taskId of ledger.dirtyTasks.keys()) {
    if (taken === liveMax) return;
    const record = ledger.tasks.get(taskId);
    if (record === undefined) {
      // An activation or a step that took long enough to be copied, and is over.
      ledger.dirtyTasks.delete(taskId);
      if (liveKeys.delete(taskId)) live.push({ key: taskId, value: null });
      continue;
    }
    // A clock that was set back makes nothing young.
    if (Math.abs(now - record.submittedAt) < youngMs && !liveKeys.has(taskId)) continue;
    ledger.dirtyTasks.delete(taskId);
    liveKeys.add(taskId);
    live.push({ key: taskId, value: encodeStored(journalSequence, record) });
    taken += 1;
  }
}

function takeAgents({ ledger, journalSequence }: Exposure): RecordWrite[] {
  const taken = ledger.dirtyAgents;
  ledger.dirtyAgents = new Map();
  return [...taken.keys()].flatMap((agentId) => {
    const record = ledger.agents.get(agentId);
    if (record === undefined) return [];
    const write = { key: agentId, value: encodeStored(journalSequence, record) };
    return [record.endedAt === null ? write : { ...write, ttlMs: AGENT_TOMBSTONE_MS }];
  });
}
