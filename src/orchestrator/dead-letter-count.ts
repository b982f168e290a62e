/**
 * How many foreign messages lie among the dead letters, for the system's status. Bridges keep them in a stream of their
 * own (protocol/dead-letter.ts); here it is only counted, now and then, so that nobody who asks for the status waits.
 */
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { streamState } from "../jetstream/stream-access.js";
import { type Logger, SampledLog } from "../logger.js";
import { deadLetterStreamOf } from "../protocol/dead-letter.js";
import type { Namespace } from "../protocol/ids.js";

const INTERVAL_MS = 2_000;

export class DeadLetterCount {
  readonly #connection: Connection;
  readonly #stream: string;
  readonly #uncounted: SampledLog;
  #timer: NodeJS.Timeout | null = null;
  #count = 0;

  constructor(connection: Connection, namespace: Namespace, logger: Logger) {
    this.#connection = connection;
    this.#stream = deadLetterStreamOf(namespace);
    this.#uncounted = new SampledLog(logger, "warn", "the dead letters cannot be counted now");
  }

  get current(): number {
    return this.#count;
  }

  start(): void {
    void this.runOnce();
    this.#timer = setInterval(() => void this.runOnce(), INTERVAL_MS);
  }

  async runOnce(): Promise<void> {
    try {
      this.#count = (await streamState(this.#connection, this.#stream)).messages;
    } catch (error) {
      // There is none before the first dead letter.
      if (error instanceof PerdureError && error.code === "NOT_FOUND") this.#count = 0;
      else this.#uncounted.write({ stream: this.#stream, err: error });
    }
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
