/** How a task ended, as a type, and as an error where its output was asked for and there is none. */
import type { Failure } from "../protocol/failure.js";
import type { TaskView } from "../protocol/task-message.js";

/** `terminated` is a workflow that somebody ended. */
export type EndedTaskState = "completed" | "failed" | "cancelled" | "timed_out" | "terminated";

/** A task that has ended; `output` is there if `state` is "completed" and the task returned something. */
export type EndedTask = TaskView & { readonly state: EndedTaskState };

const endedTaskStates: ReadonlySet<string> = new Set<EndedTaskState>([
  "completed",
  "failed",
  "cancelled",
  "timed_out",
  "terminated",
]);

export function isEnded(task: TaskView): task is EndedTask {
  return endedTaskStates.has(task.state);
}

const verbs = { failed: "failed", timed_out: "timed out", cancelled: "was cancelled", terminated: "was terminated" };

/** The task whose output was asked for ended without one. `cause` is what its code threw, stack included. */
export class TaskFailedError extends Error {
  override readonly name = "TaskFailedError";
  readonly taskId: string;
  readonly state: Exclude<EndedTaskState, "completed">;
  /** Of the attempts, the last one's number; of a workflow, its last run's. */
  readonly attempt: number;
  /** `failure.type` is what retry policies match on. */
  readonly failure: Failure;

  constructor(task: TaskView, state: Exclude<EndedTaskState, "completed">) {
    const failure = task.error ?? { type: state.toUpperCase(), message: task.reason ?? `the task ended ${state}` };
    const how = verbs[state];
    const attempt = task.run?.attempt ?? task.attempt;
    super(`task ${task.taskId} (${task.type}) ${how} after attempt ${attempt}: ${failure.message}`, {
      cause: causeOf(failure),
    });
    this.taskId = task.taskId;
    this.state = state;
    this.attempt = attempt;
    this.failure = failure;
  }
}

/** @throws TaskFailedError unless it completed. */
export function outputOf(task: EndedTask): unknown {
  if (task.state === "completed") return task.output;
  throw new TaskFailedError(task, task.state);
}

function causeOf({ type, message, stack }: Failure): Error {
  const cause = new Error(message);
  cause.name = type;
  // Where it was thrown, on the agent; not where it was read.
  cause.stack = stack ?? `${type}: ${message}`;
  return cause;
}
