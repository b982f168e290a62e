/** Events of a history as people read them: a line each. */
import type { HistoryEvent } from "../protocol/history-event.js";
import { cutTo, oneLine } from "./terminal-text.js";

const VALUE_LENGTH_MAX = 100;

/** What happened, in a few words; null for what only the engine cares about. */
export function eventText(event: HistoryEvent): string | null {
  switch (event.type) {
    case "WorkflowTaskCompleted":
      return null;
    case "WorkflowExecutionStarted":
      return `${event.workflowType} started with ${value(event.input)}`;
    case "WorkflowExecutionSignaled":
      return `signal ${event.signalName} ${value(event.input)}`;
    case "ActivityTaskScheduled":
      return `#${event.seq} task ${event.activityType} ${value(event.input)}`;
    case "StepScheduled":
      return `#${event.seq} step ${event.name}`;
    case "TimerStarted":
      return `#${event.seq} timer of ${event.durationMs} ms`;
    case "TimerFired":
      return `#${event.seq} timer fired`;
    case "ActivityTaskCompleted":
    case "StepCompleted":
    case "ChildWorkflowExecutionCompleted":
      return `#${event.seq} completed with ${value(event.output)}`;
    case "ActivityTaskFailed":
    case "ActivityTaskTimedOut":
    case "StepFailed":
    case "ChildWorkflowExecutionFailed":
    case "StartChildWorkflowExecutionFailed":
    case "SignalExternalWorkflowExecutionFailed":
    case "RequestCancelExternalWorkflowExecutionFailed":
      return `#${event.seq} failed: ${oneLine(event.failure.message)}`;
    case "StartChildWorkflowExecutionInitiated":
      return `#${event.seq} child ${event.workflowId} (${event.workflowType}) ${value(event.input)}`;
    case "WorkflowExecutionUpdateAccepted":
      return `update ${event.updateName} ${value(event.input)}`;
    case "WorkflowExecutionCompleted":
      return `completed with ${value(event.output)}`;
    case "WorkflowExecutionFailed":
      return `failed: ${oneLine(event.failure.message)}`;
    case "WorkflowTaskFailed":
      return `reset from run ${event.baseRunId} to run ${event.newRunId}: ${oneLine(event.reason)}`;
    case "WorkflowExecutionUpdateAdmitted":
      return `update ${event.updateName} ${value(event.input)}, to be decided on again`;
    case "WorkflowExecutionTerminated":
      return `terminated: ${oneLine(event.reason)}`;
    default:
      return `${"seq" in event ? `#${event.seq} ` : ""}${words(event.type)}`;
  }
}

/** `ChildWorkflowExecutionStarted` is "child workflow execution started". */
function words(type: string): string {
  return type.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}

function value(given: unknown): string {
  return cutTo(oneLine(JSON.stringify(given) ?? "nothing"), VALUE_LENGTH_MAX);
}
