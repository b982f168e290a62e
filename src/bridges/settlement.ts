/**
 * How a delivered message is answered, whatever became of it: handled, unreadable, or failed. One place, so that nothing
 * is terminated before it is among the dead letters.
 */
import type { Clock } from "../clock.js";
import type { Delivery } from "../jetstream/delivery.js";
import type { ConsumerRules } from "../jetstream/durable-consumer.js";
import type { Logger } from "../logger.js";
import type { DeadLetterReason } from "../protocol/dead-letter.js";
import type { Held } from "./consumer-intake.js";
import type { DeadLetterBox } from "./dead-letter-box.js";
import type { GivenUpError } from "./given-up-error.js";

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
/** So often at least: no timer is set to more than 24 days. */
const WORKING_INTERVAL_MS_MAX = 10_000;

export class Settlement {
  readonly #options: SettlementOptions;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** Tells the server that the message is in hand, until the returned function is called. */
  hold(delivery: Delivery, rules: () => ConsumerRules): () => void {
    let timer: NodeJS.Timeout | undefined;
    const arm = (): void => {
      const intervalMs = Math.min(WORKING_INTERVAL_MS_MAX, Math.max(1, rules().ackWaitMs / WORKING_SHARE));
      timer = setTimeout(() => {
        this.#working(delivery);
        arm();
      }, intervalMs).unref();
    };
    arm();
    return () => clearTimeout(timer);
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
  async undecodable(delivery: Delivery, reason: string): Promise<void> {
    await this.#giveUp(delivery, { reason: "undecodable", why: `The message ${reason}.` });
  }

  /** To be delivered again, or given up if this was the last time. */
  async failed({ delivery, readRules }: Pick<Held, "delivery" | "readRules">, error: unknown): Promise<void> {
    const { maxDeliver } = await readRules();
    if (maxDeliver !== undefined && delivery.deliveryCount >= maxDeliver) {
      const why = error instanceof Error ? error.message : String(error);
      await this.#giveUp(delivery, { reason: "failed", why, error });
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
  async refused(delivery: Delivery, error: GivenUpError): Promise<void> {
    await this.#giveUp(delivery, { reason: "failed", why: error.message, error });
  }

  async #giveUp(
    delivery: Delivery,
    { reason, why, error: err }: { reason: DeadLetterReason; why: string; error?: unknown },
  ): Promise<void> {
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
    const given = { ...placeOf(delivery), reason, deliveries: delivery.deliveryCount, err };
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
