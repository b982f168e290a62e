/**
 * What the brains remember together, in a bucket on the server: a key is written only by whoever has read what it holds, so
 * two brains that are active for a moment never undo each other's writes.
 */
import type { BucketEntry, Fleet } from "perdure/bridges";
import { z } from "zod";
import { memoryBucket } from "./topology.js";

export class Memory {
  readonly #fleet: Fleet;
  readonly #bucket: string;

  constructor(fleet: Fleet, namespace: string) {
    this.#fleet = fleet;
    this.#bucket = memoryBucket(namespace);
  }

  read<S extends z.ZodType>(key: string, schema: S): Promise<BucketEntry<z.infer<S>>> {
    return this.#fleet.bucket<z.infer<S>>(this.#bucket, schema).get(key);
  }

  /** False where somebody else has written since `revision` was read; nothing is changed then. */
  async write(key: string, value: unknown, revision: number): Promise<boolean> {
    return (await this.#fleet.bucket(this.#bucket, z.unknown()).put(key, value, revision)) !== "lostRace";
  }

  /** Repeats until nobody wrote in between. `change` may give what it was given, and nothing is written then. */
  async update<S extends z.ZodType>(
    key: string,
    schema: S,
    change: (value: z.infer<S> | undefined) => z.infer<S> | undefined,
  ): Promise<void> {
    await this.#fleet.bucket<z.infer<S>>(this.#bucket, schema).update(key, change);
  }

  /** Calls back with what is written to keys that match from now on. Returns what ends it. */
  watch<S extends z.ZodType>(keys: string, schema: S, listener: (value: z.infer<S>) => void): () => void {
    const watching = this.#fleet.bucket<z.infer<S>>(this.#bucket, schema).watch(keys, listener);
    return () => watching.unsubscribe();
  }
}
