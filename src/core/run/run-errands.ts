/**
 * Carries out what a run's history asks for: tasks for agents, children, signals and cancellations to other runs. Each
 * is a decision of its own behind the one that recorded it; after a crash, what is still outstanding is taken up again.
 */
import type { HistoryEventOf, NewHistoryEvent, ParentRun } from "../../protocol/history-event.js";
import type { WorkflowId } from "../../protocol/ids.js";
import { completeRetryPolicy } from "../../protocol/retry-policy.js";
import type { RunRecord } from "../../protocol/run-record.js";
import { endedStates, type TaskRecord, type TaskSpec } from "../../protocol/task-record.js";
import type { Ledger } from "../ledger.js";
import { activitySpec, stepSpec, stepTaskId, WORKFLOW_TYPE_PREFIX } from "./member-specs.js";
import { awaitsChild, hasChild, parentRunOf } from "./parent-run.js";
import { isClosed, type OpenRun } from "./run-book.js";
import { childEnd } from "./run-close.js";
import type { RunInbox } from "./run-inbox.js";
import { takesSignal } from "./signal-room.js";

export class RunErrands {
  readonly #ledger: Ledger;
  readonly #inbox: RunInbox;
  readonly #requestCancel: (run: OpenRun, at: number) => void;

  constructor(ledger: Ledger, inbox: RunInbox, requestCancel: (run: OpenRun, at: number) => void) {
    this.#ledger = ledger;
    this.#inbox = inbox;
    this.#requestCancel = requestCancel;
  }

  carryOut(run: OpenRun, seq: number, at: number): void {
    const { record } = run;
    const asked = record.outstanding[seq];
    switch (asked?.type) {
      case "ActivityTaskScheduled":
        if (!this.#ledger.tasks.has(asked.taskId)) this.#ledger.addTask(activitySpec(record, asked), 0, at);
        break;
      case "StepScheduled":
        // One that its worker began has its task already.
        if (!this.#ledger.tasks.has(stepTaskId(record, seq))) this.#ledger.addTask(stepSpec(record, asked), 0, at);
        break;
      case "StartChildWorkflowExecutionInitiated":
        this.#startChild(run, asked, at);
        return;
      case "SignalExternalWorkflowExecutionInitiated":
        this.#signal(run, asked, at);
        return;
      case "RequestCancelExternalWorkflowExecutionInitiated":
        this.#cancel(run, asked, at);
        return;
      default:
        this.#hearOfChild(run, seq, undefined, at);
        return;
    }
  }

  /**
   * A child that has ended when there was no run to tell.
   * @param stored what the store knows under its id; undefined before that was looked up
   */
  #hearOfChild(run: OpenRun, seq: number, stored: TaskRecord | null | undefined, at: number): void {
    const child = startedChild(run, seq);
    if (child === null) return;
    const { spec, runId } = run.record;
    const task = this.#ledger.tasks.get(child.workflowId) ?? stored;
    if (task === undefined) {
      const parent = { workflowId: spec.workflowId, runId, seq };
      this.#ledger.ask({ kind: "lookUpEnded", taskId: child.workflowId, parent });
      return;
    }
    const hasEnded = task !== null && endedStates.has(task.state);
    // It tells its end by itself.
    if (task !== null && !hasEnded && parentRunOf(this.#ledger.runs, task) === run) return;
    const parent = task?.spec.run?.parent;
    if (hasEnded && parent?.workflowId === spec.workflowId && parent.seq === seq) {
      this.#inbox.receive(run, childEnd(task, seq, "retryPolicyNotSet", at), at);
      return;
    }
    const failure = notFound(`how child ${child.workflowId} ended is not kept any more`);
    const retryState = "nonRetryableFailure";
    this.#inbox.receive(run, { type: "ChildWorkflowExecutionFailed", at, seq, failure, retryState }, at);
  }

  #startChild(run: OpenRun, asked: HistoryEventOf<"StartChildWorkflowExecutionInitiated">, at: number): void {
    const { seq, workflowId, idReusePolicy = "allowDuplicate" } = asked;
    const existing = this.#ledger.tasks.get(workflowId);
    // By default the id of one that has ended is free, whether it is still known or not.
    if (existing === undefined && idReusePolicy !== "allowDuplicate") {
      const { spec, runId } = run.record;
      const parent = { workflowId: spec.workflowId, runId, seq };
      this.#ledger.ask({ kind: "lookUpEnded", taskId: workflowId, parent });
      return;
    }
    this.#startChildUnless(run, asked, existing ?? null, at);
  }

  /** What the store knows under the id of a child that is to be started. */
  lookedUp({ workflowId, runId, seq }: ParentRun, ended: TaskRecord | null, at: number): void {
    const run = this.#ledger.runs.open(workflowId, runId);
    if (run === undefined) return;
    const asked = run.record.outstanding[seq];
    if (asked?.type !== "StartChildWorkflowExecutionInitiated") {
      this.#hearOfChild(run, seq, ended, at);
      return;
    }
    // It may have been started again meanwhile.
    this.#startChildUnless(run, asked, this.#ledger.tasks.get(asked.workflowId) ?? ended, at);
  }

  #startChildUnless(
    run: OpenRun,
    asked: HistoryEventOf<"StartChildWorkflowExecutionInitiated">,
    existing: TaskRecord | null,
    at: number,
  ): void {
    const { seq, workflowId } = asked;
    const isNeeded = existing !== null && this.#ledger.isNeeded(existing);
    const isFree = existing === null || (isWorkflow(existing) && mayReplace(existing.state, asked.idReusePolicy));
    if (!isFree || isNeeded) {
      const what = isWorkflow(existing) ? "workflow" : "a task of the id";
      const why = isNeeded ? ", and tasks under way depend on what it came to" : "";
      const message = `${what} ${workflowId} exists already (${existing.state})${why}`;
      const failure = { type: "WORKFLOW_ALREADY_STARTED", message };
      this.#inbox.receive(run, { type: "StartChildWorkflowExecutionFailed", at, seq, failure }, at);
      return;
    }
    if (existing !== null) this.#ledger.replaceTask(existing);
    this.#ledger.addTask(childSpec(run, asked), 0, at);
    const child = this.#ledger.runs.of(workflowId);
    if (child === undefined)
      throw new Error(`child ${workflowId} of run ${run.record.runId} was started and has no run`);
    this.#inbox.receive(run, { type: "ChildWorkflowExecutionStarted", at, seq, runId: child.record.runId }, at);
  }

  #signal(run: OpenRun, asked: HistoryEventOf<"SignalExternalWorkflowExecutionInitiated">, at: number): void {
    const { seq, workflowId, signalName, input } = asked;
    const target = this.#target(run, workflowId, asked.childOnly);
    const signalId = `${run.record.runId}-${seq}`;
    if (target === undefined || !takesSignal(target, signalId)) {
      const message = `workflow ${workflowId} has no open run that takes signals`;
      this.#answer(run, { type: "SignalExternalWorkflowExecutionFailed", at, seq, failure: notFound(message) }, at);
      return;
    }
    this.#inbox.receive(target, { type: "WorkflowExecutionSignaled", at, signalName, signalId, input }, at);
    this.#answer(run, { type: "ExternalWorkflowExecutionSignaled", at, seq }, at);
  }

