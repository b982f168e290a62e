/**
 * Consumes a durable consumer message by message. At most once: acknowledged, and handled only if the server confirmed
 * that. At least once: handled, then acknowledged; meanwhile the server is told that it is in hand, so that the wait for an
 * acknowledgement bounds how long a dead process is waited for, not how long the work takes.
 */

import { setMaxListeners } from "node:events";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import type { Delivery } from "../jetstream/delivery.js";
import { type ConsumerRules, DurableConsumer } from "../jetstream/durable-consumer.js";
import type { Logger } from "../logger.js";
import type { Schema } from "../workflow/standard-schema.js";
import { type BodyFormat, decodeBody } from "./foreign-body.js";
import { GivenUpError } from "./given-up-error.js";
import { type Received, received } from "./received.js";
import { placeOf, type Settlement } from "./settlement.js";
import { untilAborted } from "./until-aborted.js";

/** `onReceipt`: at most once. `onHandled`: at least once. */
export type AckRule = "onReceipt" | "onHandled";

export interface HandlingContext {
  /** Aborts when the consumption is stopped and its patience is over. What is not handled then is delivered again. */
  readonly signal: AbortSignal;
}

export interface ConsumeOptions<T> {
  readonly stream: string;
  /** A durable consumer that is there, with explicit acknowledgements: pull, or push with or without a queue group. */
  readonly consumer: string;
  readonly schema: Schema<unknown, T>;
  /** What the schema is given. Default `json`, the value; `text`, the message as it is: for whoever answers what is no JSON. */
  readonly format?: BodyFormat | undefined;
  readonly ack: AckRule;
  /** Messages in hand at a time; default 1. */
  readonly maxConcurrent?: number | undefined;
  /**
   * What cannot be read, or failed the last time that the consumer allows, is kept among the dead letters (`keep`, the
   * default) before it is terminated; `none` logs it.
   */
  readonly deadLetters?: "keep" | "none" | undefined;
  /** Throws a `GivenUpError` for what another delivery would not mend. */
  handle(message: Received<T>, context: HandlingContext): Promise<void> | void;
}

export interface Consumption {
  /** Receives nothing more and lets what is in hand finish for so long (default 30,000); then it is aborted. */
  stop(patienceMs?: number): Promise<void>;
}

/** How long what is in hand may take when a consumption is stopped. */
export const PATIENCE_MS = 30_000;
/** What is acknowledged comes to nobody else: it has so long in any case. */
const PATIENCE_AFTER_RECEIPT_MS = 5_000;

export interface ConsumptionParts {
  readonly connection: Connection;
  readonly settlement: Settlement;
  readonly logger: Logger;
}

/** A delivery, and what ends telling the server that it is in hand. */
export interface Held {
  readonly delivery: Delivery;
  readonly rules: ConsumerRules;
  readonly release: () => void;
}

export class MessageConsumption<T> implements Consumption {
  readonly #options: ConsumeOptions<T>;
  readonly #parts: ConsumptionParts;
  readonly #maxConcurrent: number;
  readonly #inHand = new Set<Promise<void>>();
  /** A push consumer may send more than can be handled at a time; it is told that they are here. */
  readonly #waiting: Held[] = [];
  readonly #abort = new AbortController();
  #consumer: DurableConsumer | undefined;
  #stopped: Promise<void> | undefined;

  /** @throws PerdureError USAGE for a `maxConcurrent` that takes nothing; as `DurableConsumer.start` does */
  static async start<T>(parts: ConsumptionParts, options: ConsumeOptions<T>): Promise<MessageConsumption<T>> {
    holdCount("maxConcurrent", options.maxConcurrent ?? 1, options);
    const consumption = new MessageConsumption(parts, options);
    consumption.#consumer = await DurableConsumer.start(parts.connection, {
      stream: options.stream,
      consumer: options.consumer,
      logger: parts.logger,
      free: () => consumption.#free(),
      onDelivery: (delivery, rules) => consumption.#take(delivery, rules),
    });
    return consumption;
  }

  private constructor(parts: ConsumptionParts, options: ConsumeOptions<T>) {
    this.#parts = parts;
    this.#options = options;
    this.#maxConcurrent = options.maxConcurrent ?? 1;
    // Every message in hand listens to it.
    setMaxListeners(0, this.#abort.signal);
  }

  stop(patienceMs = PATIENCE_MS): Promise<void> {
    this.#stopped ??= this.#stop(patienceMs);
    return this.#stopped;
  }

  #free(): number {
    return this.#maxConcurrent - this.#inHand.size - this.#waiting.length;
  }

  #take(delivery: Delivery, rules: ConsumerRules): void {
    this.#waiting.push({ delivery, rules, release: this.#parts.settlement.hold(delivery, rules) });
    this.#next();
  }

  #next(): void {
    while (this.#inHand.size < this.#maxConcurrent) {
      const given = this.#waiting.shift();
      if (given === undefined) break;
      const handled = this.#handle(given).finally(() => {
        given.release();
        this.#inHand.delete(handled);
        this.#next();
        this.#consumer?.askForMore();
      });
      this.#inHand.add(handled);
    }
  }

  async #handle({ delivery, rules }: Held): Promise<void> {
    const { schema, format, ack, handle } = this.#options;
    const { settlement } = this.#parts;
    const body = decodeBody(schema, delivery.data, format);
    if (!body.ok) return settlement.undecodable(delivery, body.reason);
    const message = received(delivery, body.value, storedOf(delivery));
    const { signal } = this.#abort;
    const handling = () => untilAborted(() => handle(message, { signal }), signal);
    if (ack === "onReceipt") return this.#handleOnce(delivery, rules, handling);
    try {
      await handling();
    } catch (error) {
      if (signal.aborted) settlement.handBack(delivery);
      else if (error instanceof GivenUpError) await settlement.refused(delivery, error.message);
      else await settlement.failed(delivery, error, rules);
      return;
    }
    await settlement.acknowledge(delivery);
  }

  async #handleOnce(delivery: Delivery, { maxDeliver }: ConsumerRules, handling: () => Promise<void>): Promise<void> {
    const isConfirmed = await this.#parts.settlement.acknowledge(delivery);
    // Unconfirmed, it may come again, and handling it now as well could be twice; the last time it cannot.
    if (!isConfirmed && delivery.deliveryCount !== maxDeliver) return;
    try {
      await handling();
    } catch (error) {
      this.#parts.logger.error(
        { ...placeOf(delivery), err: error },
        "handling a message failed; it was acknowledged and is gone",
      );
    }
  }

  async #stop(patienceMs: number): Promise<void> {
    await this.#consumer?.stop();
    for (const { delivery, release } of this.#waiting.splice(0)) {
      release();
      this.#parts.settlement.handBack(delivery);
    }
    const patience = this.#options.ack === "onReceipt" ? Math.max(patienceMs, PATIENCE_AFTER_RECEIPT_MS) : patienceMs;
    const timer = setTimeout(() => this.#abort.abort(new Error("the consumption was stopped")), patience);
    await Promise.all(this.#inHand);
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

export const storedOf = ({ stream, sequence, deliveryCount, storedAt }: Delivery) => ({
  stream,
  sequence,
  deliveryCount,
  storedAt,
});
