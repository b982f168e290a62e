/** What a run has under way takes room in its record, which has to fit into one message. */
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import { jsonBytes } from "../../protocol/json-bytes.js";
import { PENDING_BYTES_MAX } from "../../protocol/limits.js";
import type { RunRecord } from "../../protocol/run-record.js";

/** A sentence where these events would make what is under way too large; null where they do not. */
export function pendingTooMuch(record: RunRecord, events: readonly NewHistoryEvent[]): string | null {
  const bytes = pendingBytesWith(record, events);
  if (bytes <= PENDING_BYTES_MAX) return null;
  return `what workflow ${record.spec.workflowId} has under way (tasks, steps, timers, children) would take ${bytes} bytes of its record and may take ${PENDING_BYTES_MAX}. Start fewer at a time.`;
}

/** What the pending part of a run's record would take with these events, about; 0 where they add nothing to it. */
function pendingBytesWith(record: RunRecord, events: readonly NewHistoryEvent[]): number {
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
