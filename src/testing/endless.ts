/** Notices workflows that go on for ever at one instant: the clock of a test would never move again. */
import { PerdureError } from "../errors.js";
import type { RunFact } from "../protocol/fact.js";
import type { WorkflowId } from "../protocol/ids.js";

/** Far more than any chain has reason to begin without waiting, and few enough to be told of within a second. */
const RUNS_OF_ONE_CHAIN_MAX = 1_000;
/** Of all workflows together: children that start children, say. */
const RUNS_MAX = 100_000;

export class Endless {
  #at = Number.NaN;
  readonly #runs = new Map<WorkflowId, number>();
  #total = 0;
  #found: PerdureError | null = null;

  /** Notes a run that begins. */
  note({ run: { spec, runId } }: Extract<RunFact, { type: "RunStarted" }>, now: number): void {
    if (now !== this.#at) {
      this.#at = now;
      this.#runs.clear();
      this.#total = 0;
    }
    const { workflowId, workflowType } = spec;
    const count = (this.#runs.get(workflowId) ?? 0) + 1;
    this.#runs.set(workflowId, count);
    this.#total += 1;
    const clock = `while the clock of this test environment stood at ${new Date(now).toISOString()}`;
    if (count > RUNS_OF_ONE_CHAIN_MAX) {
      this.#find(
        `workflow ${workflowId} ("${workflowType}") continued as new ${count - 1} times ${clock}, and was about to go on in run ${runId}. Its code has to wait for something in between (ctx.sleep, ctx.condition, a signal), or to end.`,
        { workflowId, runId },
      );
    } else if (this.#total > RUNS_MAX) {
      this.#find(
        `${this.#total - 1} runs of workflows began ${clock}; the last are of "${workflowType}". Do they start each other for ever?`,
        { workflowId, runId },
      );
    }
  }

  /** @throws PerdureError REQUEST_TIMED_OUT, from then on each time */
  mustEnd(): void {
    if (this.#found !== null) throw this.#found;
  }

  #find(what: string, details: Readonly<Record<string, unknown>>): void {
    this.#found ??= new PerdureError("REQUEST_TIMED_OUT", `${what} Nothing more is done in this test environment.`, {
      details,
    });
  }
}
