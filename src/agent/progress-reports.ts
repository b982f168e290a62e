/** Least time between two progress reports of one attempt, so that a tight loop does not flood the orchestrator. */
const PROGRESS_INTERVAL_MS = 100;

/** Thins out the progress of one attempt: the first value goes at once, then the latest one each interval. */
export class ProgressReports {
  readonly #send: (progress: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  /** Boxed, because any value is a progress, undefined included. */
  #waiting: { readonly progress: unknown } | null = null;

  constructor(send: (progress: unknown) => void) {
    this.#send = send;
  }

  report(progress: unknown): void {
    if (this.#timer !== null) {
      this.#waiting = { progress };
      return;
    }
    this.#send(progress);
    this.#timer = setTimeout(() => this.#sendWaiting(), PROGRESS_INTERVAL_MS);
  }

  /** A value still waiting is sent: the next attempt goes on from there. */
  flush(): void {
    const waiting = this.#waiting;
    this.stop();
    if (waiting !== null) this.#send(waiting.progress);
  }

  /** A value still waiting is dropped: the result says more. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = null;
  }

  #sendWaiting(): void {
    this.#timer = null;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    this.report(waiting.progress);
  }
}