  #cancel(run: OpenRun, asked: HistoryEventOf<"RequestCancelExternalWorkflowExecutionInitiated">, at: number): void {
    const { seq, workflowId } = asked;
    const target = this.#target(run, workflowId, asked.childOnly);
    if (target === undefined) {
      const failure = notFound(`workflow ${workflowId} has no open run`);
      this.#answer(run, { type: "RequestCancelExternalWorkflowExecutionFailed", at, seq, failure }, at);
      return;
    }
    this.#requestCancel(target, at);
    this.#answer(run, { type: "ExternalWorkflowExecutionCancelRequested", at, seq }, at);
  }

  /** The run may have signalled itself to its end. */
  #answer(run: OpenRun, event: NewHistoryEvent, at: number): void {
    if (!isClosed(run.record)) this.#inbox.receive(run, event, at);
  }

  #target(run: OpenRun, workflowId: WorkflowId, childOnly: boolean): OpenRun | undefined {
    const target = this.#ledger.runs.of(workflowId);
    if (target === undefined || isClosed(target.record)) return undefined;
    return childOnly && !hasChild(run.record, target.record) ? undefined : target;
  }
}

/** Whether the id of a workflow may be used again, by the policy; by default it may once that has ended. */
export function mayReplace(
  state: string,
  policy: "allowDuplicate" | "allowDuplicateFailedOnly" | "rejectDuplicate" = "allowDuplicate",
): boolean {
  if (!endedStates.has(state as never) || policy === "rejectDuplicate") return false;
  return policy === "allowDuplicate" || state !== "completed";
}

/** A child that has started and whose end the run has not heard of. */
function startedChild({ record }: OpenRun, seq: number): RunRecord["children"][string] | null {
  const child = record.children[seq];
  return child === undefined || child.runId === null || !awaitsChild(record, seq) ? null : child;
}

const isWorkflow = ({ spec }: TaskRecord): boolean => spec.role?.kind === "workflow";

const notFound = (message: string) => ({ type: "NOT_FOUND", message });

function childSpec({ record }: OpenRun, asked: HistoryEventOf<"StartChildWorkflowExecutionInitiated">): TaskSpec {
  const { workflowId, workflowType, input, parentClosePolicy, seq } = asked;
  const { spec } = record;
  const type = `${WORKFLOW_TYPE_PREFIX}${workflowType}`;
  const child: TaskSpec = {
    taskId: workflowId,
    type,
    input,
    priority: asked.priority ?? spec.priority,
    dependencies: [],
    requiredCapabilities: [type],
    retry: completeRetryPolicy(undefined) as TaskSpec["retry"],
    role: { kind: "workflow", workflowId },
    run: {
      parent: { workflowId: spec.workflowId, runId: record.runId, seq },
      parentClosePolicy,
      ...(asked.retry === undefined ? {} : { retry: asked.retry }),
      ...(asked.memo === undefined ? {} : { memo: asked.memo }),
      ...(asked.searchAttributes === undefined ? {} : { searchAttributes: asked.searchAttributes }),
    },
  };
  if (asked.runTimeoutMs !== undefined) child.timeoutMs = asked.runTimeoutMs;
  if (asked.executionTimeoutMs !== undefined) child.scheduleToCloseMs = asked.executionTimeoutMs;
  if (spec.traceparent !== undefined) child.traceparent = spec.traceparent;
  return child;
}
