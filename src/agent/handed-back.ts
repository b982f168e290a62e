/**
 * Tasks this agent hands back without having run them to an end (`released`, which counts no attempt).
 *
 * A status is fire and forget, and a lost one would leave the task with an agent that does not work on it. So each is
 * repeated with every heartbeat, which names its token too, until the reply says that the token is not ours any more.
 */
import type { TaskAssignment } from "../protocol/agent-message.js";

export type HandedBackTask = Pick<TaskAssignment, "taskId" | "token">;

/** More than this wait only where an orchestrator never answers; the oldest are then left to its time-outs. */
const HANDED_BACK_MAX = 1_000;

export class HandedBack {
  readonly #report: (task: HandedBackTask) => void;
  readonly #unconfirmed = new Map<string, HandedBackTask>();

  constructor(report: (task: HandedBackTask) => void) {
    this.#report = report;
  }

  add(task: HandedBackTask): void {
    this.#unconfirmed.set(task.token, { taskId: task.taskId, token: task.token });
    if (this.#unconfirmed.size > HANDED_BACK_MAX) this.#forgetOldest();
    this.#report(task);
  }

  has(token: string): boolean {
    return this.#unconfirmed.has(token);
  }

  tokens(): Iterable<string> {
    return this.#unconfirmed.keys();
  }

  repeat(): void {
    for (const task of this.#unconfirmed.values()) this.#report(task);
  }

  confirm(token: string): void {
    this.#unconfirmed.delete(token);
  }

  #forgetOldest(): void {
    const oldest = this.#unconfirmed.keys().next();
    if (oldest.done !== true) this.#unconfirmed.delete(oldest.value);
  }
}
