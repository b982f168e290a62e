/**
 * What every consumption stands on: a consumer that is received from, what of it is in hand, which the server is told as
 * long as that takes, and the order in which all of it ends.
 */
import { setMaxListeners } from "node:events";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import type { Delivery } from "../jetstream/delivery.js";
import { type ConsumerRules, DurableConsumer } from "../jetstream/durable-consumer.js";
import type { Logger } from "../logger.js";
import type { Settlement } from "./settlement.js";

export interface ConsumptionParts {
  readonly connection: Connection;
  readonly settlement: Settlement;
  readonly logger: Logger;
}

/** Which consumer, and what whoever handles its messages has to say to it. */
export interface IntakeOptions {
  readonly stream: string;
  readonly consumer: string;
  /** How many more messages can be taken now. */
  free(): number;
  onHeld(held: Held): void;
  /** Ends what is in hand; the signal aborts when that has taken too long. */
  finish(): Promise<void>;
  /** Where the consumer gives nothing: makes it again, if it is ours. */
  readonly mend?: (() => Promise<unknown>) | undefined;
}

/** A delivery, and what ends telling the server that it is in hand. */
export interface Held {
  readonly delivery: Delivery;
  /** Of its consumer, as they are now. */
  readRules(): Promise<ConsumerRules>;
  release(): void;
}

/** How long what is in hand may take when a consumption is stopped. */
export const PATIENCE_MS = 30_000;

export class ConsumerIntake {
  readonly #parts: ConsumptionParts;
  readonly #options: IntakeOptions;
  readonly #abort = new AbortController();
  #consumer: DurableConsumer | undefined;
  #stopped: Promise<void> | undefined;

  constructor(parts: ConsumptionParts, options: IntakeOptions) {
    this.#parts = parts;
    this.#options = options;
    // Every message in hand listens to it.
    setMaxListeners(0, this.#abort.signal);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** @throws as `DurableConsumer.start` does */
  async open(): Promise<void> {
    const { stream, consumer, free, mend } = this.#options;
    this.#consumer = await DurableConsumer.start(this.#parts.connection, {
      stream,
      consumer,
      logger: this.#parts.logger,
      free,
      onDelivery: (delivery, from) => this.#options.onHeld(this.#hold(delivery, from)),
      mend,
    });
  }

  askForMore(): void {
    this.#consumer?.askForMore();
  }

  /** Receives nothing more, and lets what is in hand finish for so long. */
  stop(patienceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(patienceMs);
    return this.#stopped;
  }

  #hold(delivery: Delivery, from: DurableConsumer): Held {
    const release = this.#parts.settlement.hold(delivery, () => from.rules);
    return { delivery, readRules: () => from.readRules(), release };
  }

  async #stop(patienceMs: number): Promise<void> {
    await this.#consumer?.stop();
    const timer = setTimeout(() => this.#abort.abort(new Error("the consumption was stopped")), patienceMs);
    await this.#options.finish();
    clearTimeout(timer);
  }
}

/** @throws PerdureError USAGE: with none at a time nothing would ever be handled, and nothing would say so. */
export function holdCount(
  what: string,
  count: number,
  of: { readonly stream: string; readonly consumer: string },
): void {
  if (Number.isSafeInteger(count) && count > 0) return;
  throw new PerdureError(
    "USAGE",
    `Consumer ${of.consumer} of stream ${of.stream} cannot be consumed with a ${what} of ${count}; nothing was. It takes a whole number above 0.`,
    { details: { stream: of.stream, consumer: of.consumer, [what]: count } },
  );
}
