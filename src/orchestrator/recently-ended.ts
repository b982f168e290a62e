/** Ended tasks that stay in memory for whoever asks right after the end: which, and for how long. */
import type { TaskId } from "../protocol/ids.js";

interface Entry {
  readonly taskId: TaskId;
  readonly length: number;
  /** Its stored record expires then; monotonic milliseconds. */
  readonly expiresAt: number;
}

const COUNT_MAX = 10_000;
/** Characters of their records as JSON, all together: outputs may be large. */
const LENGTH_MAX = 32 * 1024 * 1024;

export class RecentlyEnded {
  /** Oldest first. */
  readonly #entries: Entry[] = [];
  #length = 0;

  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#length += entry.length;
  }

  /** Takes out those that are too many, too large together, or expired. */
  takeSurplus(monotonicNow: number): TaskId[] {
    let count = 0;
    for (const { length, expiresAt } of this.#entries) {
      const isSurplus = this.#entries.length - count > COUNT_MAX || this.#length > LENGTH_MAX;
      if (!isSurplus && expiresAt > monotonicNow) break;
      this.#length -= length;
      count += 1;
    }
    return this.#entries.splice(0, count).map(({ taskId }) => taskId);
  }
}
