import { randomUUID } from "node:crypto";
import type { Logger } from "../logger.js";
import { decodeJson } from "../protocol/decode.js";
import { FENCE_KEY } from "../protocol/topology.js";
import { apiCodes, refusalError } from "./api-error.js";
import { BATCH_MESSAGES_MAX, type BatchMessage, publishBatch } from "./atomic-batch.js";
import { keyOfSubject, streamOfBucket, subjectOfKey } from "./bucket-names.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";
import type { StreamMessage } from "./ordered-reader.js";
import { readToEnd } from "./read-to-end.js";
import { askUntilAnswered, type SendOptions, sendUntilAnswered } from "./send-until-answered.js";
import { damagedRecord, OPERATION_DELETE, OPERATION_HEADER, readKey } from "./stored-key.js";
import { ttlHeader } from "./ttl-header.js";

/**
 * One KV bucket of records, written by the leader alone, from what the journal says; `nats kv` reads it.
 *
 * Every write is an atomic batch that begins with the key `_fence` under its expected sequence. A new leader rewrites
 * the fence before it loads: from then on each batch of an older leader is refused whole, also one that was sent before
 * and arrives late. The fence's value names its holder and counts its writes, so a leader whose acknowledgement was lost
 * recognises its own batch.
 *
 * A crash between two batches of one `write` leaves the first applied. The journal still has all of it, and the next
 * leader writes it again.
 *
 * A deleted key leaves a tombstone, and that never expires. With the last message of a subject gone, by expiry or by
 * purge, a server that is killed may bring back the one before it: what was overwritten is not noted as deleted on disk,
 * only the later message shows that it was (seen with 2.15, each time for what expired). So tombstones are purged only
 * when every record that counts was written anew behind them, and whoever reads knows from where on they count:
 * orchestrator/live-sweep.ts.
 */
export interface RecordStoreOptions {
  readonly bucket: string;
  readonly logger: Logger;
}

export interface RecordChange {
  /** Once in a `write` at most. */
  readonly key: string;
  /** JSON; null deletes the key. */
  readonly value: Uint8Array | string | null;
  /** After this the record expires by itself; rounded up to whole seconds. */
  readonly ttlMs?: number;
}

export type WriteOutcome =
  | { readonly outcome: "written" }
  /** Another leader took the fence: nothing of the batch was written. */
  | { readonly outcome: "fenced"; readonly holderId: string };

export interface StoredRecord {
  readonly key: string;
  /** Parsed JSON, not yet held against a schema. */
  readonly value: unknown;
  readonly revision: number;
}

/** What the fence says: who wrote last, and how manieth write of that holder it was. */
interface FenceValue {
  readonly holderId: string;
  readonly write: number;
}

