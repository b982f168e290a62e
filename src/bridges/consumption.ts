/**
 * Consumes a durable consumer message by message. At most once: acknowledged, and handled only if the server confirmed
 * that. At least once: handled, then acknowledged; meanwhile the server is told that it is in hand, so that the wait for an
 * acknowledgement bounds how long a dead process is waited for, not how long the work takes.
 */

import { setMaxListeners } from "node:events";
import { Deferred } from "../deferred.js";
import type { Connection } from "../jetstream/connection.js";
import type { Delivery } from "../jetstream/delivery.js";
import { type ConsumerRules, DurableConsumer } from "../jetstream/durable-consumer.js";
import type { Logger } from "../logger.js";
import type { Schema } from "../workflow/standard-schema.js";
import { type BodyFormat, decodeBody } from "./foreign-body.js";
import { GivenUpError } from "./given-up-error.js";
import { type Received, received } from "./received.js";
import { placeOf, type Settlement } from "./settlement.js";

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

const PATIENCE_MS = 30_000;

export interface ConsumptionParts {
  readonly connection: Connection;
  readonly settlement: Settlement;
  readonly logger: Logger;
}

interface Given {
  readonly delivery: Delivery;
  readonly rules: ConsumerRules;
}

export class MessageConsumption<T> implements Consumption {
  readonly #options: ConsumeOptions<T>;
  readonly #parts: ConsumptionParts;
  readonly #maxConcurrent: number;
  readonly #inHand = new Set<Promise<void>>();
  /** A push consumer may send more than can be handled at a time. */
  readonly #waiting: Given[] = [];
  readonly #abort = new AbortController();
  readonly #aborted = new Deferred<never>();
  #consumer: DurableConsumer | undefined;
  #stopped: Promise<void> | undefined;

  /** @throws as `DurableConsumer.start` does */
  static async start<T>(parts: ConsumptionParts, options: ConsumeOptions<T>): Promise<MessageConsumption<T>> {
    const consumption = new MessageConsumption(parts, options);
    consumption.#consumer = await DurableConsumer.start(parts.connection, {
      stream: options.stream,
      consumer: options.consumer,
      logger: parts.logger,
      free: () => consumption.#free(),
      onDelivery: (delivery, rules) => consumption.#take({ delivery, rules }),
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

  #take(given: Given): void {
    this.#waiting.push(given);
    this.#next();
  }

  #next(): void {
    while (this.#inHand.size < this.#maxConcurrent) {
      const given = this.#waiting.shift();
      if (given === undefined) break;
      const handled = this.#handle(given).finally(() => {
        this.#inHand.delete(handled);
        this.#next();
        this.#consumer?.askForMore();
      });
      this.#inHand.add(handled);
    }
  }

  async #handle({ delivery, rules }: Given): Promise<void> {
    const { schema, format, ack, handle } = this.#options;
    const { settlement, logger } = this.#parts;
    const body = decodeBody(schema, delivery.data, format);
    if (!body.ok) return settlement.undecodable(delivery, body.reason);
    const message = received(delivery, body.value, storedOf(delivery));
    const context = { signal: this.#abort.signal };
    if (ack === "onReceipt") {
      // Unconfirmed, it may come again; handling it now as well could be twice.
      if (!(await settlement.acknowledge(delivery))) return;
      try {
        await handle(message, context);
      } catch (error) {
        logger.error(
          { ...placeOf(delivery), err: error },
          "handling a message failed; it was acknowledged and is gone",
        );
      }
      return;
    }
    const release = settlement.hold(delivery, rules);
    try {
      // What does not listen to the signal is not waited for either.
      await Promise.race([handle(message, context), this.#aborted.promise]);
      await settlement.acknowledge(delivery);
    } catch (error) {
      if (this.#abort.signal.aborted) settlement.handBack(delivery);
      else if (error instanceof GivenUpError) await settlement.refused(delivery, error.message);
      else await settlement.failed(delivery, error, rules);
    } finally {
      release();
    }
  }

  async #stop(patienceMs: number): Promise<void> {
    await this.#consumer?.stop();
    for (const { delivery } of this.#waiting.splice(0)) this.#parts.settlement.handBack(delivery);
    const timer = setTimeout(() => {
      const reason = new Error("the consumption was stopped");
      this.#abort.abort(reason);
      this.#aborted.reject(reason);
    }, patienceMs);
    await Promise.all(this.#inHand);
    clearTimeout(timer);
  }
}

export const storedOf = ({ stream, sequence, deliveryCount, storedAt }: Delivery) => ({
  stream,
  sequence,
  deliveryCount,
  storedAt,
});
