/**
 * What the brains remember together, in a bucket on the server: a key is written only by whoever has read what it holds, so
 * two brains that are active for a moment never undo each other's writes.
 */
import { PerdureError } from "perdure";
import type { Fleet } from "perdure/bridges";
import { z } from "zod";
import { memoryBucket } from "./topology.js";

export interface Remembered<T> {
  /** Undefined where nothing is remembered. */
  readonly value: T | undefined;
  /** To be given with the next write. */
  readonly revision: number;
}

const WRONG_LAST_SEQUENCE = 10_071;

export class Memory {
  readonly #fleet: Fleet;
  readonly #bucket: string;

  constructor(fleet: Fleet, namespace: string) {
    this.#fleet = fleet;
    this.#bucket = memoryBucket(namespace);
  }

  async read<S extends z.ZodType>(key: string, schema: S): Promise<Remembered<z.infer<S>>> {
    const last = await this.#fleet.last(`KV_${this.#bucket}`, this.#subject(key), z.unknown());
    if (last?.stored === undefined) return { value: undefined, revision: 0 };
    return { value: schema.parse(last.body), revision: last.stored.sequence };
  }

  /** False where somebody else has written since `revision` was read; nothing is changed then. */
  async write(key: string, value: unknown, revision: number): Promise<boolean> {
    try {
      const headers = { "Nats-Expected-Last-Subject-Sequence": String(revision) };
      await this.#fleet.publish(this.#subject(key), value, { headers });
      return true;
    } catch (fault) {
      if (fault instanceof PerdureError && fault.details?.["apiCode"] === WRONG_LAST_SEQUENCE) return false;
      throw fault;
    }
  }

  /** Repeats until nobody wrote in between. `change` may give what it was given, and nothing is written then. */
  async update<S extends z.ZodType>(
    key: string,
    schema: S,
    change: (value: z.infer<S> | undefined) => z.infer<S> | undefined,
  ): Promise<void> {
    for (;;) {
      const { value, revision } = await this.read(key, schema);
      const changed = change(value);
      if (changed === value || (await this.write(key, changed, revision))) return;
    }
  }

  /** Calls back with what is written to keys that match from now on. Returns what ends it. */
  watch<S extends z.ZodType>(keys: string, schema: S, listener: (value: z.infer<S>) => void): () => void {
    const subscription = this.#fleet.listen(this.#subject(keys), schema, ({ body }) => listener(body));
    return () => subscription.unsubscribe();
  }

  #subject(key: string): string {
    return `$KV.${this.#bucket}.${key}`;
  }
}
