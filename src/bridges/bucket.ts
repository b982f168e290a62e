/**
 * A KV bucket as members of a fleet share it: JSON values of one schema, written only onto the revision that was read, so
 * that of two writers one loses the race and looks again. `defineTopology` declares the bucket.
 */
import { PerdureError } from "../errors.js";
import { streamOfBucket, subjectOfKey } from "../jetstream/bucket-names.js";
import type { Connection, Subscription } from "../jetstream/connection.js";
import { lastMessage } from "../jetstream/stream-access.js";
import type { Schema } from "../workflow/standard-schema.js";
import { decodeBody } from "./foreign-body.js";
import { publishOnto } from "./guarded-publish.js";

export interface BucketEntry<T> {
  /** Undefined where there is none, or it was deleted. */
  readonly value: T | undefined;
  /** Of the key; 0 where it was never written. */
  readonly revision: number;
}

/** Keys are as NATS has them: letters, digits and `-_=/.`, no dot at either end. */
export interface Bucket<T> {
  /** By the leader of the stream, so never stale. @throws PerdureError STORE_DAMAGED for a value that does not fit the schema */
  get(key: string): Promise<BucketEntry<T>>;
  /** Writes onto the revision that was read; `lostRace` where somebody else has written since, and nothing is changed then. */
  put(key: string, value: T, expectedRevision: number): Promise<{ readonly revision: number } | "lostRace">;
  /**
   * Reads, changes and writes until nobody wrote in between, and resolves with what is there then. `change` may be called
   * again; what it gives back unchanged (`===`), or undefined, is not written.
   */
  update(key: string, change: (value: T | undefined) => T | undefined): Promise<T | undefined>;
  /** Hears what is written from now on to keys of this pattern (`*`, `>`), as long as the connection holds. */
  watch(keys: string, listener: (value: T) => void): Subscription;
}

const KEY = /^[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*$/;

export function bucketOf<T>(connection: Connection, name: string, schema: Schema<unknown, T>): Bucket<T> {
  const subjectOf = (key: string): string => {
    if (KEY.test(key)) return subjectOfKey(name, key);
    throw new PerdureError("INVALID_ID", `"${key}" cannot be a key of bucket ${name}; nothing was read or written.`, {
      details: { bucket: name, key },
    });
  };

  const bucket: Bucket<T> = {
    async get(key) {
      const message = await lastMessage(connection, streamOfBucket(name), subjectOf(key));
      if (message === undefined) return { value: undefined, revision: 0 };
      const { sequence: revision, headers, data } = message;
      // A deletion leaves a marker, and the next value comes behind it.
      if ("KV-Operation" in headers) return { value: undefined, revision };
      const body = decodeBody(schema, data);
      if (body.ok) return { value: body.value, revision };
      throw new PerdureError(
        "STORE_DAMAGED",
        `Key ${key} of bucket ${name} ${body.reason}; it was left as it is. Somebody else writes there, or it is of another version.`,
        { details: { bucket: name, key, revision } },
      );
    },

    async put(key, value, expectedRevision) {
      const written = await publishOnto(connection, subjectOf(key), JSON.stringify(value), expectedRevision);
      return typeof written === "string" ? "lostRace" : { revision: written.sequence };
    },

    async update(key, change) {
      for (;;) {
        const { value, revision } = await bucket.get(key);
        const changed = change(value);
        if (changed === value || changed === undefined) return value;
        if ((await bucket.put(key, changed, revision)) !== "lostRace") return changed;
      }
    },

    watch: (keys, listener) =>
      connection.subscribe(subjectOfKey(name, keys), ({ data }) => {
        const body = decodeBody(schema, data);
        if (body.ok) listener(body.value);
      }),
  };
  return bucket;
}
