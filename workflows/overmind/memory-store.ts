/** Consolidated memories, one key each. Their ids come from producers and may be any text. */

import { createHash } from "node:crypto";
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

/** The server takes no subject of more than 4,096 bytes, and ends the connection of whoever tries. */
const KEY_LENGTH_MAX = 1_024;

/** Readable where it can be, a digest where it is too long; the first letter keeps the kinds apart. */
function keyOf(memoryId: string): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(memoryId)) return `memory.i-${memoryId}`;
  const encoded = Buffer.from(memoryId).toString("base64url");
  return encoded.length <= KEY_LENGTH_MAX
    ? `memory.x-${encoded}`
    : `memory.h-${createHash("sha256").update(memoryId).digest("base64url")}`;
}
