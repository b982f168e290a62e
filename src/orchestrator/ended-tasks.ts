/** Ended tasks after they left memory: whether an id may be one, and its record from the bucket. */
import { PerdureError } from "../errors.js";
import type { TaskId } from "../protocol/ids.js";
import { parseMessage } from "../protocol/parse.js";
import { StoredTask } from "../protocol/stored-record.js";
import type { TaskRecord } from "../protocol/task-record.js";
import { EndedIndex } from "./ended-index.js";

/** The bucket as this class needs it. */
export interface EndedBucket {
  get(key: string): Promise<unknown>;
  keys(signal: AbortSignal): AsyncIterable<string>;
}

export class EndedTasks {
  readonly #bucket: EndedBucket;
  readonly #index: EndedIndex;
  /** Until the ids of the bucket have been read, any id may be in it. */
  #isIndexed = false;

  constructor(bucket: EndedBucket, retentionMs: number) {
    this.#bucket = bucket;
    this.#index = new EndedIndex(retentionMs);
  }

  mayHold(taskId: TaskId): boolean {
    return !this.#isIndexed || this.#index.mayHold(taskId);
  }

  /** Notes a task that is about to leave memory. */
  add(taskId: TaskId, endedAt: number): void {
    this.#index.add(taskId, endedAt);
  }

  /**
   * Reads which ids there are, once, behind the leader's back: until then every unknown id costs a read.
   * @param now what they count as ended at, epoch milliseconds: they stay known at least as long as their records
   */
  async readIds(now: number, signal: AbortSignal): Promise<void> {
    for await (const key of this.#bucket.keys(signal)) {
      this.#index.add(key as TaskId, now);
    }
    this.#isIndexed = true;
  }

  async get(taskId: TaskId): Promise<TaskRecord | null> {
    const value = await this.#bucket.get(taskId);
    if (value === null || value === undefined) return null;
    const parsed = parseMessage(StoredTask, value);
    if (!parsed.ok) {
      throw new PerdureError(
        "STORE_DAMAGED",
        `the record of ended task ${taskId} cannot be read: ${parsed.failure.message}`,
        {
          details: { taskId },
        },
      );
    }
    return parsed.value.record;
  }

  /** Those of the ids that are ended tasks. */
  async getAll(taskIds: readonly TaskId[]): Promise<Map<TaskId, TaskRecord>> {
    const found = new Map<TaskId, TaskRecord>();
    await Promise.all(
      [...new Set(taskIds)].map(async (taskId) => {
        const record = await this.get(taskId);
        if (record !== null) found.set(taskId, record);
      }),
    );
    return found;
  }
}
