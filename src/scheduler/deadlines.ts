/** All tasks' next deadlines in one heap: what is due now, and when to look again. */
import type { TaskRecord } from "../protocol/task-record.js";
import { LazyHeap } from "./lazy-heap.js";
import { type Deadline, nextDeadline } from "./next-deadline.js";

interface Alarm {
  /** null: dead. One that still lies in the heap must not keep an ended task, and what it carries, in memory. */
  record: TaskRecord | null;
  readonly at: number;
}

/**
 * At most one living alarm a task. An alarm that rings too early (its deadline moved back) is set again when it rings,
 * so that a task which answers in time costs no work here: only an earlier deadline needs a new alarm.
 */
export class Deadlines {
  readonly #alarmOf = new Map<TaskRecord, Alarm>();
  readonly #heap = new LazyHeap<Alarm>({
    before: (a, b) => a.at < b.at,
    isAlive: (alarm) => alarm.record !== null,
  });

  /** Tasks with an alarm. */
  get size(): number {
    return this.#alarmOf.size;
  }

  /** To be called after every change of a task's state or deadlines. */
  update(record: TaskRecord): void {
    const deadline = nextDeadline(record);
    const alarm = this.#alarmOf.get(record);
    if (deadline === null) {
      if (alarm === undefined) return;
      this.#alarmOf.delete(record);
      this.#kill(alarm);
    } else if (alarm === undefined || deadline.at < alarm.at) {
      const earlier: Alarm = { record, at: deadline.at };
      this.#alarmOf.set(record, earlier);
      this.#heap.push(earlier);
      if (alarm !== undefined) this.#kill(alarm);
    }
  }

  /** When to look again, epoch milliseconds; null if nothing is pending. */
  get nextAt(): number | null {
    return this.#heap.peek()?.at ?? null;
  }

  /** Takes out one task whose deadline is due at `now`. */
  takeDue(now: number): { readonly record: TaskRecord; readonly deadline: Deadline } | null {
    for (;;) {
      const alarm = this.#heap.peek();
      if (alarm === undefined || alarm.at > now) return null;
      this.#heap.pop();
      const { record } = alarm;
      if (record === null) continue;
      this.#alarmOf.delete(record);
      const deadline = nextDeadline(record);
      if (deadline === null) continue;
      if (deadline.at <= now) return { record, deadline };
      this.update(record);
    }
  }

  #kill(alarm: Alarm): void {
    alarm.record = null;
    this.#heap.noteDeath();
  }
}
