/**
 * Goes back to a point in a run's history: a new run of the chain begins with what the last one had seen by then, and
 * takes its place. All of it is one decision: the old run's end, the workflow that is open again, the new run.
 */
import type { HistoryEvent } from "../../protocol/history-event.js";
import type { RunId, WorkflowId } from "../../protocol/ids.js";
import { jsonBytes } from "../../protocol/json-bytes.js";
import { FLUSH_BYTES_MAX } from "../../protocol/limits.js";
import type { RunRecord } from "../../protocol/run-record.js";
import { endedStates, type TaskRecord } from "../../protocol/task-record.js";
import type { Refusal } from "../admission.js";
import type { Ledger } from "../ledger.js";
import type { Chance } from "../settings.js";
import { awaitsChild, hasChild, parentRunOf } from "./parent-run.js";
import { type ResetRequest, resetEventId, resetHistory } from "./reset-plan.js";
import { revivedRun } from "./revive.js";
import { newRunId } from "./run-answers.js";
import { isClosed, type OpenRun } from "./run-book.js";
import type { NewCloseEvent, RunClose } from "./run-close.js";
import type { RunInbox } from "./run-inbox.js";
import type { RunReplies } from "./run-replies.js";
import type { Asked } from "./run-requests.js";
import { newRun } from "./run-starts.js";

/** What the decision has in the journal beside what can be long: ids and counts. */
const OTHER_FACTS_BYTES = 16 * 1024;
/** Of a child that is told that it is abandoned. */
const ABANDONED_BYTES = 512;

export interface RunHistory {
  readonly runId: RunId;
  readonly events: readonly HistoryEvent[];
}

export class RunReset {
  readonly #ledger: Ledger;
  readonly #inbox: RunInbox;
  readonly #close: RunClose;
  readonly #replies: RunReplies;
  readonly #chance: Chance;

  constructor(ledger: Ledger, inbox: RunInbox, close: RunClose, replies: RunReplies, chance: Chance) {
    this.#ledger = ledger;
    this.#inbox = inbox;
    this.#close = close;
    this.#replies = replies;
    this.#chance = chance;
  }

  /**
   * @param workflow as it is kept, in memory or among the ended ones
   * @param history of its last run, all of it
   */
  reset(
    workflow: TaskRecord,
    history: RunHistory,
    request: ResetRequest,
    at: number,
  ): Asked<{ readonly runId: RunId }> {
    const workflowId = workflow.spec.taskId as WorkflowId;
    const { events } = history;
    const run = this.#ledger.runs.of(workflowId);
    const record = run?.record ?? revivedRun(workflow, events);
    const resets = record?.spec.resets ?? [];
    const known = resets.find(({ requestId }) => requestId === request.requestId);
    if (known !== undefined) return { ok: true, runId: known.runId };
    const refusal = this.#refusalOf(workflow, record, history, request);
    if (refusal !== null || record === null) return { ok: false, refusal: refusal ?? historyGone(workflowId) };
    const point = resetEventId(events, request.to);
    if ("refused" in point) return refused(workflowId, record.runId, point.refused);

    const { eventId } = point;
    const runId = newRunId(this.#chance);
    const first = resetHistory({ events, buffered: record.buffered, runId: record.runId, resets }, request, {
      eventId,
      newRunId: runId,
      at,
    });
    const bytes = jsonBytes(first) + factBytes(workflow, record, request);
    if (bytes > FLUSH_BYTES_MAX) {
      const message = `workflow ${workflowId} is not reset: what its new run would begin with, up to event ${eventId} of run ${record.runId} and what came in since, takes ${bytes} bytes in the journal, and ${FLUSH_BYTES_MAX} are taken in one piece. Reset it to an earlier workflow task.`;
      return { ok: false, refusal: { code: "PAYLOAD_TOO_LARGE", message, details: { taskId: workflowId, bytes } } };
    }

    const reopened = endedStates.has(workflow.state) ? this.#ledger.reopenWorkflow(workflow, at) : null;
    const { spec } = record;
    const { record: successor } = newRun({
      spec: {
        ...spec,
        executionDeadlineAt: reopened === null ? spec.executionDeadlineAt : reopened.closeDeadlineAt,
      },
      runId,
      at,
      input: spec.input,
      memo: {},
      searchAttributes: {},
      attempt: record.attempt,
      usage: reopened === null ? record.usage : workflow.usage,
      abandoned: this.#isForgotten(workflow),
    });
    const children = Object.values(record.children).map((child) => child.workflowId);
    if (run !== undefined) {
      const reason = `reset to event ${eventId} as run ${runId}: ${request.reason}`;
      this.#cutOff(run, { type: "WorkflowExecutionTerminated", at, reason, newRunId: runId });
    }
    const opened = this.#ledger.runs.start(successor, first, at);
    this.#inbox.moveAsked(record.runId, runId);
    this.#abandon(children, opened, at);
    if (run !== undefined) this.#replies.giveUpAccepted(run.record, opened.record);
    this.takeUp(opened);
    this.#inbox.wake(opened, at);
    const { reason } = request;
    this.#ledger.broadcast("WORKFLOW_RESET", { taskId: workflowId, runId, baseRunId: record.runId, eventId, reason });
    return { ok: true, runId };
  }

  /** What a run has under way and nobody may be at: after a reset, or after a crash. */
  takeUp({ record }: OpenRun): void {
    const { workflowId } = record.spec;
    for (const [updateId, update] of Object.entries(record.admitted)) {
      this.#inbox.remember(record.runId, { updateId, ...update });
    }
    // Also those children that have started: one may have ended when nobody was there to hear of it.
    for (const seq of Object.keys({ ...record.outstanding, ...record.children })) {
      this.#ledger.addFollowUp({ kind: "carryOut", workflowId, runId: record.runId, seq: Number(seq) });
    }
    for (const { taskId, cancelRequested } of Object.values(record.activities)) {
      if (cancelRequested) this.#ledger.addFollowUp({ kind: "release", taskId });
    }
  }

  #refusalOf(
    workflow: TaskRecord,
    record: RunRecord | null,
    { runId: readRunId, events }: RunHistory,
    request: ResetRequest,
  ): Refusal | null {
    const { taskId } = workflow.spec;
    const workflowId = taskId as WorkflowId;
    if (workflow.state === "waiting") {
      const message = `workflow ${workflowId} waits for its dependencies and has no run yet.`;
      return { code: "RESET_REFUSED", message, details: { taskId } };
    }
    const isWhole = events.length > 0 && events.every(({ eventId }, index) => eventId === index + 1);
    if (record === null || !isWhole) return historyGone(workflowId);
    const { runId } = record;
    if (request.runId !== undefined && request.runId !== runId) {
      const message = `run ${request.runId} of workflow ${workflowId} is not reset: the last one is ${runId}, and only that can be. Look at it: perdure history ${workflowId}`;
      return { code: "RESET_REFUSED", message, details: { taskId, runId: request.runId, lastRunId: runId } };
    }
    if (runId !== readRunId || events.length !== record.lastEventId) {
      const message = `workflow ${workflowId} went on while its history was read; ask again.`;
      return { code: "NOT_READY", message, details: { taskId } };
    }
    if (this.#ledger.isNeeded(workflow)) {
      const why = `tasks that depend on it are under way with what it came to; wait for them, or cancel them`;
      return refused(workflowId, runId, why).refusal;
    }
    return null;
  }

