/**
 * Gets rid of the tombstones in the bucket of live tasks, for good.
 *
 * A deletion there is safe only as long as its tombstone is kept: with that gone, a server that is killed may bring the
 * deleted record back (jetstream/record-store.ts), and its task would run a second time. So beyond so many
 * tombstones every live record is written anew; when the last one is, the checkpoint says that older ones do not
 * count; and only then is what lies before them purged.
 *
 * A crash in between leaves some records newer than they need be, or a purge that is not done: the next sweep does it.
 */
import type { Ledger } from "../core/ledger.js";
import type { TaskId } from "../protocol/ids.js";

/** The bucket as this class needs it. */
export interface SweptBucket {
  readonly tombstones: number;
  beginSweep(): void;
  endSweep(signal: AbortSignal): Promise<void>;
}

export interface LiveSweepOptions {
  readonly bucket: SweptBucket;
  readonly ledger: Ledger;
  /** Task ids with a key in the bucket. */
  readonly liveKeys: ReadonlySet<TaskId>;
  /** Of the last checkpoint. */
  readonly liveFrom: number;
}

/** A new leader reads them all; and each sweep writes all live records, so where there are many it waits for more. */
const TOMBSTONES_MAX = 5_000;
const TOMBSTONES_PER_RECORD_MAX = 2;

export class LiveSweep {
  readonly #options: LiveSweepOptions;
  /** Where the journal stood when the sweep under way began: everything is written anew at or behind it. */
  #since: number | null = null;
  #liveFrom: number;

  constructor(options: LiveSweepOptions) {
    this.#options = options;
    this.#liveFrom = options.liveFrom;
  }

  /** Marks every live record as changed, at a barrier where the journal stands at `journalSequence`. */
  beginIfDue(journalSequence: number): void {
    const { bucket, ledger, liveKeys } = this.#options;
    const tombstonesMax = Math.max(TOMBSTONES_MAX, TOMBSTONES_PER_RECORD_MAX * liveKeys.size);
    if (this.#since !== null || bucket.tombstones <= tombstonesMax) return;
    bucket.beginSweep();
    this.#since = journalSequence;
    // As if it changed right now, which keeps the list in its order and the checkpoint behind what is not written yet.
    for (const taskId of liveKeys)
      if (!ledger.dirtyTasks.has(taskId)) ledger.dirtyTasks.set(taskId, journalSequence + 1);
  }

  /** From where on live records count, for a checkpoint that is complete up to a flush. */
  liveFromAt(complete: number): number {
    return this.#since !== null && complete > this.#since ? this.#since : this.#liveFrom;
  }

  /** To be called when a checkpoint is on disk. */
  async checkpointed(liveFrom: number, signal: AbortSignal): Promise<void> {
    if (liveFrom === this.#liveFrom) return;
    this.#liveFrom = liveFrom;
    this.#since = null;
    await this.#options.bucket.endSweep(signal);
  }
}
