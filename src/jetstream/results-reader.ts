import type { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { ResultsPosition } from "../protocol/fact.js";
import { storageError } from "./api-error.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";
import { OrderedReader, type StreamMessage } from "./ordered-reader.js";

/**
 * Reads the stream of results in order, without acknowledgements: what the journal says is what was read.
 *
 * The stream acknowledges before the disk has a message (R1), so a killed server forgets the last ones and gives their
 * sequences to others afterwards: seen with `kill -9` under load, 34 of 160,000. A reader that goes on behind the last
 * sequence it knows would then skip as many new results. So after every interruption this one first asks for the last
 * message it has read, again: if it is not there, or another one under its sequence, everything the stream still holds
 * is read again from its beginning. A result handed over twice is recognised by its token and changes nothing.
 */
export interface ResultsReaderOptions {
  readonly stream: string;
  /** The last result that the journal covers; null to read everything there is. */
  readonly after: ResultsPosition | null;
  /** In the order of the stream, one after another. Must not throw. */
  readonly onResult: (result: StoredResult) => void;
  /** Reading has ended for good: the stream was deleted, the connection closed, or `onResult` threw. */
  readonly onFailed: (error: PerdureError) => void;
  readonly logger: Logger;
}

export interface StoredResult {
  /** Names the agent; permissions guard it. */
  readonly subject: string;
  /** Grows from one to the next, but for the rereading said above. */
  readonly sequence: number;
  readonly storedAt: string;
  readonly data: Uint8Array;
  header(name: string): string | undefined;
}

export class ResultsReader {
  readonly #connection: Connection;
  readonly #options: ResultsReaderOptions;
  readonly #reader: OrderedReader;
  /** The last message read; null while everything is read from the beginning. */
  #anchor: ResultsPosition | null;
  /** Whether the next message must be the anchor again. */
  #verifying = false;

  constructor(connection: Connection, options: ResultsReaderOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#anchor = options.after;
    this.#reader = new OrderedReader(connection, {
      stream: options.stream,
      content: "full",
      logger: options.logger,
      startAt: () => this.#startAt(),
      onStarted: (state) => {
        if (state === "caughtUp" && this.#verifying) this.#readAgain("it is gone");
      },
      onMessage: (message) => this.#receive(message),
      onFlowControl: (goOn) => goOn(),
      onFailed: options.onFailed,
    });
  }

  /**
   * Purges results before `sequence`, all of which the journal covers. That one stays, for the next reader to recognise.
   * Does nothing for a sequence that was not read (again) yet.
   */
  async purgeUpTo(sequence: number): Promise<void> {
    if (this.#anchor === null || this.#verifying || sequence > this.#anchor.sequence || sequence <= 1) return;
    const { streams } = await managerOf(this.#connection);
    try {
      await streams.purge(this.#options.stream, { seq: sequence });
    } catch (error) {
      throw storageError(error, `purge ${this.#options.stream} before ${sequence}`);
    }
  }

  /** May be called twice. */
  stop(): void {
    this.#reader.stop();
  }

  #startAt(): number {
    this.#verifying = this.#anchor !== null;
    return this.#anchor?.sequence ?? 1;
  }

  #receive(message: StreamMessage): void {
    const { sequence, storedAt } = message;
    if (!this.#verifying) {
      this.#anchor = { sequence, storedAt };
      this.#options.onResult(message);
    } else if (sequence === this.#anchor?.sequence && storedAt === this.#anchor.storedAt) {
      this.#verifying = false;
    } else {
      this.#readAgain(`found ${sequence} of ${storedAt} in its place`);
    }
  }

  #readAgain(reason: string): void {
    const { stream, logger } = this.#options;
    logger.warn({ stream, lastRead: this.#anchor, reason }, "the server lost results it had; reading all it has again");
    this.#anchor = null;
    this.#reader.restart("the stream lost its end");
  }
}
