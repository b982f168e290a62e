/**
 * The runs of workflows and the only way to change one.
 *
 * A run is its history; the record beside it holds what is pending, and follows from the events. `commit` gives events
 * their place, applies them and records the fact; `restore` applies what the journal says and decides nothing.
 */
import { stepRun } from "../../machines/step.js";
import type { RunEvent } from "../../machines/workflow-run.machine.js";
import type { RunFact } from "../../protocol/fact.js";
import { closeEventTypes, type HistoryEvent, type NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId, WorkflowId } from "../../protocol/ids.js";
import { closedRunStates, type RunChange, type RunRecord } from "../../protocol/run-record.js";
import type { TaskSpec } from "../../protocol/task-record.js";
import { Deadlines } from "../../scheduler/deadlines.js";
import { applyEvent } from "./apply-event.js";
import { nextRunDeadline } from "./next-run-deadline.js";
import { RunCensus } from "./run-census.js";
import { RunTimers } from "./run-timers.js";
import { idBytes, signalIdBytes } from "./signal-room.js";

/** What happened to a run in one decision. */
export interface RunAdvance {
  readonly at: number;
  /** Goes to the end of the history. */
  readonly events?: readonly NewHistoryEvent[];
  /** Waits for its place. */
  readonly buffer?: NewHistoryEvent;
  /** Positions in the buffer: these take their place behind `events`, in this order, and the rest is dropped. */
  readonly placed?: readonly number[];
  /** What the machine makes of it. */
  readonly step?: RunEvent;
  readonly set?: RunChange;
}

/** A run and the end of its history that memory still needs. */
export interface OpenRun {
  readonly record: RunRecord;
  /**
   * Events that are not in the store yet, or that no worker has seen. The last one is always that of
   * `record.lastEventId`, unless there are none.
   */
  tail: HistoryEvent[];
  /** Derived from the record. */
  readonly timers: RunTimers;
  /** What the ids of its signals take in the record, those that wait included; derived from it. */
  signalIdBytes: number;
}

export class RunBook {
  /** Runs by workflow: the one under way, or the last one until its workflow is forgotten. */
  readonly #runs = new Map<WorkflowId, OpenRun>();
  readonly deadlines = new Deadlines(nextRunDeadline);
  /** Stuck ones, for the moment when a worker arrives; those that are stuck longest come first. */
  readonly stuck = new Set<RunRecord>();
  readonly census = new RunCensus();
  /** Runs that changed since the materializer last took them: the journal sequence at or before the first change. */
  dirty = new Map<WorkflowId, number>();
  /** Histories of runs that were followed by another run of their chain before they were stored. */
  superseded: OpenRun[] = [];

  readonly #record: (fact: RunFact) => void;
  readonly #nextSequence: () => number;

  constructor(options: { readonly record: (fact: RunFact) => void; readonly nextSequence: () => number }) {
    this.#record = options.record;
    this.#nextSequence = options.nextSequence;
  }

  get size(): number {
    return this.#runs.size;
  }

  all(): IterableIterator<OpenRun> {
    return this.#runs.values();
  }

  of(workflowId: WorkflowId): OpenRun | undefined {
    return this.#runs.get(workflowId);
  }

  /** The run, if it is this one and still open. */
  open(workflowId: WorkflowId, runId: RunId | undefined): OpenRun | undefined {
    const run = this.#runs.get(workflowId);
    if (run === undefined || run.record.runId !== runId || isClosed(run.record)) return undefined;
    return run;
  }

  /** Takes up a run; its first event is part of `first`. */
  start(record: RunRecord, first: readonly NewHistoryEvent[], at: number): OpenRun {
    this.#record({ type: "RunStarted", at, run: structuredClone(record) });
    const run = this.#insert(record);
    this.census.note(record.spec.workflowType, null, record.state);
    this.commit(run, { at, events: first });
    return run;
  }

  commit(run: OpenRun, { at, events = [], buffer, placed, step, set = {} }: RunAdvance): void {
    const { record } = run;
    const { state: before } = record;
    let change = set;
    if (step !== undefined) {
      const stepped = stepRun(record, step);
      if (!stepped.accepted) {
        throw new Error(
          `run ${record.runId} of workflow ${record.spec.workflowId} is ${record.state} and was told ${step.type}`,
        );
      }
      change = { ...set, ...stepped.change };
    }
    const { workflowId } = record.spec;
    const advance = {
      events: numbered(events, record.lastEventId),
      ...(buffer === undefined ? {} : { buffer }),
      ...(placed === undefined ? {} : { placed: [...placed] }),
      set: change,
    };
    this.#record({ type: "RunAdvanced", at, workflowId, runId: record.runId, ...advance });
    this.#apply(run, advance);
    this.census.note(record.spec.workflowType, before, record.state);
    this.#index(run);
  }

