/** What a run waits for by the clock. Absolute instants from its record, so a restart changes none. */
import { closedRunStates, type RunRecord } from "../../protocol/run-record.js";

export interface RunDeadline {
  readonly at: number;
  readonly kind: "timer" | "runTimeout" | "stuckRetry" | "firstActivation";
}

/** The earliest one; where two fall together, the one that ends more goes first. */
export function nextRunDeadline(run: RunRecord): RunDeadline | null {
  if (closedRunStates.has(run.state)) return null;
  let next: RunDeadline | null = null;
  const consider = (at: number | null, kind: RunDeadline["kind"]): void => {
    if (at !== null && (next === null || at < next.at)) next = { at, kind };
  };
  consider(run.runDeadlineAt, "runTimeout");
  consider(run.notBefore, "firstActivation");
  if (run.stuck !== null) consider(run.stuck.retryAt, "stuckRetry");
  for (const seq in run.timers) {
    if (!hasFired(run, Number(seq))) consider(run.timers[seq] ?? null, "timer");
  }
  return next;
}

/** Whether a timer's firing waits for its place in the history. */
export function hasFired({ buffered }: RunRecord, seq: number): boolean {
  return buffered.some((event) => {
    const waiting = event as { readonly type: string; readonly seq?: number };
    return waiting.type === "TimerFired" && waiting.seq === seq;
  });
}
