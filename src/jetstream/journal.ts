import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import { decodeMessage } from "../protocol/decode.js";
import { Flush } from "../protocol/fact.js";
import { apiCodes, refusalError, storageError } from "./api-error.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";
import { readToEnd } from "./read-to-end.js";
import { askUntilAnswered, sendUntilAnswered } from "./send-until-answered.js";
import { lastMessage } from "./stored-key.js";

/**
 * The journal: one stream, one subject, one writer at a time. Each message is one flush: every fact since the one before,
 * complete. The append is the commit; nothing of a flush may be let out before it.
 *
 * Each append names the sequence it follows (`Nats-Expected-Last-Subject-Sequence`), so of two writers that both believe
 * to lead only one goes on: the other is fenced and must forget what it has in memory. A new leader therefore appends a
 * flush of its own first, and reads afterwards: from then on nothing of its predecessor can get in between.
 *
 * A crash before the acknowledgement leaves the flush written or not; the next leader reads what there is. A crash after
 * it leaves it written. The last message is never purged: a stream emptied by a purge refuses the sequence that its
 * writer expects and takes 0 instead, from anybody.
 */
export interface JournalOptions {
  readonly stream: string;
  readonly subject: string;
  readonly logger: Logger;
  /**
   * The journal held this much when the checkpoint was written. A stream that now ends before it was damaged: sequences
   * would be issued a second time.
   */
  readonly highWaterMark: number;
}

export interface FlushBytes {
  readonly flushId: string;
  /** The flush as JSON, FLUSH_BYTES_MAX at most. Kept unchanged until `append` has an outcome. */
  readonly bytes: Uint8Array;
}

export type AppendOutcome =
  | { readonly outcome: "appended"; readonly sequence: number }
  /** Another writer was first: this one has lost the leadership. */
  | { readonly outcome: "fenced"; readonly lastSequence: number; readonly lastFlushId: string };

export interface JournalEntry {
  readonly sequence: number;
  readonly flush: Flush;
}

/**
 * @throws PerdureError STORE_DAMAGED if the stream ends before the high-water mark, or lost its last message;
 *   STORAGE_UNAVAILABLE or REQUEST_TIMED_OUT if it cannot be asked.
 */
export async function openJournal(connection: Connection, options: JournalOptions): Promise<Journal> {
  const { stream, subject } = options;
  const { streams } = await managerOf(connection);
  const { state } = await streams.info(stream).catch((error: unknown) => {
    throw storageError(error, `open journal ${stream}`);
  });
  if (state.last_seq < options.highWaterMark) {
    throw new PerdureError(
      "STORE_DAMAGED",
      `Journal ${stream} ends at sequence ${state.last_seq}, and the checkpoint was written at ${options.highWaterMark}: the store lost acknowledged messages. Nothing was started. Restore the server's store directory from a copy; docs/operations.md says how.`,
      { details: { stream, lastSequence: state.last_seq, highWaterMark: options.highWaterMark } },
    );
  }
  const last = await lastMessage(connection, stream, subject, `open journal ${stream}`);
  if (last === null && state.last_seq > 0) throw emptiedError(stream, state.last_seq);
  return new Journal(connection, options, last?.sequence ?? 0);
}

export class Journal {
  readonly #connection: Connection;
  readonly #options: JournalOptions;
  #lastSequence: number;
  /** Of the append under way, or of one that ended without an outcome. */
  #undecidedFlushId: string | undefined;
  #appending = false;

  constructor(connection: Connection, options: JournalOptions, lastSequence: number) {
    this.#connection = connection;
    this.#options = options;
    this.#lastSequence = lastSequence;
  }

