/** Runs that a worker has in its memory. The least recently used goes when there are too many; nothing depends on it. */

import type { RunId } from "../protocol/ids.js";
import type { WorkflowRun } from "../workflow/workflow-run.js";

export interface CachedRun {
  readonly run: WorkflowRun;
  /** Of the activation that it answered last; null before the first. */
  token: string | null;
}

export class WorkflowCache {
  readonly #runs = new Map<RunId, CachedRun>();
  readonly #runsMax: number;

  constructor(runsMax: number) {
    this.#runsMax = runsMax;
  }

  get(runId: RunId): CachedRun | undefined {
    return this.#runs.get(runId);
  }

  put(runId: RunId, cached: CachedRun): void {
    this.#runs.delete(runId);
    this.#runs.set(runId, cached);
    if (this.#runs.size <= this.#runsMax) return;
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined) this.#runs.delete(oldest);
  }

  drop(runId: RunId): void {
    this.#runs.delete(runId);
  }
}
