/** Whether a run takes one more signal: each id is kept with it, to know a signal that is sent again. */
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import { jsonBytes } from "../../protocol/json-bytes.js";
import { SIGNAL_ID_BYTES_MAX, SIGNALS_MAX } from "../../protocol/limits.js";
import type { OpenRun } from "./run-book.js";

export function takesSignal({ record, signalIdBytes: used }: OpenRun, signalId: string): boolean {
  const waiting = record.buffered.filter(({ type }) => type === "WorkflowExecutionSignaled").length;
  return record.signalCount + waiting < SIGNALS_MAX && used + idBytes(signalId) <= SIGNAL_ID_BYTES_MAX;
}

/** What an event's signal id takes in the run's record. */
export function signalIdBytes(event: NewHistoryEvent): number {
  return event.type === "WorkflowExecutionSignaled" ? idBytes(event.signalId) : 0;
}

/** In the record it is a key with a colon, a digit and a comma. */
export const idBytes = (signalId: string): number => jsonBytes(signalId) + 3;
