/** Tells everybody each interval how the orchestrator is, in the words it also answers requests with. */
import type { Connection } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";
import type { Subjects } from "../protocol/subjects.js";
import type { Stamp } from "./run-effects.js";

export interface HealthBroadcastOptions {
  readonly connection: Connection;
  readonly subjects: Subjects;
  readonly stamp: Stamp;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly describeHealth: () => object;
}

export class HealthBroadcast {
  readonly #options: HealthBroadcastOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: HealthBroadcastOptions) {
    this.#options = options;
  }

  /** The first one goes out in a moment: whoever starts this is not leading before it has returned. */
  start(): void {
    this.#timer = setInterval(() => this.runOnce(), this.#options.intervalMs);
    setImmediate(() => {
      if (this.#timer !== null) this.runOnce();
    });
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  runOnce(): void {
    const { connection, subjects, stamp, describeHealth, logger } = this.#options;
    try {
      connection.publish(subjects.health, stamp(describeHealth()));
    } catch (cause) {
      // Closed for good: whoever reads results ends the term. A throw from a timer would end the process before that.
      logger.debug({ err: cause }, "health could not be broadcast");
    }
  }
}
