/**
 * Holds a run to its guarantees by what clients and agents saw, and by nothing that the engine knows of itself. Each
 * breach is a sentence.
 */
import type { TaskAssignment } from "../../src/protocol/agent-message.js";
import type { TaskId } from "../../src/protocol/ids.js";
import type { TaskSubmission, TaskView } from "../../src/protocol/task-message.js";

const ended = new Set(["completed", "failed", "cancelled", "timed_out"]);

/** What the work on one attempt gives; names the attempt, so that a stale result can be told from the right one. */
export const outputOf = (token: string): string => `output of ${token}`;

export class Checker {
  readonly breaches: string[] = [];
  readonly #accepted = new Map<TaskId, TaskSubmission>();
  readonly #ends = new Map<TaskId, TaskView>();
  /** Assignments that some process began to work on, by token: two processes under one id may get the same one. */
  readonly #begun = new Map<string, TaskAssignment>();
  /** Handed back by whichever process had the token; that attempt does not count. */
  readonly #handedBack = new Set<string>();

  get acceptedIds(): readonly TaskId[] {
    return [...this.#accepted.keys()];
  }

  isAccepted(taskId: TaskId): boolean {
    return this.#accepted.has(taskId);
  }

  hasEnded(taskId: TaskId): boolean {
    return this.#ends.has(taskId);
  }

  clientWasAccepted(taskId: TaskId, task: TaskSubmission): void {
    this.#accepted.set(taskId, task);
  }

  clientWasRefused(taskId: string, code: string): void {
    this.#say(`${taskId} was refused with ${code}`);
  }

  clientSaw(view: TaskView): void {
    if (!ended.has(view.state)) {
      const end = this.#ends.get(view.taskId);
      // An answer may be overtaken on its way; only one that was given later contradicts.
      if (end !== undefined && view.attempt > end.attempt) this.#say(`${view.taskId} went on after its end`);
      return;
    }
    const known = this.#ends.get(view.taskId);
    this.#ends.set(view.taskId, view);
    if (known === undefined) return;
    if (known.state !== view.state || known.output !== view.output || known.endedAt !== view.endedAt) {
      this.breaches.push(
        `${view.taskId} ended ${known.state} (${known.output}) and then ${view.state} (${view.output})`,
      );
    }
  }

  agentBegan(assignment: TaskAssignment): void {
    this.#begun.set(assignment.token, assignment);
  }

  agentHandedBack(token: string): void {
    this.#handedBack.add(token);
  }

  /** To be called when everything has come to rest. */
  judge(): readonly string[] {
    for (const [taskId, task] of this.#accepted) {
      const end = this.#ends.get(taskId);
      if (end === undefined) this.#say(`${taskId} was accepted and never ended`);
      else this.#judgeEnd(task, end);
    }
    for (const assignment of this.#begun.values()) this.#judgeAssignment(assignment);
    return this.breaches;
  }

  #judgeEnd(task: TaskSubmission, end: TaskView): void {
    const begun = [...this.#begun.values()].filter(({ taskId }) => taskId === end.taskId);
    const counted = begun.filter(({ token }) => !this.#handedBack.has(token));
    const maximum = task.retry?.maximumAttempts ?? 3;
    if (maximum !== 0 && counted.length > maximum) {
      this.#say(`${end.taskId} was worked on ${counted.length} times; at most ${maximum} were allowed`);
    }
    if (end.state !== "completed") return;
    const source = begun.find(({ token }) => outputOf(token) === end.output);
    if (source === undefined) this.#say(`${end.taskId} completed with ${end.output}, which no agent made for it`);
    const later = counted.find(({ attempt }) => attempt > (source?.attempt ?? 0));
    if (later !== undefined)
      this.#say(`${end.taskId} completed with ${end.output} although ${later.token} was given out`);
  }

  #judgeAssignment({ taskId, attempt, dependencyResults }: TaskAssignment): void {
    const task = this.#accepted.get(taskId);
    if (task === undefined) {
      this.#say(`${taskId} was given to an agent and no client knows of it`);
      return;
    }
    const maximum = task.retry?.maximumAttempts ?? 3;
    if (maximum !== 0 && attempt > maximum) this.#say(`${taskId} began attempt ${attempt} of ${maximum}`);
    for (const dependency of task.dependencies ?? []) {
      const end = this.#ends.get(dependency);
      if (end?.state !== "completed")
        this.#say(`${taskId} began although ${dependency} is ${end?.state ?? "not over"}`);
      else if (dependencyResults[dependency] !== end.output) {
        this.#say(
          `${taskId} began with ${dependencyResults[dependency]} of ${dependency}, whose output is ${end.output}`,
        );
      }
    }
  }

  #say(breach: string): void {
    this.breaches.push(breach);
  }
}
