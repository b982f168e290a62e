/** Waits for a workflow's end, and says what happens in its runs meanwhile, or what they wait for. */
import type { RunHandle } from "../client/run-handle.js";
import type { EndedTask } from "../client/task-outcome.js";
import type { HistoryEvent, HistoryEventType } from "../protocol/history-event.js";
import { eventText } from "./history-text.js";
import { say } from "./messages.js";

const LOOK_MS = 500;
/** Without news for that long, people want to know what it waits for. */
const QUIET_MS = 2_000;

export interface FollowOptions {
  readonly timeoutMs: number | undefined;
  /** Ends the watching, not the workflow. */
  readonly signal: AbortSignal;
}

/** @throws PerdureError REQUEST_TIMED_OUT when `timeoutMs` passes, the signal's reason when it aborts; the run goes on */
export async function followRun(handle: RunHandle, { timeoutMs, signal }: FollowOptions): Promise<EndedTask> {
  const teller = new Teller(handle);
  // Only for looking on: the wait itself reports what is wrong.
  const timer = setInterval(() => void teller.look().catch(() => undefined), LOOK_MS);
  try {
    const ended = await handle.wait(timeoutMs === undefined ? { signal } : { timeoutMs, signal });
    await teller.look().catch(() => undefined);
    return ended;
  } finally {
    clearInterval(timer);
  }
}

const ends: ReadonlySet<string> = new Set<HistoryEventType>([
  "WorkflowExecutionCompleted",
  "WorkflowExecutionFailed",
  "WorkflowExecutionCanceled",
  "WorkflowExecutionTerminated",
  "WorkflowExecutionTimedOut",
]);

/** What the caller says anyway, unless another run follows. */
const isEnd = (event: HistoryEvent): boolean =>
  ends.has(event.type) && !("newRunId" in event && event.newRunId !== undefined);

/** Says each event once, and each reason once as long as nothing happens. */
class Teller {
  readonly #handle: RunHandle;
  #runId: string | null = null;
  #told = 0;
  #toldAt = performance.now();
  #reason = "";
  #looking: Promise<void> | null = null;

  constructor(handle: RunHandle) {
    this.#handle = handle;
  }

  /** One look at a time: a slow one is waited for. */
  async look(): Promise<void> {
    await this.#looking?.catch(() => undefined);
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const { run, state, reason = "", endedAt } = await this.#handle.describe();
    if (run !== undefined && run.runId !== this.#runId) {
      // A chain goes on with another run, whose history begins anew; the old one's end is still to be told.
      if (this.#runId !== null) await this.#tellEvents(this.#runId);
      this.#runId = run.runId;
      this.#told = 0;
    }
    if (run !== undefined && run.historyLength > this.#told) await this.#tellEvents(run.runId);
    if (endedAt !== undefined || performance.now() - this.#toldAt < QUIET_MS) return;
    // Sentences that count seconds are the same sentence.
    const sentence = reason.replace(/[\d.]+ s\b/g, "");
    if (sentence !== this.#reason) say(`workflow ${this.#handle.workflowId} is ${state}: ${reason}`);
    this.#reason = sentence;
  }

  async #tellEvents(runId: string): Promise<void> {
    const events = await this.#handle.history({ runId, afterEventId: this.#told });
    // What a reset has copied was told of the run that it was copied from.
    const resetAt = events.findLastIndex(({ type }) => type === "WorkflowTaskFailed");
    for (const event of events.slice(Math.max(resetAt, 0))) {
      const text = isEnd(event) ? null : eventText(event);
      if (text !== null) say(text);
      this.#toldAt = performance.now();
      this.#reason = "";
    }
    this.#told = events.at(-1)?.eventId ?? this.#told;
  }
}
