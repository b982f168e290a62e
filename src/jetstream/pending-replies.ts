import { PerdureError } from "../errors.js";

interface PendingReply<M> {
  readonly subject: string;
  readonly dueAt: number;
  readonly lane: Map<string, PendingReply<M>>;
  readonly timeoutMs: number;
  readonly resolve: (message: M) => void;
  readonly reject: (error: Error) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/**
 * Requests that wait for their one answer, by token. All requests of one time-out form a lane, which is in order of
 * its deadlines by construction, so one timer for the earliest head serves any number of requests: a timer each would
 * cost more than the request.
 */
export class PendingReplies<M> {
  readonly #lanes = new Map<number, Map<string, PendingReply<M>>>();
  readonly #byToken = new Map<string, PendingReply<M>>();
  readonly #monotonicNow: () => number;
  #timer: NodeJS.Timeout | undefined;
  #timerDueAt = Number.POSITIVE_INFINITY;

  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow;
  }

  get size(): number {
    return this.#byToken.size;
  }

  wait(token: string, subject: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<M> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(abortError(signal));
        return;
      }
      let lane = this.#lanes.get(timeoutMs);
      if (lane === undefined) {
        lane = new Map();
        this.#lanes.set(timeoutMs, lane);
      }
      const onAbort = signal === undefined ? undefined : () => this.fail(token, abortError(signal));
      if (onAbort !== undefined) signal?.addEventListener("abort", onAbort, { once: true });
      const dueAt = this.#monotonicNow() + timeoutMs;
      const pending = { subject, dueAt, lane, timeoutMs, resolve, reject, signal, onAbort };
      lane.set(token, pending);
      this.#byToken.set(token, pending);
      if (dueAt < this.#timerDueAt) this.#arm(dueAt);
    });
  }

  /** The subject asked, or undefined if nobody waits for this token any more. */
  subjectOf(token: string): string | undefined {
    return this.#byToken.get(token)?.subject;
  }

  /** An answer that nobody waits for any more is dropped. */
  answer(token: string, message: M): void {
    this.#take(token)?.resolve(message);
  }

  fail(token: string, error: Error): void {
    this.#take(token)?.reject(error);
  }

  /** Fails all that were asked on this subject. */
  failSubject(subject: string, error: Error): void {
    for (const [token, pending] of [...this.#byToken]) if (pending.subject === subject) this.fail(token, error);
  }

  failAll(error: Error): void {
    for (const token of [...this.#byToken.keys()]) this.fail(token, error);
    clearTimeout(this.#timer);
    this.#timerDueAt = Number.POSITIVE_INFINITY;
  }

  #take(token: string): PendingReply<M> | undefined {
    const pending = this.#byToken.get(token);
    if (pending === undefined) return undefined;
    this.#byToken.delete(token);
    pending.lane.delete(token);
    if (pending.onAbort !== undefined) pending.signal?.removeEventListener("abort", pending.onAbort);
    return pending;
  }

  #arm(dueAt: number): void {
    clearTimeout(this.#timer);
    this.#timerDueAt = dueAt;
    // In a process that stood still, timers come before sockets: an answer that has arrived is read first, and counts.
    const whenRead = (): void => void setImmediate(() => this.#sweep());
    this.#timer = setTimeout(whenRead, Math.max(1, Math.ceil(dueAt - this.#monotonicNow())));
    // The socket keeps the process alive as long as an answer can come; the timer alone must not.
    this.#timer.unref();
  }

  #sweep(): void {
    this.#timerDueAt = Number.POSITIVE_INFINITY;
    const now = this.#monotonicNow();
    let next = Number.POSITIVE_INFINITY;
    for (const [timeoutMs, lane] of this.#lanes) {
      for (const [token, pending] of lane) {
        if (pending.dueAt > now) {
          next = Math.min(next, pending.dueAt);
          break;
        }
        this.fail(token, timeoutError(pending.subject, pending.timeoutMs));
      }
      if (lane.size === 0) this.#lanes.delete(timeoutMs);
    }
    if (next < this.#timerDueAt) this.#arm(next);
  }
}

function timeoutError(subject: string, timeoutMs: number): PerdureError {
  return new PerdureError(
    "REQUEST_TIMED_OUT",
    `No answer on ${subject} within ${timeoutMs} ms; whether the request was carried out is unknown.`,
    { details: { subject, timeoutMs } },
  );
}

function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error("request aborted", { cause: reason });
}