  /** A child whose parent has heard of its end, or closed: no close of that one may end it when it is open again. */
  #isForgotten(workflow: TaskRecord): boolean {
    const parent = workflow.spec.run?.parent;
    if (parent === undefined) return false;
    const run = parentRunOf(this.#ledger.runs, workflow);
    return run === undefined || !awaitsChild(run.record, parent.seq);
  }

  /** Ends what there is of the old run, but for its children. */
  #cutOff(run: OpenRun, event: NewCloseEvent): void {
    if (isClosed(run.record)) {
      // Somebody asks it something.
      const activation = this.#inbox.activationOf(run.record.runId);
      if (activation !== undefined) this.#ledger.dropTask(activation, event.at);
    } else this.#close.cutOff(run, event);
  }

  /** Children that the new run knows nothing of go on by themselves. */
  #abandon(children: readonly WorkflowId[], { record }: OpenRun, at: number): void {
    for (const workflowId of children) {
      const child = this.#ledger.runs.of(workflowId);
      if (child === undefined || isClosed(child.record) || hasChild(record, child.record)) continue;
      if (child.record.spec.parent?.workflowId !== record.spec.workflowId) continue;
      this.#ledger.runs.commit(child, { at, set: { abandoned: true } });
    }
  }
}

/** Of the workflow's record, the old run's end, the new run, its activation and its children, in the journal. */
function factBytes(workflow: TaskRecord, { spec, children }: RunRecord, { reason }: ResetRequest): number {
  return (
    jsonBytes(workflow.spec) +
    2 * jsonBytes(spec.requiredCapabilities) +
    jsonBytes(spec.retry) +
    jsonBytes(reason) +
    ABANDONED_BYTES * Object.keys(children).length +
    OTHER_FACTS_BYTES
  );
}

function historyGone(workflowId: WorkflowId): Refusal {
  const message = `workflow ${workflowId} is not reset: the history of its last run is not kept any more.`;
  return { code: "NOT_FOUND", message, details: { taskId: workflowId } };
}

function refused(workflowId: WorkflowId, runId: RunId, why: string): { readonly ok: false; readonly refusal: Refusal } {
  const message = `run ${runId} of workflow ${workflowId} is not reset: ${why}. Nothing was changed.`;
  return { ok: false, refusal: { code: "RESET_REFUSED", message, details: { taskId: workflowId, runId } } };
}
