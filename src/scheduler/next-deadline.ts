/** Which of a task's time-outs is next. Deadlines are instants in the stored record, so a restart changes none. */
import type { TaskRecord } from "../protocol/task-record.js";

export interface Deadline {
  readonly at: number;
  readonly event:
    | "AnswerOverdue"
    | "AttemptTimedOut"
    | "HeartbeatTimedOut"
    | "StartTimedOut"
    | "CloseTimedOut"
    | "RetryDue";
}

/** The earliest deadline of a task in its present state; where two fall together, the one that ends more goes first. */
export function nextDeadline(record: TaskRecord): Deadline | null {
  const candidates: Deadline[] = [];
  const add = (at: number | null, event: Deadline["event"]): void => {
    if (at !== null) candidates.push({ at, event });
  };
  switch (record.state) {
    case "waiting":
    case "open":
      return record.closeDeadlineAt === null ? null : { at: record.closeDeadlineAt, event: "CloseTimedOut" };
    case "queued": {
      const { scheduleToStartMs } = record.spec;
      // Before the other: what nobody ever took says so.
      if (scheduleToStartMs !== undefined && record.attempt === 0) {
        add((record.readyAt ?? record.submittedAt) + scheduleToStartMs, "StartTimedOut");
      }
      add(record.closeDeadlineAt, "CloseTimedOut");
      break;
    }
    case "backoff":
      add(record.closeDeadlineAt, "CloseTimedOut");
      add(record.retryAt, "RetryDue");
      break;
    case "assigned":
    case "running":
    case "cancelling":
      add(record.closeDeadlineAt, "CloseTimedOut");
      add(record.attemptDeadlineAt, "AttemptTimedOut");
      add(record.heartbeatDeadlineAt, "HeartbeatTimedOut");
      add(record.answerBy, "AnswerOverdue");
      break;
    default:
      return null;
  }
  let first: Deadline | null = null;
  for (const candidate of candidates) if (first === null || candidate.at < first.at) first = candidate;
  return first;
}
