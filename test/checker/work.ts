/** What an agent does with a task: the same for every agent of a run, whatever it is written with. */
import type { Output, WorkOrder } from "./history.js";

export type Outcome =
  | { readonly status: "completed"; readonly output: Output }
  | { readonly status: "failed"; readonly error: { type: string; message: string; nonRetryable?: boolean } };

/** After how long an attempt ends by itself, null for never; and what it comes to. */
export function workOn(
  order: WorkOrder,
  attempt: Output,
): { readonly afterMs: number | null; readonly outcome: Outcome } {
  const { taskId, attempt: number, token } = attempt;
  const afterMs = order.do === "hang" ? null : order.ms;
  if (order.do === "fatal") {
    return { afterMs, outcome: failed({ type: "Fatal", message: "never again", nonRetryable: true }) };
  }
  if (number <= order.failures) {
    const type = order.do === "broken" ? "Broken" : "Flaky";
    return { afterMs, outcome: failed({ type, message: `attempt ${number} fails as ordered` }) };
  }
  return { afterMs, outcome: { status: "completed", output: { taskId, attempt: number, token } } };
}

const failed = (error: Extract<Outcome, { status: "failed" }>["error"]): Outcome => ({ status: "failed", error });
