/** Consolidated memories, one key each. Their ids come from producers and may be any text. */

import type { BucketEntry } from "perdure/bridges";
import { type MemoryRecord as Memory, MemoryRecord } from "./consolidation-rules.js";
import type { StateBucket } from "./state-bucket.js";

export class MemoryStore {
  readonly #bucket: StateBucket;

  constructor(bucket: StateBucket) {
    this.#bucket = bucket;
  }

  read(memoryId: string): Promise<BucketEntry<Memory>> {
    return this.#bucket.read(keyOf(memoryId), MemoryRecord);
  }

  write(memory: Memory, revision: number): Promise<"written" | "lostRace"> {
    return this.#bucket.write(keyOf(memory.memoryId), memory, revision);
  }
}

/** Readable where it can be; the first letter keeps the two kinds apart. */
function keyOf(memoryId: string): string {
  return /^[A-Za-z0-9_-]{1,128}$/.test(memoryId)
    ? `memory.i-${memoryId}`
    : `memory.x-${Buffer.from(memoryId).toString("base64url")}`;
}
