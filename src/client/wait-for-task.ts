/**
 * Waits for a task to end, for as long as the caller likes: asks, and asks again when an answer came too early or not
 * at all. A leader that dies forgets who was waiting, so the questions begin short and grow with the time already
 * waited: what is late because of a crash is late by a fraction of its own time, and never by more than the longest.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { TaskReply, type TaskView } from "../protocol/task-message.js";
import { askUntilAnswered } from "./idempotent-request.js";
import { isEnded } from "./task-outcome.js";

const QUESTION_MS_MIN = 2_000;
const QUESTION_MS_MAX = 15_000;
/** Beyond its own time-out, for an answer to travel. */
const TRAVEL_MS = 2_000;

export interface TaskWait {
  readonly connection: Connection;
  readonly subject: string;
  readonly taskId: string;
  /** Infinity: for ever. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The client's own. */
  readonly closing: AbortSignal;
  readonly clock: Clock;
}

/**
 * Resolves with the task once it has ended, or as it is when the time is up.
 * @throws PerdureError NOT_FOUND, or that nobody answered; the signal's reason when it aborts.
 */
export async function waitForTask(wait: TaskWait): Promise<TaskView> {
  const { connection, subject, taskId, signal, closing, clock } = wait;
  const startedAt = clock.monotonicNow();
  let questionMs = QUESTION_MS_MIN;
  for (;;) {
    const leftMs = Math.max(0, wait.timeoutMs - (clock.monotonicNow() - startedAt));
    const timeoutMs = Math.round(Math.min(questionMs, leftMs));
    const { task } = await askUntilAnswered({
      connection,
      subject,
      body: JSON.stringify({ messageId: randomUUID(), timestamp: clock.now(), taskId, timeoutMs }),
      reply: TaskReply,
      tryTimeoutMs: timeoutMs + TRAVEL_MS,
      timeoutMs: leftMs + TRAVEL_MS,
      signal,
      closing,
      what: `the wait for task ${taskId}`,
      clock,
    });
    if (isEnded(task) || clock.monotonicNow() - startedAt >= wait.timeoutMs) return task;
    questionMs = Math.min(questionMs * 2, QUESTION_MS_MAX);
  }
}

export function notEnded(task: TaskView, timeoutMs: number): PerdureError {
  const reason = task.reason === undefined ? "" : `: ${task.reason}`;
  return new PerdureError(
    "REQUEST_TIMED_OUT",
    `${task.type.startsWith("workflow:") ? "workflow" : "task"} ${task.taskId} did not end within ${timeoutMs} ms and is ${task.state}${reason}. It goes on; wait again.`,
    { details: { taskId: task.taskId, state: task.state, attempt: task.attempt, timeoutMs } },
  );
}
