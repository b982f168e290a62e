/**
 * Consumes a durable consumer message by message. At most once: acknowledged, and handled only if the server confirmed
 * that. At least once: handled, then acknowledged; meanwhile the server is told that it is in hand, so that the wait for an
 * acknowledgement bounds how long a dead process is waited for, not how long the work takes.
 */
import type { Schema } from "../workflow/standard-schema.js";
import { ConsumerIntake, type ConsumptionParts, type Held, holdCount, PATIENCE_MS } from "./consumer-intake.js";
import { type BodyFormat, decodeBody } from "./foreign-body.js";
import { GivenUpError } from "./given-up-error.js";
import { type Received, received, storedOf } from "./received.js";
import { placeOf } from "./settlement.js";
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
  /**
   * Asked before a message becomes a dead letter that was delivered as often as allowed and never answered: whether it can be
   * gone on with. True once that is done; false buries it, and so does a `GivenUpError`.
   */
  goOn?(message: Received<T>, context: HandlingContext): Promise<boolean>;
  /** Throws a `GivenUpError` for what another delivery would not mend. */
  handle(message: Received<T>, context: HandlingContext): Promise<void> | void;
}

export interface Consumption {
  /** Receives nothing more and lets what is in hand finish for so long (default 30,000); then it is aborted. */
  stop(patienceMs?: number): Promise<void>;
}

/** What is acknowledged comes to nobody else: it has so long in any case. */
const PATIENCE_AFTER_RECEIPT_MS = 5_000;

export class MessageConsumption<T> implements Consumption {
  readonly #options: ConsumeOptions<T>;
  readonly #parts: ConsumptionParts;
  readonly #maxConcurrent: number;
  readonly #inHand = new Set<Promise<void>>();
  /** A push consumer may send more than can be handled at a time; it is told that they are here. */
  readonly #waiting: Held[] = [];
  readonly #intake: ConsumerIntake;

  /** @throws PerdureError USAGE for a `maxConcurrent` that takes nothing; as `DurableConsumer.start` does */
  static async start<T>(
    parts: ConsumptionParts,
    options: ConsumeOptions<T>,
    mend?: () => Promise<unknown>,
  ): Promise<MessageConsumption<T>> {
    holdCount("maxConcurrent", options.maxConcurrent ?? 1, options);
    const consumption = new MessageConsumption(parts, options, mend);
    await consumption.#intake.open();
    return consumption;
  }

  private constructor(parts: ConsumptionParts, options: ConsumeOptions<T>, mend?: () => Promise<unknown>) {
    const { stream, consumer } = options;
    this.#parts = parts;
    this.#options = options;
    this.#maxConcurrent = options.maxConcurrent ?? 1;
    this.#intake = new ConsumerIntake(parts, {
      stream,
      consumer,
      free: () => this.#maxConcurrent - this.#inHand.size - this.#waiting.length,
      onHeld: (held) => {
        this.#waiting.push(held);
        this.#next();
      },
      finish: () => this.#finish(),
      mend,
    });
  }

  stop(patienceMs = PATIENCE_MS): Promise<void> {
    const isGone = this.#options.ack === "onReceipt";
    return this.#intake.stop(isGone ? Math.max(patienceMs, PATIENCE_AFTER_RECEIPT_MS) : patienceMs);
  }

  #next(): void {
    while (this.#inHand.size < this.#maxConcurrent) {
      const given = this.#waiting.shift();
      if (given === undefined) break;
      const handled = this.#handle(given).finally(() => {
        given.release();
        this.#inHand.delete(handled);
        this.#next();
        this.#intake.askForMore();
      });
      this.#inHand.add(handled);
    }
  }

  async #handle(held: Held): Promise<void> {
    const { delivery } = held;
    const { schema, format, ack, handle } = this.#options;
    const { settlement } = this.#parts;
    const body = decodeBody(schema, delivery.data, format);
    if (!body.ok) return settlement.undecodable(delivery, body.reason);
    const message = received(delivery, body.value, storedOf(delivery));
    const { signal } = this.#intake;
    const handling = () => untilAborted(() => handle(message, { signal }), signal);
    if (ack === "onReceipt") return this.#handleOnce(held, handling);
    try {
      await handling();
    } catch (error) {
      if (signal.aborted) settlement.handBack(delivery);
      else if (error instanceof GivenUpError) await settlement.refused(delivery, error);
      else await settlement.failed(held, error);
      return;
    }
    await settlement.acknowledge(delivery);
  }

  async #handleOnce({ delivery, readRules }: Held, handling: () => Promise<void>): Promise<void> {
    const isConfirmed = await this.#parts.settlement.acknowledge(delivery);
    // Unconfirmed, it may come again, and handling it now as well could be twice; the last time it cannot.
    if (!isConfirmed && delivery.deliveryCount !== (await readRules()).maxDeliver) return;
    try {
      await handling();
    } catch (error) {
      this.#parts.logger.error(
        { ...placeOf(delivery), err: error },
        "handling a message failed; it was acknowledged and is gone",
      );
    }
  }

  async #finish(): Promise<void> {
    for (const { delivery, release } of this.#waiting.splice(0)) {
      release();
      this.#parts.settlement.handBack(delivery);
    }
    await Promise.all(this.#inHand);
  }
}
