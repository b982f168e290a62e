/** Waits for a run's end, and says what happens in it meanwhile. */
import type { RunHandle } from "../client/run-handle.js";
import type { EndedTask } from "../client/task-outcome.js";
import { eventText } from "./history-text.js";
import { say } from "./messages.js";

const LOOK_MS = 500;

/** @throws PerdureError REQUEST_TIMED_OUT when `timeoutMs` passes; the run goes on */
export async function followRun(handle: RunHandle, timeoutMs: number | undefined): Promise<EndedTask> {
  let told = 0;
  let runId = "";
  const tell = async (): Promise<void> => {
    const { run } = await handle.describe();
    if (run === undefined) return;
    // A chain goes on with another run, whose history begins anew.
    if (run.runId !== runId) told = 0;
    ({ runId } = run);
    if (run.historyLength === told) return;
    const events = await handle.history({ runId });
    for (const event of events.slice(told)) {
      const text = eventText(event);
      if (text !== null) say(text);
    }
    told = events.length;
  };
  // Only for looking on: the wait itself reports what is wrong.
  const timer = setInterval(() => void tell().catch(() => undefined), LOOK_MS);
  try {
    return await handle.wait(timeoutMs === undefined ? {} : { timeoutMs });
  } finally {
    clearInterval(timer);
  }
}
