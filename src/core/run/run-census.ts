/** How many runs are open, by type and state: kept up as runs change, so that asking costs nothing. */
import type { RunState } from "../../protocol/run-record.js";
import { LabelledCounts, Labels } from "../labelled-counts.js";

/** Workflow types with a label of their own. */
const TYPES_MAX = 50;

export const openRunStates = ["running", "stuck"] as const;
export type OpenRunState = (typeof openRunStates)[number];

export class RunCensus {
  readonly #counts: Readonly<Record<OpenRunState, LabelledCounts>> = {
    running: new LabelledCounts(),
    stuck: new LabelledCounts(),
  };
  readonly #types = new Labels(TYPES_MAX);

  /** A run that was in the first state is in the second; null is for one that was not there before. */
  note(workflowType: string, before: RunState | null, now: RunState): void {
    if (before === now) return;
    const label = this.#types.of(workflowType);
    if (isOpen(before)) this.#counts[before].add(label, -1);
    if (isOpen(now)) this.#counts[now].add(label);
  }

  /** By workflow type. A type that had open runs stays, with 0. */
  entries(state: OpenRunState): IterableIterator<[type: string, runs: number]> {
    return this.#counts[state].entries();
  }
}

function isOpen(state: RunState | null): state is OpenRunState {
  return state === "running" || state === "stuck";
}