  /** A task that a run asked for is there and speaks for itself from now on. */
  noteMember({ role }: TaskSpec): void {
    if (role?.seq === undefined) return;
    const run = this.#runs.get(role.workflowId);
    if (run === undefined || run.record.runId !== role.runId || run.record.outstanding[role.seq] === undefined) return;
    delete run.record.outstanding[role.seq];
    this.#markDirty(role.workflowId);
  }

  /** One whose history is stored: nothing of it changes any more. */
  revive(record: RunRecord): void {
    this.#runs.set(record.spec.workflowId, openRun(record));
  }

  forget(workflowId: WorkflowId): void {
    const run = this.#runs.get(workflowId);
    if (run === undefined || !isClosed(run.record)) return;
    this.#keepHistory(run);
    this.#runs.delete(workflowId);
  }

  // Recovery: every record with its stored history's end, then every fact behind it, then the indexes, once.

  restore(record: RunRecord): void {
    this.#runs.set(record.spec.workflowId, openRun(record));
  }

  restoreFact(fact: RunFact): void {
    if (fact.type === "RunStarted") {
      this.#insert(fact.run);
      return;
    }
    const run = this.#runs.get(fact.workflowId);
    if (run === undefined || run.record.runId !== fact.runId) return;
    this.#apply(run, fact);
  }

  deriveIndexes(): void {
    for (const run of this.#runs.values()) {
      this.census.note(run.record.spec.workflowType, null, run.record.state);
      this.#index(run);
    }
    const stuck = [...this.stuck].sort((a, b) => (a.stuck?.since ?? 0) - (b.stuck?.since ?? 0));
    this.stuck.clear();
    for (const record of stuck) this.stuck.add(record);
  }

  #insert(record: RunRecord): OpenRun {
    const { workflowId } = record.spec;
    const before = this.#runs.get(workflowId);
    if (before !== undefined) this.#keepHistory(before);
    const run = openRun(record);
    this.#runs.set(workflowId, run);
    this.#markDirty(workflowId);
    return run;
  }

  /** What is not stored yet of a run that leaves the book. */
  #keepHistory(run: OpenRun): void {
    if (run.tail.length > 0 && !this.superseded.includes(run)) this.superseded.push(run);
  }

  #apply(run: OpenRun, { events, buffer, placed, set }: Advance): void {
    const { record, timers, tail } = run;
    const add = (event: HistoryEvent): void => {
      applyEvent(record, event);
      timers.note(event);
      tail.push(event);
    };
    for (const event of events) {
      add(event);
      run.signalIdBytes += signalIdBytes(event);
    }
    if (placed !== undefined) {
      const waiting = placed.flatMap((position) => record.buffered[position] ?? []);
      for (const event of numbered(waiting, record.lastEventId)) add(event);
      record.buffered = [];
    }
    if (buffer !== undefined) {
      record.buffered.push(buffer);
      run.signalIdBytes += signalIdBytes(buffer);
      timers.noteBuffered(buffer);
    }
    Object.assign(record, set);
    this.#markDirty(record.spec.workflowId);
  }

  #markDirty(workflowId: WorkflowId): void {
    if (!this.dirty.has(workflowId)) this.dirty.set(workflowId, this.#nextSequence());
  }

  #index(run: OpenRun): void {
    const { record } = run;
    if (record.state === "stuck") this.stuck.add(record);
    else this.stuck.delete(record);
    this.deadlines.update(run);
  }
}

type Advance = Pick<Extract<RunFact, { type: "RunAdvanced" }>, "events" | "buffer" | "placed" | "set">;

function openRun(record: RunRecord): OpenRun {
  const had = Object.keys(record.signalIds).reduce((sum, id) => sum + idBytes(id), 0);
  const waiting = record.buffered.reduce((sum, event) => sum + signalIdBytes(event), 0);
  return { record, tail: [], timers: new RunTimers(record), signalIdBytes: had + waiting };
}

function numbered(events: readonly NewHistoryEvent[], lastEventId: number): HistoryEvent[] {
  return events.map((event, index) => ({ ...event, eventId: lastEventId + 1 + index }) as HistoryEvent);
}

export function isClosed(record: RunRecord): boolean {
  return closedRunStates.has(record.state);
}

export function closes(event: { readonly type: string }): boolean {
  return closeEventTypes.has(event.type);
}