/** A batch is held in memory by client and server until it commits. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

export class RecordStore {
  readonly #connection: Connection;
  readonly #bucket: string;
  readonly #logger: Logger;
  readonly #holderId = randomUUID();
  #fenceRevision = 0;
  #writeCount = 0;
  /** As many as the stream holds, or a few more: a key that comes back and goes again is counted twice. */
  #tombstones = 0;
  #tombstonesBehindFence = 0;
  #sweep = { fenceRevision: 0, tombstones: 0 };
  #state: "unfenced" | "idle" | "writing" | "fenced" = "unfenced";

  constructor(connection: Connection, options: RecordStoreOptions) {
    this.#connection = connection;
    this.#bucket = options.bucket;
    this.#logger = options.logger;
  }

  /**
   * Makes this the only store whose writes are taken, until another takes the fence.
   * @throws PerdureError STORAGE_FULL and other refusals; CONNECTION_FAILED; the signal's reason.
   */
  async takeFence(signal?: AbortSignal): Promise<void> {
    for (;;) {
      const found = await this.#readFence(signal);
      this.#fenceRevision = found?.revision ?? 0;
      this.#state = "idle";
      const outcome = await this.#writeBatch([], signal);
      if (outcome.outcome === "written") return;
      // Another leader was quicker. Whoever is the leader now takes it last, so go on.
    }
  }

  /**
   * Writes the changes in order, in batches of up to 999. One call at a time. Time-outs and lost connections are waited
   * out.
   * @throws PerdureError STORAGE_FULL and other refusals; CONNECTION_FAILED; the signal's reason. What was written then
   *   is unknown; write it again.
   */
  async write(changes: readonly RecordChange[], signal?: AbortSignal): Promise<WriteOutcome> {
    if (this.#state === "unfenced") throw new Error(`write to ${this.#bucket} before its fence was taken`);
    if (this.#state === "writing") throw new Error(`write to ${this.#bucket} while another write is under way`);
    for (const batch of batchesOf(changes)) {
      const outcome = await this.#writeBatch(batch, signal);
      if (outcome.outcome === "fenced") return outcome;
      this.#tombstonesBehindFence = batch.filter(({ value }) => value === null).length;
      this.#tombstones += this.#tombstonesBehindFence;
    }
    return { outcome: "written" };
  }

  /** Of deleted keys, as far as this store has read or written them. */
  get tombstones(): number {
    return this.#tombstones;
  }

  /** From here on every record that counts has to be written again. */
  beginSweep(): void {
    const tombstones = this.#tombstones - this.#tombstonesBehindFence;
    this.#sweep = { fenceRevision: this.#fenceRevision, tombstones };
  }

  /**
   * Purges what was written before the last batch in front of the sweep. To be called when all readers know that it does not count any more; a
   * leader that was replaced meanwhile purges no more than that.
   * @throws PerdureError on refusals; the signal's reason.
   */
  async endSweep(signal?: AbortSignal): Promise<void> {
    const { fenceRevision, tombstones } = this.#sweep;
    const { streams } = await managerOf(this.#connection);
    await askUntilAnswered(
      this.#connection,
      () => streams.purge(streamOfBucket(this.#bucket), { seq: fenceRevision }),
      this.#sendOptions(`purge bucket ${this.#bucket} before ${fenceRevision}`, signal),
    );
    this.#tombstones -= tombstones;
  }

  /** Every record, each once. Take the fence first: then nobody changes them meanwhile. */
  async *loadAll(signal?: AbortSignal): AsyncGenerator<StoredRecord> {
    this.#tombstones = 0;
    this.#tombstonesBehindFence = 0;
    for await (const arrived of this.#readAll("full", signal)) {
      for (const message of arrived) {
        const key = keyOfSubject(this.#bucket, message.subject);
        if (key === FENCE_KEY) continue;
        if (isTombstone(message)) {
          this.#tombstones += 1;
          continue;
        }
        const value = decodeJson(message.data);
        if (!value.ok) throw damagedRecord(this.#bucket, key, message.sequence, value.failure.message);
        yield { key, value: value.value, revision: message.sequence };
      }
    }
  }

  /** Every record whose key begins with `prefix` and a dot, in the order in which they were written. */
  async *loadUnder(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredRecord> {
    for await (const arrived of this.#readAll("full", signal, subjectOfKey(this.#bucket, `${prefix}.>`))) {
      for (const message of arrived) {
        if (message.data.byteLength === 0 && isTombstone(message)) continue;
        const key = keyOfSubject(this.#bucket, message.subject);
        const value = decodeJson(message.data);
        if (!value.ok) throw damagedRecord(this.#bucket, key, message.sequence, value.failure.message);
        yield { key, value: value.value, revision: message.sequence };
      }
    }
  }

  /** Every key; the records stay on the server. */
  async *keys(signal?: AbortSignal): AsyncGenerator<string> {
    for await (const arrived of this.#readAll("headersOnly", signal)) {
      for (const message of arrived) {
        const key = keyOfSubject(this.#bucket, message.subject);
        if (key !== FENCE_KEY && !isTombstone(message)) yield key;
      }
    }
  }

  /** As the stream's leader has it; null if there is none. */
  async get(key: string): Promise<unknown> {
    return (await readKey(this.#connection, this.#bucket, key))?.value ?? null;
  }

  #readAll(
    content: "full" | "headersOnly",
    signal: AbortSignal | undefined,
    filterSubject?: string,
  ): ReturnType<typeof readToEnd> {
    return readToEnd(this.#connection, {
      stream: streamOfBucket(this.#bucket),
      content,
      ...(filterSubject === undefined ? {} : { filterSubject }),
      startSequence: 1,
      logger: this.#logger,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #writeBatch(changes: readonly RecordChange[], signal: AbortSignal | undefined): Promise<WriteOutcome> {
    this.#state = "writing";
    try {
      const outcome = await this.#writeUntilDecided(changes, signal);
      this.#state = outcome.outcome === "fenced" ? "fenced" : "idle";
      return outcome;
    } catch (error) {
      this.#state = "idle";
      throw error;
    }
  }

  async #writeUntilDecided(changes: readonly RecordChange[], signal: AbortSignal | undefined): Promise<WriteOutcome> {
    this.#writeCount += 1;
    const write = this.#writeCount;
    const records = changes.map((change) => messageOf(this.#bucket, change));
    const options = this.#sendOptions(`write ${changes.length} records to bucket ${this.#bucket}`, signal);
    for (;;) {
      const messages = [this.#fenceMessage(write), ...records];
      const ack = await sendUntilAnswered(
        this.#connection,
        (timeoutMs, attemptSignal) =>
          publishBatch(this.#connection, randomUUID(), messages, { timeoutMs, signal: attemptSignal }),
        options,
      );
      if (ack.outcome === "stored") {
        // A batch lies in the stream without gaps, and the answer has the sequence of its last message.
        this.#fenceRevision = ack.sequence - records.length;
        return { outcome: "written" };
      }
      if (ack.refusal.code !== apiCodes.wrongLastSequence) throw refusalError(ack.refusal, options.doing);
      const fence = await this.#readFence(signal);
      if (fence === null || fence.value.holderId !== this.#holderId) {
        return { outcome: "fenced", holderId: fence?.value.holderId ?? "nobody" };
      }
      // Ours all the same: this batch, whose acknowledgement was lost, or one given up before, which only moved the fence.
      this.#fenceRevision = fence.revision;
      if (fence.value.write === write) return { outcome: "written" };
    }
  }

  #fenceMessage(write: number): BatchMessage {
    const value: FenceValue = { holderId: this.#holderId, write };
    return {
      subject: subjectOfKey(this.#bucket, FENCE_KEY),
      body: JSON.stringify(value),
      headers: { "Nats-Expected-Last-Subject-Sequence": String(this.#fenceRevision) },
    };
  }

  async #readFence(
    signal: AbortSignal | undefined,
  ): Promise<{ readonly value: FenceValue; readonly revision: number } | null> {
    const stored = await askUntilAnswered(
      this.#connection,
      () => readKey(this.#connection, this.#bucket, FENCE_KEY),
      this.#sendOptions(`read the fence of bucket ${this.#bucket}`, signal),
    );
    return stored === null ? null : { value: parseFence(stored.value), revision: stored.revision };
  }

  #sendOptions(doing: string, signal: AbortSignal | undefined): SendOptions {
    return { doing, logger: this.#logger, ...(signal === undefined ? {} : { signal }) };
  }
}

/** A tombstone has no body; headers are looked at only then, because taking them apart costs more than the rest. */
function isTombstone(message: StreamMessage): boolean {
  return message.data.byteLength === 0 && message.header(OPERATION_HEADER) !== undefined;
}

function messageOf(bucket: string, change: RecordChange): BatchMessage {
  const subject = subjectOfKey(bucket, change.key);
  if (change.value === null) {
    // Buckets keep one message for each key, so this replaces the record; no roll-up is needed.
    return { subject, body: "", headers: { [OPERATION_HEADER]: OPERATION_DELETE } };
  }
  if (change.ttlMs === undefined) return { subject, body: change.value };
  return { subject, body: change.value, headers: ttlHeader(change.ttlMs) };
}

function* batchesOf(changes: readonly RecordChange[]): Generator<readonly RecordChange[]> {
  let batch: RecordChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    const changeBytes = change.value?.length ?? 0;
    // One place in each batch is the fence's.
    if (batch.length === BATCH_MESSAGES_MAX - 1 || (batch.length > 0 && bytes + changeBytes > BATCH_BYTES_MAX)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(change);
    bytes += changeBytes;
  }
  if (batch.length > 0) yield batch;
}

/** Somebody else's writing there counts as another holder. */
function parseFence(value: unknown): FenceValue {
  if (typeof value !== "object" || value === null) return { holderId: "unknown", write: 0 };
  const holderId = "holderId" in value ? String(value.holderId) : "unknown";
  const write = "write" in value ? Number(value.write) : 0;
  return { holderId, write };
}
