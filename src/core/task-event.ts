/** What the world is told of a task that went from one state to another. */
import type { SystemEventType } from "../protocol/system-message.js";
import { occupyingStates, type StoredTaskState, type TaskRecord } from "../protocol/task-record.js";

export interface TaskEventMessage {
  readonly eventType: SystemEventType;
  readonly payload: Record<string, unknown>;
}

/** Null for what is nobody's business outside. */
export function eventOf(record: TaskRecord, before: StoredTaskState): TaskEventMessage | null {
  const { state, attempt, agentId, failure: error, retryAt, spec } = record;
  const { taskId, type } = spec;
  switch (state) {
    case "completed":
      return { eventType: "TASK_COMPLETED", payload: { taskId, type, agentId, attempt } };
    case "failed":
      return { eventType: "TASK_FAILED", payload: { taskId, type, attempt, error } };
    case "timed_out":
      return { eventType: "TASK_TIMED_OUT", payload: { taskId, type, attempt, error } };
    case "cancelled":
      return { eventType: "TASK_CANCELLED", payload: { taskId, type } };
    case "terminated":
      return { eventType: "TASK_TERMINATED", payload: { taskId, type, error } };
    case "queued":
    case "backoff":
      return occupyingStates.has(before)
        ? { eventType: "TASK_RETRYING", payload: { taskId, type, attempt, agentId, error, retryAt } }
        : null;
    default:
      return null;
  }
}
