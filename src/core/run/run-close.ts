/** What follows from the event that closes a run: for its workflow, its parent, its children and what it had asked for. */

import type { TaskEvent } from "../../machines/task.machine.js";
import type { RunEvent } from "../../machines/workflow-run.machine.js";
import type { CommandOf } from "../../protocol/command.js";
import { addUsage, type Failure } from "../../protocol/failure.js";
import type { HistoryEvent, NewHistoryEvent, RetryState } from "../../protocol/history-event.js";
import type { RunId, TaskId, WorkflowId } from "../../protocol/ids.js";
import { completeRetryPolicy, retryDelayMs } from "../../protocol/retry-policy.js";
import type { RunRecord } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import type { Ledger } from "../ledger.js";
import { awaitsChild, parentRunOf } from "./parent-run.js";
import { isClosed, type OpenRun } from "./run-book.js";
import type { RunInbox } from "./run-inbox.js";
import type { RunReplies } from "./run-replies.js";
import { newRun, type RunStart } from "./run-starts.js";

export type CloseEvent = Extract<
  HistoryEvent,
  {
    type:
      | "WorkflowExecutionCompleted"
      | "WorkflowExecutionFailed"
      | "WorkflowExecutionCanceled"
      | "WorkflowExecutionTerminated"
      | "WorkflowExecutionTimedOut"
      | "WorkflowExecutionContinuedAsNew";
  }
>;
export type NewCloseEvent = Extract<NewHistoryEvent, { type: CloseEvent["type"] }>;

type ClosingStep = Exclude<RunEvent["type"], "ActivationAnswered" | "ActivationFailed">;
const machineEvents: Readonly<Record<CloseEvent["type"], ClosingStep>> = {
  WorkflowExecutionCompleted: "Completed",
  WorkflowExecutionFailed: "Failed",
  WorkflowExecutionCanceled: "Cancelled",
  WorkflowExecutionTerminated: "Terminated",
  WorkflowExecutionTimedOut: "TimedOut",
  WorkflowExecutionContinuedAsNew: "ContinuedAsNew",
};

export type RetryVerdict =
  | { readonly notBefore: number; readonly retryState: "inProgress" }
  | { readonly notBefore: null; readonly retryState: Exclude<RetryState, "inProgress"> };

/** Whoever stopped something, or was too late for it, is not helped by another run. */
const neverRetried: ReadonlySet<string> = new Set([
  "CANCELLED",
  "TERMINATED",
  "TASK_SCHEDULE_TO_START_TIMED_OUT",
  "TASK_SCHEDULE_TO_CLOSE_TIMED_OUT",
]);

export class RunClose {
  readonly #ledger: Ledger;
  readonly #inbox: RunInbox;
  readonly #replies: RunReplies;

  constructor(ledger: Ledger, inbox: RunInbox, replies: RunReplies) {
    this.#ledger = ledger;
    this.#inbox = inbox;
    this.#replies = replies;
  }

  /** The policy's next run after a failure or a run's time-out, or why there is none. */
  retryOf(record: RunRecord, failure: Failure, at: number): RetryVerdict {
    const { retry, executionDeadlineAt } = record.spec;
    if (retry === null) return { notBefore: null, retryState: "retryPolicyNotSet" };
    // Whoever asked it to end did not mean one attempt of it.
    if (record.cancelRequested) return { notBefore: null, retryState: "cancelRequested" };
    const policy = completeRetryPolicy({ maximumAttempts: 0, ...retry });
    const isFinal = failure.nonRetryable === true || neverRetried.has(failure.type);
    if (isFinal || policy.nonRetryableErrorTypes.includes(failure.type)) {
      return { notBefore: null, retryState: "nonRetryableFailure" };
    }
    if (policy.maximumAttempts !== 0 && record.attempt >= policy.maximumAttempts) {
      return { notBefore: null, retryState: "maximumAttemptsReached" };
    }
    const notBefore = at + (failure.nextRetryDelayMs ?? retryDelayMs(policy, record.attempt));
    if (executionDeadlineAt !== null && notBefore >= executionDeadlineAt) {
      return { notBefore: null, retryState: "timeout" };
    }
    return { notBefore, retryState: "inProgress" };
  }

