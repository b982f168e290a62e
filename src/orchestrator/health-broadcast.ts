/** Tells everybody each interval how the orchestrator is, in the words it also answers requests with. */
import type { Connection } from "../jetstream/connection.js";
import type { Subjects } from "../protocol/subjects.js";
import type { Stamp } from "./run-effects.js";

export interface HealthBroadcastOptions {
  readonly connection: Connection;
  readonly subjects: Subjects;
  readonly stamp: Stamp;
  readonly intervalMs: number;
  readonly describeHealth: () => object;
}

export class HealthBroadcast {
  readonly #options: HealthBroadcastOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: HealthBroadcastOptions) {
    this.#options = options;
  }

  start(): void {
    this.runOnce();
    this.#timer = setInterval(() => this.runOnce(), this.#options.intervalMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  runOnce(): void {
    const { connection, subjects, stamp, describeHealth } = this.#options;
    connection.publish(subjects.health, stamp(describeHealth()));
  }
}
