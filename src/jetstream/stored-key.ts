import { PerdureError } from "../errors.js";
import { decodeJson } from "../protocol/decode.js";
import { storageError } from "./api-error.js";
import { streamOfBucket, subjectOfKey } from "./bucket-names.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";

/** A key of a bucket as its leader has it. */
export interface StoredKey {
  /** Null after a deletion whose tombstone is still there. */
  readonly value: unknown;
  /** What the next write must expect. */
  readonly revision: number;
}

/** Marks a deletion, as `nats kv` writes and reads it. */
export const OPERATION_HEADER = "KV-Operation";
export const OPERATION_DELETE = "DEL";

/**
 * Reads a key from the stream's leader, never from a replica that may lag. Null if there is none.
 * @throws PerdureError as storageError; STORE_DAMAGED if the value is not JSON.
 */
export async function readKey(connection: Connection, bucket: string, key: string): Promise<StoredKey | null> {
  const stored = await lastMessage(
    connection,
    streamOfBucket(bucket),
    subjectOfKey(bucket, key),
    `read ${bucket}/${key}`,
  );
  if (stored === null) return null;
  if (stored.header(OPERATION_HEADER) !== undefined) return { value: null, revision: stored.sequence };
  const decoded = decodeJson(stored.data);
  if (!decoded.ok) throw damagedRecord(bucket, key, stored.sequence, decoded.failure.message);
  return { value: decoded.value, revision: stored.sequence };
}

export interface LastMessage {
  readonly sequence: number;
  readonly data: Uint8Array;
  header(name: string): string | undefined;
}

/** The last message of a subject, from the stream's leader. */
export async function lastMessage(
  connection: Connection,
  stream: string,
  subject: string,
  doing: string,
): Promise<LastMessage | null> {
  const { streams } = await managerOf(connection);
  try {
    const stored = await streams.getMessage(stream, { last_by_subj: subject });
    if (stored === null) return null;
    const { header, data, seq } = stored;
    return { sequence: seq, data, header: (name) => header.get(name) || undefined };
  } catch (error) {
    throw storageError(error, doing);
  }
}

export function damagedRecord(bucket: string, key: string, revision: number, reason: string): PerdureError {
  return new PerdureError(
    "STORE_DAMAGED",
    `Record ${key} of bucket ${bucket} (revision ${revision}) ${reason}. Look at it with \`nats kv get ${bucket} ${key}\`; the journal may still have what it was made from.`,
    { details: { bucket, key, revision } },
  );
}
