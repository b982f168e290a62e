/** How a task or a step of a run ended, as its history says it. */
import type { NewHistoryEvent, RetryState } from "../../protocol/history-event.js";
import type { TaskRecord } from "../../protocol/task-record.js";

/** Why there was no further attempt. */
function retryStateOf({ spec, attempt, failure, closeDeadlineAt }: TaskRecord): RetryState {
  const { maximumAttempts, nonRetryableErrorTypes } = spec.retry;
  if (failure === null || failure.nonRetryable === true || nonRetryableErrorTypes.includes(failure.type)) {
    return "nonRetryableFailure";
  }
  if (maximumAttempts !== 0 && attempt >= maximumAttempts) return "maximumAttemptsReached";
  // It would have begun behind the deadline, or began too late.
  return closeDeadlineAt === null && spec.scheduleToStartMs === undefined ? "nonRetryableFailure" : "timeout";
}

export function activityEnd(task: TaskRecord, seq: number, at: number): NewHistoryEvent {
  const failure = task.failure ?? { type: "UNKNOWN", message: `task ${task.spec.taskId} gave no reason` };
  switch (task.state) {
    case "completed":
      return { type: "ActivityTaskCompleted", at, seq, output: task.output };
    case "cancelled":
      return { type: "ActivityTaskCanceled", at, seq };
    case "timed_out":
      return { type: "ActivityTaskTimedOut", at, seq, failure, retryState: retryStateOf(task) };
    default:
      return { type: "ActivityTaskFailed", at, seq, failure, retryState: retryStateOf(task) };
  }
}

export function stepEnd(task: TaskRecord, seq: number, at: number): NewHistoryEvent {
  if (task.state === "completed") return { type: "StepCompleted", at, seq, output: task.output };
  const failure = task.failure ?? { type: "UNKNOWN", message: `step ${seq} gave no reason` };
  return { type: "StepFailed", at, seq, failure, retryState: retryStateOf(task) };
}
