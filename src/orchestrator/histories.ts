/** Histories of runs as they are asked for: from the bucket, and what memory has and the bucket does not yet. */
import type { RunBook } from "../core/run/run-book.js";
import { PerdureError } from "../errors.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { RunId, WorkflowId } from "../protocol/ids.js";
import { parseMessage } from "../protocol/parse.js";
import { StoredEvents } from "../protocol/stored-record.js";

export interface HistoryBucket {
  loadUnder(prefix: string, signal?: AbortSignal): AsyncIterable<{ readonly key: string; readonly value: unknown }>;
}

export class Histories {
  readonly #bucket: HistoryBucket;
  readonly #runs: RunBook;

  constructor(bucket: HistoryBucket, runs: RunBook) {
    this.#bucket = bucket;
    this.#runs = runs;
  }

  /** Every event of a run, in order, each once. Empty where nothing is kept of it. */
  async read(workflowId: WorkflowId, runId: RunId): Promise<readonly HistoryEvent[]> {
    const inMemory = this.#tail(workflowId, runId);
    if (inMemory[0]?.eventId === 1) return inMemory;
    const byId = new Map<number, HistoryEvent>();
    for await (const { key, value } of this.#bucket.loadUnder(runId)) {
      const parsed = parseMessage(StoredEvents, value);
      if (!parsed.ok) {
        throw new PerdureError(
          "STORE_DAMAGED",
          `the history of run ${runId} of workflow ${workflowId} cannot be read: ${parsed.failure.message} (key ${key})`,
          { details: { workflowId, runId } },
        );
      }
      for (const event of parsed.value) byId.set(event.eventId, event);
    }
    // It may have grown, or been copied, while the bucket was read.
    for (const event of [...inMemory, ...this.#tail(workflowId, runId)]) byId.set(event.eventId, event);
    return [...byId.values()].sort((a, b) => a.eventId - b.eventId);
  }

  #tail(workflowId: WorkflowId, runId: RunId): readonly HistoryEvent[] {
    const run = this.#runs.of(workflowId);
    if (run?.record.runId === runId) return run.tail;
    return this.#runs.superseded.find(({ record }) => record.runId === runId)?.tail ?? [];
  }
}
