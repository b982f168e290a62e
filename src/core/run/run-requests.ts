/** What clients ask of a run: signals, queries, updates, cancellation, termination. */

import type { AskedOutcome } from "../../machines/effect.js";
import type { QueryRequest, UpdateRequest } from "../../protocol/activation.js";
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId, WorkflowId } from "../../protocol/ids.js";
import { SIGNAL_ID_BYTES_MAX, SIGNALS_MAX, UPDATES_IN_FLIGHT_MAX, UPDATES_MAX } from "../../protocol/limits.js";
import type { Refusal } from "../admission.js";
import type { Ledger } from "../ledger.js";
import { isClosed, type OpenRun } from "./run-book.js";
import type { RunClose } from "./run-close.js";
import type { RunInbox } from "./run-inbox.js";
import { unfinishedUpdate } from "./run-replies.js";
import { takesSignal } from "./signal-room.js";

export type Asked<Granted> = ({ readonly ok: true } & Granted) | { readonly ok: false; readonly refusal: Refusal };

export class RunRequests {
  readonly #ledger: Ledger;
  readonly #inbox: RunInbox;
  readonly #close: RunClose;

  constructor(ledger: Ledger, inbox: RunInbox, close: RunClose) {
    this.#ledger = ledger;
    this.#inbox = inbox;
    this.#close = close;
  }

