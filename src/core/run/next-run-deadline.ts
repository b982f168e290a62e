/** What a run waits for by the clock. Absolute instants from its record, so a restart changes none. */
import { closedRunStates } from "../../protocol/run-record.js";
import type { OpenRun } from "./run-book.js";

export interface RunDeadline {
  readonly at: number;
  readonly kind: "timer" | "runTimeout" | "stuckRetry" | "firstActivation";
}

/** The earliest one; where two fall together, the one that ends more goes first. */
export function nextRunDeadline({ record, timers }: OpenRun): RunDeadline | null {
  if (closedRunStates.has(record.state)) return null;
  let next: RunDeadline | null = null;
  const consider = (at: number | null, kind: RunDeadline["kind"]): void => {
    if (at !== null && (next === null || at < next.at)) next = { at, kind };
  };
  consider(record.runDeadlineAt, "runTimeout");
  consider(record.notBefore, "firstActivation");
  if (record.stuck !== null) consider(record.stuck.retryAt, "stuckRetry");
  consider(timers.nextAt, "timer");
  return next;
}
