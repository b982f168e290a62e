/** Everybody's next deadline in one heap: what is due now, and when to look again. */
import { LazyHeap } from "./lazy-heap.js";

interface Alarm<Item> {
  /** null: dead. One that still lies in the heap must not keep what has ended, and what it carries, in memory. */
  item: Item | null;
  readonly at: number;
}

/**
 * At most one living alarm an item. An alarm that rings too early (its deadline moved back) is set again when it rings,
 * so that a task which answers in time costs no work here: only an earlier deadline needs a new alarm.
 */
export class Deadlines<Item, Deadline extends { readonly at: number }> {
  readonly #next: (item: Item) => Deadline | null;
  readonly #alarmOf = new Map<Item, Alarm<Item>>();
  readonly #heap = new LazyHeap<Alarm<Item>>({
    before: (a, b) => a.at < b.at,
    isAlive: (alarm) => alarm.item !== null,
  });

  /** @param next which deadline of an item is the next one, in its present state */
  constructor(next: (item: Item) => Deadline | null) {
    this.#next = next;
  }

  /** Items with an alarm. */
  get size(): number {
    return this.#alarmOf.size;
  }

  /** To be called after every change of an item's state or deadlines. */
  update(item: Item): void {
    const deadline = this.#next(item);
    const alarm = this.#alarmOf.get(item);
    if (deadline === null) {
      if (alarm === undefined) return;
      this.#alarmOf.delete(item);
      this.#kill(alarm);
    } else if (alarm === undefined || deadline.at < alarm.at) {
      const earlier: Alarm<Item> = { item, at: deadline.at };
      this.#alarmOf.set(item, earlier);
      this.#heap.push(earlier);
      if (alarm !== undefined) this.#kill(alarm);
    }
  }

  /** When to look again, epoch milliseconds; null if nothing is pending. */
  get nextAt(): number | null {
    return this.#heap.peek()?.at ?? null;
  }

  /** Takes out one item whose deadline is due at `now`. */
  takeDue(now: number): { readonly item: Item; readonly deadline: Deadline } | null {
    for (;;) {
      const alarm = this.#heap.peek();
      if (alarm === undefined || alarm.at > now) return null;
      this.#heap.pop();
      const { item } = alarm;
      if (item === null) continue;
      this.#alarmOf.delete(item);
      const deadline = this.#next(item);
      if (deadline === null) continue;
      if (deadline.at <= now) return { item, deadline };
      this.update(item);
    }
  }

  #kill(alarm: Alarm<Item>): void {
    alarm.item = null;
    this.#heap.noteDeath();
  }
}
