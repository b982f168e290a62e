/** What a run has under way takes room in its record, which has to fit into one message. */
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import { jsonBytes } from "../../protocol/json-bytes.js";
import type { RunRecord } from "../../protocol/run-record.js";

/** What the pending part of a run's record would take with these events, about; 0 where they add nothing to it. */
export function pendingBytesWith(record: RunRecord, events: readonly NewHistoryEvent[]): number {
  let added = 0;
  for (const event of events) added += addedBytes(event);
  // Most answers add little to little: then nothing is measured.
  if (added === 0) return 0;
  const { activities, steps, timers, children, externals } = record;
  return added + jsonBytes([activities, steps, timers, children, externals]);
}

/** A `seq` as a key, and names of fields. */
const KEY_BYTES = 11;
const ACTIVITY_BYTES = 50;
const CHILD_BYTES = 85;
const INSTANT_BYTES = 13;

function addedBytes(event: NewHistoryEvent): number {
  switch (event.type) {
    case "ActivityTaskScheduled":
      return KEY_BYTES + ACTIVITY_BYTES + event.taskId.length + jsonBytes(event.activityType);
    case "StepScheduled":
      return KEY_BYTES + jsonBytes(event.name);
    case "TimerStarted":
      return KEY_BYTES + INSTANT_BYTES;
    case "StartChildWorkflowExecutionInitiated":
      return KEY_BYTES + CHILD_BYTES + event.workflowId.length + jsonBytes(event.workflowType);
    case "SignalExternalWorkflowExecutionInitiated":
    case "RequestCancelExternalWorkflowExecutionInitiated":
      return KEY_BYTES + event.workflowId.length;
    default:
      return 0;
  }
}
