/** What clients ask of a run: signals, queries, updates, cancellation, termination. */

import type { AskedOutcome } from "../../machines/effect.js";
import type { QueryRequest, UpdateRequest } from "../../protocol/activation.js";
import type { WorkflowId } from "../../protocol/ids.js";
import { SIGNALS_MAX, UPDATES_IN_FLIGHT_MAX, UPDATES_MAX } from "../../protocol/limits.js";
import type { Refusal } from "../admission.js";
import type { Ledger } from "../ledger.js";
import { isClosed, type OpenRun } from "./run-book.js";
import type { RunClose } from "./run-close.js";
import type { RunInbox } from "./run-inbox.js";

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
    const found = this.#openRun(workflowId);
    if (!found.ok) return found;
    const { run } = found;
    const { record } = run;
    const isKnown = (id: string) =>
      record.signalIds[id] === 1 || record.buffered.some((event) => (event as { signalId?: string }).signalId === id);
    if (isKnown(signal.signalId)) return found;
    if (record.closing)
      return refused("NOT_READY", `workflow ${workflowId} is closing; ask again in a moment.`, workflowId);
    if (record.signalCount >= SIGNALS_MAX) {
      const message = `workflow ${workflowId} has had ${SIGNALS_MAX} signals, which is all that one run takes; have it continue as new.`;
      return refused("QUEUE_FULL", message, workflowId);
    }
    const { name: signalName, signalId, input } = signal;
    this.#inbox.receive(run, { type: "WorkflowExecutionSignaled", at, signalName, signalId, input }, at);
    return found;
  }

  /** Answered by an effect under `<runId>/<queryId>`. Works on closed runs too. */
  query(workflowId: WorkflowId, query: QueryRequest, at: number): Asked<{ readonly askedId: string }> {
    const run = this.#ledger.runs.of(workflowId);
    if (run === undefined) return unknown(workflowId);
    if ((run.record.stuck?.failures ?? 0) >= STUCK_QUERIES_FAIL) {
      const message = `workflow ${workflowId} is stuck and cannot answer: ${run.record.stuck?.failure.message}`;
      return refused("NOT_READY", message, workflowId);
    }
    this.#inbox.ask(run, { query }, at);
    return { ok: true, askedId: `${run.record.runId}/${query.queryId}` };
  }

  /** Answered by effects under `<runId>/<updateId>`: `known` where this update was answered before. */
  update(
    workflowId: WorkflowId,
    update: UpdateRequest,
    at: number,
  ): Asked<{ readonly askedId: string; readonly known: AskedOutcome | null }> {
    const any = this.#ledger.runs.of(workflowId);
    const before = any?.record.updates[update.updateId];
    if (any !== undefined && before !== undefined) {
      return { ok: true, askedId: `${any.record.runId}/${update.updateId}`, known: outcomeOf(before, any) };
    }
    const found = this.#openRun(workflowId);
    if (!found.ok) return found;
    const { record } = found.run;
    const askedId = `${record.runId}/${update.updateId}`;
    const asked = this.#inbox.askedOf(record.runId).updates;
    if (asked.some(({ updateId }) => updateId === update.updateId)) return { ok: true, askedId, known: null };
    if (record.closing)
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
      record.cancelRequested ||
      record.buffered.some((event) => (event as { type: string }).type === "WorkflowExecutionCancelRequested");
    if (isClosed(record) || isAsked) return;
    this.#inbox.receive(run, { type: "WorkflowExecutionCancelRequested", at }, at);
  }

  /** No code of the workflow runs. */
  terminate(workflowId: WorkflowId, reason: string, at: number): Asked<{ readonly run: OpenRun }> {
    const found = this.#openRun(workflowId);
    if (found.ok) this.#close.close(found.run, { type: "WorkflowExecutionTerminated", at, reason }, {});
    return found;
  }

  #openRun(workflowId: WorkflowId): Asked<{ readonly run: OpenRun }> {
    const run = this.#ledger.runs.of(workflowId);
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

/** After this many failures in a row a query would wait for ever. */
const STUCK_QUERIES_FAIL = 3;

function outcomeOf(
  update: { readonly state: "accepted" | "completed"; readonly output?: unknown; readonly failure?: unknown },
  run: OpenRun,
): AskedOutcome {
  if (update.state === "accepted") {
    if (!isClosed(run.record)) return { state: "accepted" };
    return { state: "runClosed", message: `run ${run.record.runId} closed before the update was finished` };
  }
  if (update.failure !== undefined) return { state: "failed", failure: update.failure as never };
  return { state: "completed", output: update.output ?? null };
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
