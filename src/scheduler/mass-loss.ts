/**
 * Holds back when most agents fall silent at once: then it is likelier that their observer hears nothing than that all
 * of them are gone, and giving all their work to the few that are left would be the greater harm.
 *
 * Agents are suspected together when at least three of them, and more than half of the active ones, are lost or silent
 * within one lost threshold. From when the first would be declared lost they are held: nothing is given to them and
 * nothing taken from them. That ends when enough of them are heard again, or when nothing has changed for three lost
 * thresholds; then they are given up, one a second.
 */

/** Fewer than these may well be gone at once: two on one machine. */
const SUSPECTS_MIN = 3;
/** In lost thresholds: how long they are held. */
const HELD_THRESHOLDS = 3;
/** Between two that are given up after that. */
const RELEASE_INTERVAL_MS = 1_000;

export interface Silence {
  /** Agents that were not heard of for a while, but for those declared lost. */
  readonly silentCount: number;
  /** Those of them that have been silent for the lost threshold. */
  readonly overdueCount: number;
  /** Agents with work or a sign of life lately, silent ones included. */
  readonly activeCount: number;
}

export class MassLoss {
  readonly #lostThresholdMs: number;
  /** When agents were declared lost, within one lost threshold; oldest first. */
  #losses: number[] = [];
  #isLooming = false;
  #heldSince: number | null = null;
  #releasedAt = Number.NEGATIVE_INFINITY;

  constructor(lostThresholdMs: number) {
    this.#lostThresholdMs = lostThresholdMs;
  }

  /** Whether most agents are silent, though none of them may be overdue yet. */
  get isLooming(): boolean {
    return this.#isLooming;
  }

  /** Whether agents are held, or given up one by one. */
  get isSuspected(): boolean {
    return this.#heldSince !== null;
  }

  /** Looks at the agents as they are now, on the monotonic clock. What is said here holds until the next look. */
  observe({ silentCount, overdueCount, activeCount }: Silence, monotonicNow: number): void {
    // Those that are given up one by one belong together, however long that takes.
    if (this.#heldSince === null) {
      this.#losses = this.#losses.filter((lostAt) => monotonicNow - lostAt < this.#lostThresholdMs);
    }
    const lostCount = this.#losses.length;
    const suspects = lostCount + silentCount;
    this.#isLooming = silentCount > 0 && suspects >= SUSPECTS_MIN && suspects * 2 > activeCount + lostCount;
    if (!this.#isLooming) this.#heldSince = null;
    else if (overdueCount > 0) this.#heldSince ??= monotonicNow;
  }

  /** Whether one overdue agent may be declared lost now; if so, it counts as lost. */
  mayLose(monotonicNow: number): boolean {
    if (this.#heldSince !== null) {
      const isHeld = monotonicNow - this.#heldSince < HELD_THRESHOLDS * this.#lostThresholdMs;
      if (isHeld || monotonicNow - this.#releasedAt < RELEASE_INTERVAL_MS) return false;
      this.#releasedAt = monotonicNow;
    }
    this.#losses.push(monotonicNow);
    return true;
  }
}