  /**
   * Closes a run with `event`, behind whatever else is given; starts the next run of the chain in the same decision, or
   * ends the workflow.
   */
  close(
    run: OpenRun,
    event: NewCloseEvent,
    options: { readonly before?: readonly NewHistoryEvent[]; readonly next?: RunStart },
  ): void {
    const { record } = run;
    const { at } = event;
    const { workflowId } = record.spec;
    this.#end(run, [...(options.before ?? []), event], event, [...tasksOf(record), ...childrenOf(record)]);
    this.#replies.giveUpAccepted(record);
    const { next } = options;
    if (next !== undefined) {
      const { record: successor, first } = newRun({ ...next, admitted: this.#inbox.undecided(record) });
      const opened = this.#ledger.runs.start(successor, first, at);
      this.#inbox.moveAsked(record.runId, successor.runId);
      this.#inbox.wake(opened, at);
      return;
    }
    this.#replies.dismiss(workflowId, record.runId);
    const workflow = this.#ledger.tasks.get(workflowId);
    if (workflow === undefined || workflow.state !== "open") {
      throw new Error(`run ${record.runId} closed and workflow ${workflowId} is not open`);
    }
    this.#ledger.commitTask(workflow, workflowEnd(event, workflow, record));
  }

  /** Closes a run in whose place another begins: its children are that one's, or go on by themselves. */
  cutOff(run: OpenRun, event: NewCloseEvent): void {
    this.#end(run, [event], event, tasksOf(run.record));
  }

  #end(run: OpenRun, events: readonly NewHistoryEvent[], { type, at }: NewCloseEvent, left: readonly TaskId[]): void {
    this.#ledger.runs.commit(run, { at, events, placed: [], step: { type: machineEvents[type], at } });
    const activation = this.#inbox.activationOf(run.record.runId);
    if (activation !== undefined) this.#ledger.dropTask(activation, at);
    for (const taskId of left) this.#ledger.addFollowUp({ kind: "release", taskId });
  }

  /** Tells a parent how its child ended; the report of a child whose parent's run is gone is dropped. */
  report(workflow: TaskRecord, at: number): void {
    const parent = workflow.spec.run?.parent;
    if (parent === undefined) return;
    const run = parentRunOf(this.#ledger.runs, workflow);
    if (run === undefined || !awaitsChild(run.record, parent.seq)) return;
    const last = this.#ledger.runs.of(workflow.spec.taskId as WorkflowId)?.tail.at(-1);
    const retryState = last?.type === "WorkflowExecutionFailed" ? last.retryState : "retryPolicyNotSet";
    this.#inbox.receive(run, childEnd(workflow, parent.seq, retryState, at), at);
  }
}

/** What a run leaves behind; each is looked at by itself. */
function tasksOf({ runId, activities, steps }: RunRecord): TaskId[] {
  const stepIds = Object.keys(steps).map((seq) => `${runId}-s${seq}` as TaskId);
  return [...Object.values(activities).map(({ taskId }) => taskId), ...stepIds];
}

/** Also those whose start waits for its place in the history. One that was not started is not there. */
function childrenOf({ children }: RunRecord): TaskId[] {
  return Object.values(children).map(({ workflowId }) => workflowId);
}

function workflowEnd(event: NewCloseEvent, workflow: TaskRecord, record: RunRecord): TaskEvent {
  const { at } = event;
  const { usage, runId } = record;
  const { taskId } = workflow.spec;
  switch (event.type) {
    case "WorkflowExecutionCompleted":
      return { type: "RunCompleted", at, output: event.output, usage, runId };
    case "WorkflowExecutionFailed":
      return { type: "RunFailed", at, failure: event.failure, usage, runId };
    case "WorkflowExecutionCanceled":
      return { type: "RunCancelled", at, usage, runId };
    case "WorkflowExecutionTerminated":
      return { type: "RunTerminated", at, failure: { type: "TERMINATED", message: event.reason }, usage, runId };
    case "WorkflowExecutionTimedOut": {
      const message = `workflow ${taskId} did not close within the time-out of its ${event.timeoutType}`;
      return { type: "RunTimedOut", at, failure: { type: "WORKFLOW_TIMED_OUT", message }, usage, runId };
    }
    case "WorkflowExecutionContinuedAsNew":
      throw new Error(`workflow ${taskId} continues and cannot end`);
  }
}

export function childEnd(workflow: TaskRecord, seq: number, retryState: RetryState, at: number): NewHistoryEvent {
  const failure = workflow.failure ?? { type: "UNKNOWN", message: `child ${workflow.spec.taskId} gave no reason` };
  switch (workflow.state) {
    case "completed":
      return { type: "ChildWorkflowExecutionCompleted", at, seq, output: workflow.output };
    case "cancelled":
      return { type: "ChildWorkflowExecutionCanceled", at, seq };
    case "terminated":
      return { type: "ChildWorkflowExecutionTerminated", at, seq, reason: failure.message };
    case "timed_out":
      return { type: "ChildWorkflowExecutionTimedOut", at, seq };
    default:
      return { type: "ChildWorkflowExecutionFailed", at, seq, failure, retryState };
  }
}

/** The next run of a chain: what is not given anew is carried over. */
export function successorOf(
  record: RunRecord,
  runId: RunId,
  at: number,
  change: Partial<CommandOf<"ContinueAsNew">> &
    Pick<RunStart, "input" | "attempt"> &
    Partial<Pick<RunStart, "notBefore" | "lastFailure">>,
): RunStart {
  const { spec } = record;
  return {
    spec: {
      ...spec,
      workflowType: change.workflowType ?? spec.workflowType,
      requiredCapabilities:
        change.workflowType === undefined ? spec.requiredCapabilities : [`workflow:${change.workflowType}`],
      priority: change.priority ?? spec.priority,
      retry: change.retry ?? spec.retry,
      runTimeoutMs: change.runTimeoutMs ?? spec.runTimeoutMs,
    },
    runId,
    at,
    input: change.input,
    memo: change.memo ?? record.memo,
    searchAttributes: change.searchAttributes ?? record.searchAttributes,
    attempt: change.attempt,
    continuedFromRunId: record.runId,
    abandoned: record.abandoned,
    usage: record.usage,
    ...(change.signals === undefined ? {} : { signals: change.signals }),
    ...(change.notBefore === undefined ? {} : { notBefore: change.notBefore }),
    ...(change.lastFailure === undefined ? {} : { lastFailure: change.lastFailure }),
  };
}

/** Adds what an activity cost to its run. */
export function withUsage(run: OpenRun, activity: TaskRecord): RunRecord["usage"] {
  return isClosed(run.record) ? run.record.usage : addUsage(run.record.usage, activity.usage);
}