  /** Of the last flush this journal knows of; 0 while there is none. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /**
   * Writes a flush behind the last one. Time-outs, lost connections and a cluster without leader are waited out: the
   * identical bytes go out again at the same expected sequence until the stream has decided. One at a time. After a throw
   * the same flush must be appended again before any other, for it may have been written.
   *
   * @throws PerdureError STORAGE_FULL and other definite refusals; CONNECTION_FAILED if the connection is closed for good;
   *   the signal's reason if aborted.
   */
  async append(flush: FlushBytes, signal?: AbortSignal): Promise<AppendOutcome> {
    if (this.#appending)
      throw new Error(`append ${flush.flushId} before ${this.#undecidedFlushId ?? "?"} had an outcome`);
    if (this.#undecidedFlushId !== undefined && this.#undecidedFlushId !== flush.flushId) {
      throw new Error(`append ${flush.flushId} while ${this.#undecidedFlushId} may have been written`);
    }
    this.#appending = true;
    this.#undecidedFlushId = flush.flushId;
    try {
      const outcome = await this.#appendUntilDecided(flush, signal);
      this.#undecidedFlushId = undefined;
      if (outcome.outcome === "appended") this.#lastSequence = outcome.sequence;
      return outcome;
    } finally {
      this.#appending = false;
    }
  }

  /**
   * Every flush from `sequence` to the end of the journal as it is now, without a gap.
   * @throws PerdureError STORE_DAMAGED at a missing sequence or a message that is no flush.
   */
  async *readFrom(sequence: number, signal?: AbortSignal): AsyncGenerator<JournalEntry> {
    const { stream, subject, logger } = this.#options;
    let expected = Math.max(1, sequence);
    const messages = readToEnd(this.#connection, {
      stream,
      filterSubject: subject,
      content: "full",
      startSequence: expected,
      logger,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const arrived of messages) {
      for (const message of arrived) {
        if (message.sequence !== expected) throw gapError(stream, expected, message.sequence);
        const flush = decodeMessage(Flush, message.data);
        if (!flush.ok) throw unreadableError(stream, message.sequence, flush.failure.message);
        yield { sequence: message.sequence, flush: flush.value };
        expected = message.sequence + 1;
      }
    }
    if (expected <= this.#lastSequence) throw gapError(stream, expected, this.#lastSequence + 1);
  }

  /** Whether somebody else has written behind the last flush this journal knows of. */
  async isOvertaken(): Promise<boolean> {
    const { stream, subject } = this.#options;
    const last = await lastMessage(this.#connection, stream, subject, `look for the end of journal ${stream}`);
    return last !== null && last.sequence > this.#lastSequence;
  }

  /** Purges what lies before `sequence`, and never the last message. */
  async trimBefore(sequence: number): Promise<void> {
    const { stream } = this.#options;
    const keepFrom = Math.min(sequence, this.#lastSequence);
    if (keepFrom <= 1) return;
    const { streams } = await managerOf(this.#connection);
    try {
      await streams.purge(stream, { seq: keepFrom });
    } catch (error) {
      throw storageError(error, `trim journal ${stream} before ${keepFrom}`);
    }
  }

  async #appendUntilDecided(flush: FlushBytes, signal: AbortSignal | undefined): Promise<AppendOutcome> {
    const { subject, stream, logger } = this.#options;
    const headers = { "Nats-Expected-Last-Subject-Sequence": String(this.#lastSequence) };
    const doing = `append flush ${flush.flushId} to ${stream} after ${this.#lastSequence}`;
    const ack = await sendUntilAnswered(
      this.#connection,
      (timeoutMs, attemptSignal) =>
        this.#connection.request(subject, flush.bytes, { timeoutMs, headers, signal: attemptSignal }),
      { doing, logger, ...(signal === undefined ? {} : { signal }) },
    );
    if (ack.outcome === "stored") return { outcome: "appended", sequence: ack.sequence };
    if (ack.refusal.code !== apiCodes.wrongLastSequence) throw refusalError(ack.refusal, doing);
    return this.#whoWasFirst(flush, signal);
  }

  /** The expected sequence is taken: by an earlier attempt of this very flush, or by another writer. */
  async #whoWasFirst(flush: FlushBytes, signal: AbortSignal | undefined): Promise<AppendOutcome> {
    const { subject, stream, logger } = this.#options;
    const doing = `read the last flush of ${stream}`;
    const last = await askUntilAnswered(this.#connection, () => lastMessage(this.#connection, stream, subject, doing), {
      doing,
      logger,
      ...(signal === undefined ? {} : { signal }),
    });
    if (last === null) throw emptiedError(stream, this.#lastSequence);
    const parsed = decodeMessage(Flush.pick({ flushId: true }), last.data);
    if (!parsed.ok) throw unreadableError(stream, last.sequence, parsed.failure.message);
    const { flushId } = parsed.value;
    if (flushId === flush.flushId) return { outcome: "appended", sequence: last.sequence };
    if (last.sequence > this.#lastSequence) {
      return { outcome: "fenced", lastSequence: last.sequence, lastFlushId: flushId };
    }
    throw new PerdureError(
      "STORE_DAMAGED",
      `Journal ${stream} ends at ${last.sequence}, before ${this.#lastSequence} where this writer's last flush was acknowledged: the store lost acknowledged messages.`,
      { details: { stream, subject, lastSequence: last.sequence, expected: this.#lastSequence } },
    );
  }
}

function emptiedError(stream: string, lastSequence: number): PerdureError {
  return new PerdureError(
    "STORE_DAMAGED",
    `Journal ${stream} was emptied: it had messages up to ${lastSequence} and holds none. Somebody purged it, or the store is damaged. Nothing was started; restore the server's store directory from a copy.`,
    { details: { stream, lastSequence } },
  );
}

function gapError(stream: string, expected: number, found: number): PerdureError {
  return new PerdureError(
    "STORE_DAMAGED",
    `Journal ${stream} has no message ${expected}; the next one is ${found}. State cannot be rebuilt without it. Restore the server's store directory from a copy.`,
    { details: { stream, expected, found } },
  );
}

function unreadableError(stream: string, sequence: number, reason: string): PerdureError {
  return new PerdureError(
    "STORE_DAMAGED",
    `Message ${sequence} of journal ${stream} is no flush: it ${reason}. Look at it with \`nats stream get ${stream} ${sequence}\`.`,
    { details: { stream, sequence } },
  );
}
