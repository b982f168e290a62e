/** What one event of a history changes of its run's record. The same when it happens and when the journal is read back. */
import type { HistoryEvent } from "../../protocol/history-event.js";
import type { RunRecord } from "../../protocol/run-record.js";
import { upserted } from "../../protocol/search-attributes.js";

export function applyEvent(run: RunRecord, event: HistoryEvent): void {
  run.lastEventId = event.eventId;
  switch (event.type) {
    case "WorkflowExecutionStarted":
      if (event.input !== undefined) run.spec.input = event.input;
      run.memo = { ...event.memo };
      run.searchAttributes = upserted({}, event.searchAttributes);
      run.spec.metadata = event.metadata;
      if (event.resets !== undefined) run.spec.resets = event.resets;
      return;
    case "WorkflowExecutionSignaled":
      run.signalIds[event.signalId] = 1;
      run.signalCount += 1;
      return;
    case "WorkflowExecutionCancelRequested":
      run.cancelRequested = true;
      return;
    case "ActivityTaskScheduled":
      use(run, event.seq);
      run.activities[event.seq] = { taskId: event.taskId, type: event.activityType, cancelRequested: false };
      run.outstanding[event.seq] = event;
      return;
    case "ActivityTaskCancelRequested": {
      const activity = run.activities[event.seq];
      if (activity !== undefined) activity.cancelRequested = true;
      return;
    }
    case "ActivityTaskCompleted":
    case "ActivityTaskFailed":
    case "ActivityTaskTimedOut":
    case "ActivityTaskCanceled":
      settle(run, run.activities, event.seq);
      return;
    case "TimerStarted":
      use(run, event.seq);
      run.timers[event.seq] = event.fireAt;
      return;
    case "TimerFired":
    case "TimerCanceled":
      delete run.timers[event.seq];
      return;
    case "StepScheduled":
      use(run, event.seq);
      run.steps[event.seq] = event.name;
      run.outstanding[event.seq] = event;
      return;
    case "StepCompleted":
    case "StepFailed":
    case "StepCanceled":
      settle(run, run.steps, event.seq);
      return;
    case "StartChildWorkflowExecutionInitiated": {
      use(run, event.seq);
      const { workflowId, workflowType } = event;
      run.children[event.seq] = { workflowId, workflowType, runId: null };
      run.outstanding[event.seq] = event;
      return;
    }
    case "ChildWorkflowExecutionStarted": {
      const child = run.children[event.seq];
      if (child !== undefined) child.runId = event.runId;
      delete run.outstanding[event.seq];
      return;
    }
    case "StartChildWorkflowExecutionFailed":
    case "ChildWorkflowExecutionCompleted":
    case "ChildWorkflowExecutionFailed":
    case "ChildWorkflowExecutionCanceled":
    case "ChildWorkflowExecutionTerminated":
    case "ChildWorkflowExecutionTimedOut":
      settle(run, run.children, event.seq);
      return;
    case "SignalExternalWorkflowExecutionInitiated":
    case "RequestCancelExternalWorkflowExecutionInitiated":
      use(run, event.seq);
      run.externals[event.seq] = event.workflowId;
      run.outstanding[event.seq] = event;
      return;
    case "ExternalWorkflowExecutionSignaled":
    case "SignalExternalWorkflowExecutionFailed":
    case "ExternalWorkflowExecutionCancelRequested":
    case "RequestCancelExternalWorkflowExecutionFailed":
      settle(run, run.externals, event.seq);
      return;
    case "UpsertWorkflowSearchAttributes":
      run.searchAttributes = upserted(run.searchAttributes, event.searchAttributes);
      return;
    case "WorkflowPropertiesModified":
      Object.assign(run.memo, event.memo);
      return;
    case "WorkflowExecutionUpdateAccepted":
      run.updates[event.updateId] = { state: "accepted" };
      delete run.admitted[event.updateId];
      return;
    case "WorkflowExecutionUpdateAdmitted":
      run.admitted[event.updateId] = { name: event.updateName, input: event.input };
      return;
    case "WorkflowExecutionUpdateCompleted":
      run.updates[event.updateId] = { state: "completed" };
      return;
    // Their record is the history itself.
    case "WorkflowTaskCompleted":
    case "WorkflowTaskFailed":
    case "PatchRecorded":
      return;
    case "WorkflowExecutionCompleted":
    case "WorkflowExecutionFailed":
    case "WorkflowExecutionCanceled":
    case "WorkflowExecutionTerminated":
    case "WorkflowExecutionTimedOut":
    case "WorkflowExecutionContinuedAsNew":
      close(run, event.at);
  }
}

function use(run: RunRecord, seq: number): void {
  run.lastSeq = Math.max(run.lastSeq, seq);
}

function settle(run: RunRecord, pending: Record<string, unknown>, seq: number): void {
  delete pending[seq];
  delete run.outstanding[seq];
}

/** Nothing that is pending concerns a closed run any more. */
function close(run: RunRecord, at: number): void {
  run.closedAt = at;
  run.timers = {};
  run.steps = {};
  run.activities = {};
  run.children = {};
  run.externals = {};
  run.outstanding = {};
}
