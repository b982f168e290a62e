/** Clients that wait for tasks to end: who they are, by task. Kept in memory only; a client whose leader died asks again. */
import type { TaskId } from "../protocol/ids.js";
import type { Respond } from "./release.js";

interface Waiter {
  readonly respond: Respond;
  readonly timer: NodeJS.Timeout;
}

export class Waiters {
  readonly #waiters = new Map<TaskId, Set<Waiter>>();

  /** Calls `answer` with the requester when the task ends or, at the latest, after `timeoutMs`. */
  add(taskId: TaskId, respond: Respond, timeoutMs: number, onTimeout: (respond: Respond) => void): void {
    const waiters = this.#waiters.get(taskId) ?? new Set();
    this.#waiters.set(taskId, waiters);
    const waiter: Waiter = {
      respond,
      timer: setTimeout(() => {
        this.#remove(taskId, waiter);
        onTimeout(respond);
      }, timeoutMs),
    };
    waiters.add(waiter);
  }

  /** Takes out everybody who waits for a task. */
  take(taskId: TaskId): Respond[] {
    const waiters = this.#waiters.get(taskId);
    if (waiters === undefined) return [];
    this.#waiters.delete(taskId);
    return [...waiters].map((waiter) => {
      clearTimeout(waiter.timer);
      return waiter.respond;
    });
  }

  /** Takes out everybody unanswered: they will ask whoever leads next. */
  takeAll(): Respond[] {
    return [...this.#waiters.keys()].flatMap((taskId) => this.take(taskId));
  }

  #remove(taskId: TaskId, waiter: Waiter): void {
    const waiters = this.#waiters.get(taskId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiters.delete(taskId);
  }
}
