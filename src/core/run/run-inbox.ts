/**
 * Where what happens outside a workflow's code reaches its run. While an activation is out, its worker must find the
 * history as it was sent: what comes in waits in the buffer and gets its place behind the answer.
 */

import type { QueryRequest, UpdateRequest } from "../../protocol/activation.js";
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId } from "../../protocol/ids.js";
import type { RunRecord } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import { occupyingStates } from "../../protocol/task-record.js";
import type { Ledger } from "../ledger.js";
import { workflowTaskSpec } from "./member-specs.js";
import type { OpenRun } from "./run-book.js";

/** Questions and requests that travel with the next activation. Of no effect until it is answered, so memory is enough. */
interface Asked {
  readonly updates: Map<string, UpdateRequest>;
  readonly queries: Map<string, QueryRequest>;
}

export class RunInbox {
  readonly #ledger: Ledger;
  readonly #asked = new Map<RunId, Asked>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Lets something that happened into the run's history, and its code know of it. */
  receive(run: OpenRun, event: NewHistoryEvent, at: number): void {
    if (this.isOut(run)) {
      this.#ledger.runs.commit(run, { at, buffer: event });
      return;
    }
    // The activation under way lost its worker: what waited for its answer came first.
    this.place(run, at);
    this.#ledger.runs.commit(run, { at, events: [event] });
    this.wake(run, at);
  }

  /** Gives what waits its place. */
  place(run: OpenRun, at: number): void {
    if (run.record.buffered.length > 0) this.#ledger.runs.commit(run, { at, placed: this.order(run) });
  }

  /** Makes sure that an activation is under way or waits for a worker. */
  wake({ record }: OpenRun, at: number): void {
    if (record.notBefore !== null || record.stuck?.retryAt != null) return;
    if (!this.#ledger.tasks.has(record.runId)) this.#ledger.addTask(workflowTaskSpec(record), 0, at);
  }

  /** Whether a worker has an activation of this run, as far as the engine knows. */
  isOut({ record }: OpenRun): boolean {
    const task = this.activationOf(record.runId);
    return task !== undefined && occupyingStates.has(task.state);
  }

  activationOf(runId: RunId): TaskRecord | undefined {
    return this.#ledger.tasks.get(runId);
  }

  /**
   * The places of what waits: completions behind the rest, each group in the order in which it came in. The firing of a
   * timer that its code has cancelled meanwhile gets none.
   */
  order({ record }: OpenRun, cancelledTimers: ReadonlySet<number> = noTimers): number[] {
    const first: number[] = [];
    const last: number[] = [];
    for (const [position, event] of record.buffered.entries()) {
      if (event.type === "TimerFired" && cancelledTimers.has(event.seq)) continue;
      (completions.has(event.type) ? last : first).push(position);
    }
    return [...first, ...last];
  }

  ask(run: OpenRun, what: { readonly update: UpdateRequest } | { readonly query: QueryRequest }, at: number): void {
    const { runId } = run.record;
    if ("update" in what) this.remember(runId, what.update);
    else this.#of(runId).queries.set(what.query.queryId, what.query);
    if (!this.isOut(run)) this.wake(run, at);
  }

  /** An update that goes out with the next activation, which something else calls for. */
  remember(runId: RunId, update: UpdateRequest): void {
    this.#of(runId).updates.set(update.updateId, update);
  }

  #of(runId: RunId): Asked {
    let asked = this.#asked.get(runId);
    if (asked === undefined) {
      asked = { updates: new Map(), queries: new Map() };
      this.#asked.set(runId, asked);
    }
    return asked;
  }

  askedOf(runId: RunId): { readonly updates: readonly UpdateRequest[]; readonly queries: readonly QueryRequest[] } {
    const asked = this.#asked.get(runId);
    return { updates: [...(asked?.updates.values() ?? [])], queries: [...(asked?.queries.values() ?? [])] };
  }

  /** Updates from before a reset that the code has not decided on: a rejected one leaves no event that would take it out. */
  undecided({ runId, admitted }: RunRecord): RunRecord["admitted"] {
    const updates = this.#asked.get(runId)?.updates;
    return Object.fromEntries(Object.entries(admitted).filter(([updateId]) => updates?.has(updateId) === true));
  }

  /** The next run of a chain takes what its predecessor was asked and had not answered. */
  moveAsked(from: RunId, to: RunId): void {
    const asked = this.#asked.get(from);
    if (asked === undefined) return;
    this.#asked.delete(from);
    this.#asked.set(to, asked);
  }

  /** Takes back what was answered, or can no longer be. */
  settle(
    runId: RunId,
    answered: { readonly updateIds?: Iterable<string>; readonly queryIds?: Iterable<string> },
  ): void {
    const asked = this.#asked.get(runId);
    if (asked === undefined) return;
    for (const id of answered.updateIds ?? []) asked.updates.delete(id);
    for (const id of answered.queryIds ?? []) asked.queries.delete(id);
    if (asked.updates.size === 0 && asked.queries.size === 0) this.#asked.delete(runId);
  }
}

const noTimers: ReadonlySet<number> = new Set();

const completions: ReadonlySet<string> = new Set([
  "ActivityTaskCompleted",
  "ActivityTaskFailed",
  "ActivityTaskTimedOut",
  "ActivityTaskCanceled",
  "StepCompleted",
  "StepFailed",
  "ChildWorkflowExecutionCompleted",
  "ChildWorkflowExecutionFailed",
  "ChildWorkflowExecutionCanceled",
  "ChildWorkflowExecutionTerminated",
  "ChildWorkflowExecutionTimedOut",
]);
