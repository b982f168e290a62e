/** Consolidated memories, one key each. Their ids come from producers and may be any text. */
import type { BucketEntry } from "perdure/bridges";
import { digestOf } from "./bounded-names.js";
import { type MemoryRecord as Memory, MemoryRecord } from "./consolidation-rules.js";
import type { StateBucket } from "./state-bucket.js";

export class MemoryStore {
  readonly #bucket: StateBucket;
  /** Of each memory that somebody in this process writes, the end of the last one's turn. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(bucket: StateBucket) {
    this.#bucket = bucket;
  }

  read(memoryId: string): Promise<BucketEntry<Memory>> {
    return this.#bucket.read(keyOf(memoryId), MemoryRecord);
  }

  /** Those in this process that change one memory take turns: a hundred that race each other would each lose a hundred times. */
  async inTurn<T>(memoryId: string, change: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(memoryId);
    const turn = (before ?? Promise.resolve()).then(change, change);
    this.#turns.set(memoryId, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(memoryId) === turn) this.#turns.delete(memoryId);
    }
  }

  /** As `StateBucket.change` does it: `change` may be called again, and gives back what it was given where nothing changes. */
  change<Changed extends Memory | undefined>(
    memoryId: string,
    change: (known: Memory | undefined) => Promise<Changed> | Changed,
  ): Promise<Changed> {
    return this.#bucket.change(keyOf(memoryId), MemoryRecord, change);
  }
}

/** The server takes no subject of more than 4,096 bytes, and ends the connection of whoever tries. */
const KEY_LENGTH_MAX = 1_024;

/** Readable where it can be, a digest where it is too long; the first letter keeps the kinds apart. */
function keyOf(memoryId: string): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(memoryId)) return `memory.i-${memoryId}`;
  const encoded = Buffer.from(memoryId).toString("base64url");
  return encoded.length <= KEY_LENGTH_MAX ? `memory.x-${encoded}` : `memory.h-${digestOf(memoryId)}`;
}
