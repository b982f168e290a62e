/** The timers of a run, soonest first. Derived from its record and kept in step with it: a run may have thousands. */
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunRecord } from "../../protocol/run-record.js";
import { LazyHeap } from "../../scheduler/lazy-heap.js";

interface Timer {
  readonly seq: number;
  readonly fireAt: number;
}

export class RunTimers {
  readonly #record: RunRecord;
  /** Timers whose firing waits for its place in the history. */
  readonly #fired = new Set<number>();
  readonly #heap = new LazyHeap<Timer>({
    before: (a, b) => a.fireAt < b.fireAt || (a.fireAt === b.fireAt && a.seq < b.seq),
    isAlive: ({ seq, fireAt }) => this.#record.timers[seq] === fireAt && !this.#fired.has(seq),
  });

  constructor(record: RunRecord) {
    this.#record = record;
    for (const event of record.buffered) this.noteBuffered(event);
    for (const seq in record.timers) this.#heap.push({ seq: Number(seq), fireAt: record.timers[seq] ?? 0 });
  }

  /** When the next one fires. */
  get nextAt(): number | null {
    return this.#heap.peek()?.fireAt ?? null;
  }

  /** Takes out those that are due, in the order in which they fire. */
  takeDue(at: number): number[] {
    const due: number[] = [];
    for (let next = this.#heap.peek(); next !== undefined && next.fireAt <= at; next = this.#heap.peek()) {
      this.#heap.pop();
      due.push(next.seq);
    }
    return due;
  }

  /** An event of the history that the record has taken up. */
  note(event: NewHistoryEvent): void {
    if (event.type === "TimerStarted") this.#heap.push(event);
    else if (event.type === "TimerCanceled") this.#heap.noteDeath();
  }

  noteBuffered(event: NewHistoryEvent): void {
    if (event.type === "TimerFired") this.#fired.add(event.seq);
  }
}
