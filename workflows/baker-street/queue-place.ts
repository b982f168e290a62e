/**
 * A worker's place in the queue group. The consumer may be somebody else's: the library of an old worker that leaves can
 * delete the one that it made, and nobody is told. Then the place is taken again; the queue still holds what was not
 * acknowledged.
 */
import type { RunningBridge } from "perdure/bridges";

export interface QueuePlaceParts {
  readonly lookIntervalMs: number;
  /** What the consumer is called and where it delivers; undefined where there is none. */
  readonly find: () => Promise<string | undefined>;
  readonly join: () => Promise<RunningBridge>;
}

export class QueuePlace {
  readonly #parts: QueuePlaceParts;
  #bridge: RunningBridge | undefined;
  #joined: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lose: (fault: unknown) => void = () => undefined;
  /** Rejects when the bridge of the day ended by itself. */
  readonly lost = new Promise<never>((_, reject) => {
    this.#lose = reject;
  });

  constructor(parts: QueuePlaceParts) {
    this.#parts = parts;
  }

  async take(): Promise<void> {
    await this.#join();
    this.#lookLater();
  }

  async leave(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
    await this.#bridge?.stop();
  }

  async #join(): Promise<void> {
    this.#joined = undefined;
    this.#bridge = await this.#parts.join();
    this.#bridge.closed.catch(this.#lose);
    this.#joined = await this.#parts.find();
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().catch((fault: unknown) => {
        console.error("the consumer of jobs could not be looked for, or joined again; trying again:", fault);
      });
      void this.#looking.then(() => {
        if (this.#timer !== undefined) this.#lookLater();
      });
    }, this.#parts.lookIntervalMs);
  }

  async #look(): Promise<void> {
    const found = await this.#parts.find();
    if (found !== undefined && found === this.#joined) return;
    await this.#bridge?.stop();
    await this.#join();
  }
}
