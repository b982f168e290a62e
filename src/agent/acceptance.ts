import type { Attempt } from "./attempt.js";

/**
 * An attempt is announced as accepted between one and two of these after its arrival. One that has ended by then is
 * not: its result says as much, and a short task costs one message less.
 */
const ACCEPT_AFTER_MS = 20;

/** Watches young attempts with one timer for all of them. */
export class Acceptance {
  readonly #accept: (attempt: Attempt) => void;
  #arrived: Attempt[] = [];
  #waiting: Attempt[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(accept: (attempt: Attempt) => void) {
    this.#accept = accept;
  }

  watch(attempt: Attempt): void {
    this.#arrived.push(attempt);
    this.#timer ??= setTimeout(() => this.#tick(), ACCEPT_AFTER_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#arrived = [];
    this.#waiting = [];
  }

  #tick(): void {
    const due = this.#waiting;
    this.#waiting = this.#arrived;
    this.#arrived = [];
    for (const attempt of due) if (!attempt.settled) this.#accept(attempt);
    this.#timer = this.#waiting.length === 0 ? null : setTimeout(() => this.#tick(), ACCEPT_AFTER_MS);
  }
}