  /** Durable once the decision is; the same `signalId` again is the same signal. */
  signal(
    workflowId: WorkflowId,
    signal: { readonly name: string; readonly input?: unknown; readonly signalId: string },
    at: number,
  ): Asked<{ readonly run: OpenRun }> {
    const any = this.#ledger.runs.of(workflowId);
    // Taken already; where the answer was lost, the run may have closed since.
    if (any !== undefined && any.record.signalIds[signal.signalId] === 1) return { ok: true, run: any };
    const found = this.#openRun(workflowId);
    if (!found.ok) return found;
    const { run } = found;
    const { record } = run;
    const isIt = (event: NewHistoryEvent) =>
      event.type === "WorkflowExecutionSignaled" && event.signalId === signal.signalId;
    if (record.buffered.some(isIt)) return found;
    if (this.#isClosing(run))
      return refused("NOT_READY", `workflow ${workflowId} is closing; ask again in a moment.`, workflowId);
    if (!takesSignal(run, signal.signalId)) {
      const message = `workflow ${workflowId} has had ${record.signalCount} signals, and one run takes ${SIGNALS_MAX}, whose ids have ${SIGNAL_ID_BYTES_MAX} bytes at the most; have it continue as new.`;
      return refused("QUEUE_FULL", message, workflowId);
    }
    const { name: signalName, signalId, input } = signal;
    this.#inbox.receive(run, { type: "WorkflowExecutionSignaled", at, signalName, signalId, input }, at);
    return found;
  }

  /** Answered by an effect under `<workflowId>/<queryId>`. Works on closed runs too. */
  query(workflowId: WorkflowId, query: QueryRequest, at: number): Asked<{ readonly askedId: string }> {
    const run = this.#ledger.runs.of(workflowId);
    if (run === undefined) {
      const found = this.#openRun(workflowId);
      return found.ok ? unknown(workflowId) : found;
    }
    if ((run.record.stuck?.failures ?? 0) >= STUCK_QUERIES_FAIL) {
      const message = `workflow ${workflowId} is stuck and cannot answer: ${run.record.stuck?.failure.message}`;
      // Not a code over which clients ask again by themselves: it may be long until a deployment heals the run.
      return refused("WORKFLOW_TASK_FAILED", message, workflowId);
    }
    this.#inbox.ask(run, { query }, at);
    return { ok: true, askedId: `${workflowId}/${query.queryId}` };
  }

  /** Whoever asked has gone. What nobody waits for keeps no closed run in memory and no worker busy. */
  withdrawQuery(workflowId: WorkflowId, queryId: string, at: number): void {
    const run = this.#ledger.runs.of(workflowId);
    if (run === undefined) return;
    const { runId } = run.record;
    this.#inbox.settle(runId, { queryIds: [queryId] });
    const activation = this.#inbox.activationOf(runId);
    if (!isClosed(run.record) || this.#inbox.askedOf(runId).queries.length > 0 || activation === undefined) return;
    this.#ledger.dropTask(activation, at);
    if (!this.#ledger.tasks.has(workflowId)) this.#ledger.runs.forget(workflowId);
  }

  /** Answered by effects under `<workflowId>/<updateId>`: `known` where this update was answered before. */
  update(
    workflowId: WorkflowId,
    update: UpdateRequest,
    at: number,
  ): Asked<{ readonly askedId: string; readonly known: KnownUpdate | null }> {
    const any = this.#ledger.runs.of(workflowId);
    const before = any === undefined ? undefined : ownOf(any.record.updates, update.updateId);
    if (any !== undefined && before !== undefined) {
      return { ok: true, askedId: `${workflowId}/${update.updateId}`, known: standingOf(before, any, update.updateId) };
    }
    const found = this.#openRun(workflowId);
    if (!found.ok) return found;
    const { record } = found.run;
    const askedId = `${workflowId}/${update.updateId}`;
    const asked = this.#inbox.askedOf(record.runId).updates;
    if (asked.some(({ updateId }) => updateId === update.updateId)) return { ok: true, askedId, known: null };
    if (this.#isClosing(found.run))
      return refused("NOT_READY", `workflow ${workflowId} is closing; ask again in a moment.`, workflowId);
    const updates = Object.values(record.updates);
    const inFlight = updates.filter(({ state }) => state === "accepted").length + asked.length;
    if (inFlight >= UPDATES_IN_FLIGHT_MAX || updates.length + asked.length >= UPDATES_MAX) {
      const message = `workflow ${workflowId} has ${inFlight} updates under way and has had ${updates.length}; at most ${UPDATES_IN_FLIGHT_MAX} and ${UPDATES_MAX} are taken.`;
      return refused("QUEUE_FULL", message, workflowId);
    }
    this.#inbox.ask(found.run, { update }, at);
    return { ok: true, askedId, known: null };
  }

  /** One request counts; asking again changes nothing. */
  cancel(run: OpenRun, at: number): void {
    const { record } = run;
    const isAsked =
      record.cancelRequested || record.buffered.some(({ type }) => type === "WorkflowExecutionCancelRequested");
    if (isClosed(record) || isAsked) return;
    if (record.notBefore !== null && at < record.notBefore) {
      // Before its delayed start, or between two tries, no code of it runs that could clean anything up.
      this.#close.close(run, { type: "WorkflowExecutionCanceled", at }, {});
      return;
    }
    this.#inbox.receive(run, { type: "WorkflowExecutionCancelRequested", at }, at);
  }

  /** No code of the workflow runs. */
  terminate(workflowId: WorkflowId, reason: string, at: number): Asked<{ readonly run: OpenRun }> {
    const found = this.#openRun(workflowId);
    if (found.ok) this.#close.close(found.run, { type: "WorkflowExecutionTerminated", at, reason }, {});
    return found;
  }

  /** A close was refused and a worker is at it again: one more event, and it would be refused again. */
  #isClosing(run: OpenRun): boolean {
    return run.record.closing && this.#inbox.isOut(run);
  }

  #openRun(workflowId: WorkflowId): Asked<{ readonly run: OpenRun }> {
    const run = this.#ledger.runs.of(workflowId);
    if (run === undefined && this.#ledger.tasks.get(workflowId)?.state === "waiting") {
      const message = `workflow ${workflowId} waits for its dependencies and has no run yet; ask again when it has started, or cancel it.`;
      return refused("NOT_READY", message, workflowId);
    }
    if (run === undefined) return unknown(workflowId);
    if (isClosed(run.record)) {
      return refused(
        "NOT_FOUND",
        `workflow ${workflowId} has no open run: the last one is ${run.record.state}.`,
        workflowId,
      );
    }
    return { ok: true, run };
  }
}

/** Not what every object has: an id may be called "constructor". */
function ownOf<Value>(values: Readonly<Record<string, Value>>, id: string): Value | undefined {
  return Object.hasOwn(values, id) ? values[id] : undefined;
}

/** After this many failures in a row a query would wait for ever. */
export const STUCK_QUERIES_FAIL = 3;

/** `completed`: how is in the history of the run. */
export type KnownUpdate =
  | Extract<AskedOutcome, { state: "accepted" | "failed" }>
  | { readonly state: "completed"; readonly runId: RunId };

function standingOf(
  update: { readonly state: "accepted" | "completed" },
  { record }: OpenRun,
  updateId: string,
): KnownUpdate {
  if (update.state === "completed") return { state: "completed", runId: record.runId };
  if (!isClosed(record)) return { state: "accepted" };
  return unfinishedUpdate(record.spec.workflowId, record.runId, updateId);
}

function unknown(workflowId: WorkflowId): { readonly ok: false; readonly refusal: Refusal } {
  return refused(
    "NOT_FOUND",
    `no workflow ${workflowId} is kept here: it was never started, or its retention is over.`,
    workflowId,
  );
}

function refused(
  code: Refusal["code"],
  message: string,
  workflowId: WorkflowId,
): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { code, message, details: { taskId: workflowId } } };
}
