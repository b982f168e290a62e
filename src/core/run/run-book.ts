/**
 * The runs of workflows and the only way to change one.
 *
 * A run is its history; the record beside it holds what is pending, and follows from the events. `commit` gives events
 * their place, applies them and records the fact; `restore` applies what the journal says and decides nothing.
 */
import { stepRun } from "../../machines/step.js";
import type { RunEvent } from "../../machines/workflow-run.machine.js";
import type { Fact } from "../../protocol/fact.js";
import { closeEventTypes, type HistoryEvent, type NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId, WorkflowId } from "../../protocol/ids.js";
import { closedRunStates, type RunChange, type RunRecord } from "../../protocol/run-record.js";
import { Deadlines } from "../../scheduler/deadlines.js";
import { applyEvent } from "./apply-event.js";
import { nextRunDeadline } from "./next-run-deadline.js";

/** What happened to a run in one decision. */
export interface RunAdvance {
  readonly at: number;
  /** Goes to the end of the history. */
  readonly events?: readonly NewHistoryEvent[];
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
}

export class RunBook {
  /** Runs by workflow: the one under way, or the last one until its workflow is forgotten. */
  readonly #runs = new Map<WorkflowId, OpenRun>();
  readonly deadlines = new Deadlines(nextRunDeadline);
  /** Stuck ones, for the moment when a worker arrives. */
  readonly stuck = new Set<RunRecord>();
  /** Runs that changed since the materializer last took them: the journal sequence at or before the first change. */
  dirty = new Map<WorkflowId, number>();
  /** Histories of runs that were followed by another run of their chain before they were stored. */
  superseded: OpenRun[] = [];

  readonly #record: (fact: Fact) => void;
  readonly #nextSequence: () => number;

  constructor(options: { readonly record: (fact: Fact) => void; readonly nextSequence: () => number }) {
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
    this.commit(run, { at, events: first });
    return run;
  }

  commit(run: OpenRun, { at, events = [], step, set = {} }: RunAdvance): void {
    const { record } = run;
    const placed = events.map(
      (event, index) => ({ ...event, eventId: record.lastEventId + 1 + index }) as HistoryEvent,
    );
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
    this.#record({ type: "RunAdvanced", at, workflowId, runId: record.runId, events: placed, set: change });
    this.#apply(run, placed, change);
    this.#index(record);
  }

  /** One whose history is stored: nothing of it changes any more. */
  revive(record: RunRecord): void {
    this.#runs.set(record.spec.workflowId, { record, tail: [] });
  }

  forget(workflowId: WorkflowId): void {
    const run = this.#runs.get(workflowId);
    if (run === undefined || !isClosed(run.record)) return;
    this.#runs.delete(workflowId);
  }

  // Recovery: every record with its stored history's end, then every fact behind it, then the indexes, once.

  restore(record: RunRecord): void {
    this.#runs.set(record.spec.workflowId, { record, tail: [] });
  }

  restoreFact(fact: Extract<Fact, { type: "RunStarted" | "RunAdvanced" }>): void {
    if (fact.type === "RunStarted") {
      this.#insert(fact.run);
      return;
    }
    const run = this.#runs.get(fact.workflowId);
    if (run === undefined || run.record.runId !== fact.runId) return;
    // The stored record may stand later than this fact.
    const fresh = fact.events.filter((event) => event.eventId > run.record.lastEventId);
    this.#apply(run, fresh, fact.set);
  }

  deriveIndexes(): void {
    for (const { record } of this.#runs.values()) this.#index(record);
  }

  #insert(record: RunRecord): OpenRun {
    const { workflowId } = record.spec;
    const before = this.#runs.get(workflowId);
    if (before !== undefined && before.tail.length > 0) this.superseded.push(before);
    const run: OpenRun = { record, tail: [] };
    this.#runs.set(workflowId, run);
    this.#markDirty(workflowId);
    return run;
  }

  #apply(run: OpenRun, events: readonly HistoryEvent[], change: RunChange): void {
    for (const event of events) {
      applyEvent(run.record, event);
      run.tail.push(event);
    }
    Object.assign(run.record, change);
    this.#markDirty(run.record.spec.workflowId);
  }

  #markDirty(workflowId: WorkflowId): void {
    if (!this.dirty.has(workflowId)) this.dirty.set(workflowId, this.#nextSequence());
  }

  #index(record: RunRecord): void {
    if (record.state === "stuck") this.stuck.add(record);
    else this.stuck.delete(record);
    this.deadlines.update(record);
  }
}

export function isClosed(record: RunRecord): boolean {
  return closedRunStates.has(record.state);
}

export function closes(event: { readonly type: string }): boolean {
  return closeEventTypes.has(event.type);
}
