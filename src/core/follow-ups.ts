import type { TaskEvent } from "../machines/task.machine.js";
import type { RunId, TaskId, WorkflowId } from "../protocol/ids.js";

/** Work that follows from a commit and is done as a decision of its own, so that no decision grows without bound. */
export type FollowUp =
  /** A task, child or signal that a run's history asks for. */
  | { readonly kind: "carryOut"; readonly workflowId: WorkflowId; readonly runId: RunId; readonly seq: number }
  /** An activity whose run has closed, or a child whose parent has. */
  | { readonly kind: "release"; readonly taskId: TaskId }
  | { readonly kind: "settleDependent"; readonly taskId: TaskId; readonly dependencyId: TaskId }
  | { readonly kind: "moveTask"; readonly taskId: TaskId; readonly token: string; readonly event: TaskEvent };

/** Those that are left to do, in the order in which they came up. */
export class FollowUps {
  readonly #waiting: FollowUp[] = [];
  #index = 0;

  add(followUp: FollowUp): void {
    this.#waiting.push(followUp);
  }

  take(): FollowUp | undefined {
    const next = this.#waiting[this.#index];
    if (next === undefined) return undefined;
    this.#index += 1;
    if (this.#index === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#index = 0;
    }
    return next;
  }
}
