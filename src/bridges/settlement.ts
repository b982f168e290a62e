/**
 * How a delivered message is answered, whatever became of it: handled, unreadable, or failed. One place, so that nothing
 * is terminated before it is among the dead letters.
 */
import type { Clock } from "../clock.js";
import type { Delivery } from "../jetstream/delivery.js";
import type { ConsumerRules } from "../jetstream/durable-consumer.js";
import type { Logger } from "../logger.js";
import type { DeadLetterReason } from "../protocol/dead-letter.js";
import type { DeadLetterBox } from "./dead-letter-box.js";

export interface SettlementOptions {
  /** Undefined where messages that cannot be handled are only logged. */
  readonly deadLetters: DeadLetterBox | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Before the second delivery; it doubles, and stays below what an operator who mends something wants to wait. */
const RETRY_DELAY_MS_FIRST = 500;
const RETRY_DELAY_MS_MAX = 30_000;
/** Of the wait for an acknowledgement: two may be lost on the way before a message counts as abandoned. */
const WORKING_SHARE = 3;
/** So often at least: somebody may shorten the wait meanwhile, and no timer is set to more than 24 days. */
const WORKING_INTERVAL_MS_MAX = 10_000;

export class Settlement {
  readonly #options: SettlementOptions;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** Tells the server that the message is in hand, until the returned function is called. */
  hold(delivery: Delivery, { ackWaitMs }: ConsumerRules): () => void {
    const intervalMs = Math.min(WORKING_INTERVAL_MS_MAX, Math.max(1, ackWaitMs / WORKING_SHARE));
    const timer = setInterval(() => this.#working(delivery), intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** False where the server did not confirm it: the message may be delivered again. */
  async acknowledge(delivery: Delivery): Promise<boolean> {
    try {
      await delivery.ack();
      return true;
    } catch (error) {
      this.#options.logger.warn(
        { ...placeOf(delivery), err: error },
        "an acknowledgement was not confirmed; the message may be delivered again",
      );
      return false;
    }
  }

  /** Another delivery would not read better. */
  async undecodable(delivery: Delivery, why: string): Promise<void> {
    await this.#giveUp(delivery, "undecodable", `The message ${why}.`);
  }

  /** To be delivered again, or given up if this was the last time. */
  async failed(delivery: Delivery, error: unknown, { maxDeliver }: ConsumerRules): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    if (maxDeliver !== undefined && delivery.deliveryCount >= maxDeliver) {
      await this.#giveUp(delivery, "failed", message);
      return;
    }
    const delayMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_FIRST * 2 ** (delivery.deliveryCount - 1));
    this.#options.logger.warn(
      { ...placeOf(delivery), delayMs, err: error },
      "handling a message failed; it is delivered again",
    );
    this.#return(delivery, delayMs);
  }

  /** Whoever handled it stops: somebody else may have it at once. */
  handBack(delivery: Delivery): void {
    this.#return(delivery, 0);
  }

  /** Failed, and will not be better another time. */
  async refused(delivery: Delivery, why: string): Promise<void> {
    await this.#giveUp(delivery, "failed", why);
  }

  async #giveUp(delivery: Delivery, reason: DeadLetterReason, why: string): Promise<void> {
    const { deadLetters, clock, logger } = this.#options;
    try {
      await deadLetters?.open(logger);
      await deadLetters?.keep(delivery, { reason, why, failedAt: clock.now() }, logger);
    } catch (error) {
      logger.error(
        { ...placeOf(delivery), err: error },
        "a message that cannot be handled could not be put among the dead letters; it stays where it is",
      );
      this.#return(delivery, RETRY_DELAY_MS_MAX);
      return;
    }
    const given = { ...placeOf(delivery), reason, deliveries: delivery.deliveryCount };
    if (deadLetters === undefined) logger.error(given, "a message cannot be handled; it is dropped");
    else logger.error(given, "a message is a dead letter now");
    try {
      await delivery.term(why);
    } catch (error) {
      logger.warn({ ...placeOf(delivery), err: error }, "a dead letter may be delivered again");
    }
  }

  #working(delivery: Delivery): void {
    try {
      delivery.working();
    } catch (error) {
      this.#options.logger.debug({ ...placeOf(delivery), err: error }, "cannot say that a message is in hand");
    }
  }

  #return(delivery: Delivery, delayMs: number): void {
    try {
      delivery.nak(delayMs);
    } catch (error) {
      this.#options.logger.debug({ ...placeOf(delivery), err: error }, "a message comes back by its time-out");
    }
  }
}

export const placeOf = ({ stream, consumer, sequence, subject }: Delivery) => ({ stream, consumer, sequence, subject });
