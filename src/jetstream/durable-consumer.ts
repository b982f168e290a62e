/**
 * Receives from a durable consumer that exists: one that is asked for messages (pull), or one that delivers to a subject,
 * perhaps of a queue group (push). Hands out one message after the other and leaves the answers to whoever handles them.
 *
 * Of a pull consumer no more is asked for than can be taken, so that what waits, waits in the stream and for anybody;
 * a push consumer sends up to its `max_ack_pending`.
 */
import { PerdureError } from "../errors.js";
import { type Logger, SampledLog } from "../logger.js";
import { nanosFromMs } from "../protocol/time.js";
import { positionOf } from "./ack-subject.js";
import { apiCodes, refusalOf, storageError } from "./api-error.js";
import { Backoff } from "./backoff.js";
import type { Connection, DrainableSubscription, Message } from "./connection.js";
import { Delivery } from "./delivery.js";
import { managerOf } from "./jetstream-manager.js";

export interface DurableConsumerOptions {
  readonly stream: string;
  readonly consumer: string;
  readonly logger: Logger;
  /** How many more messages can be taken now. */
  free(): number;
  onDelivery(delivery: Delivery, rules: ConsumerRules): void;
}

/** What whoever handles messages has to know of the consumer. */
export interface ConsumerRules {
  /** A message without an answer for so long is delivered again. */
  readonly ackWaitMs: number;
  /** How often a message is delivered at most; undefined for no end. */
  readonly maxDeliver: number | undefined;
}

/** How long one pull stays with the server. Whoever listens no more costs it that long at the most. */
const PULL_EXPIRES_MS = 10_000;
/** The server says that a pull is over; it is asked again if that was lost. */
const PULL_GRACE_MS = 2_000;

interface Pull {
  wanted: number;
  readonly expiry: NodeJS.Timeout;
}

export class DurableConsumer {
  readonly #rules: ConsumerRules;
  readonly #connection: Connection;
  readonly #options: DurableConsumerOptions;
  readonly #inbox: string;
  readonly #pulls = new Map<string, Pull>();
  readonly #backoff = new Backoff();
  readonly #isPush: boolean;
  readonly #givesNothing: SampledLog;
  readonly #subscription: DrainableSubscription;
  readonly #stopListening: () => void;
  #pullCount = 0;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @throws PerdureError NOT_FOUND where there is no such stream or consumer; STORAGE_MISCONFIGURED for one that wants no
   *   acknowledgements one by one; STORAGE_UNAVAILABLE, REQUEST_TIMED_OUT, PERMISSION_DENIED
   */
  static async start(connection: Connection, options: DurableConsumerOptions): Promise<DurableConsumer> {
    const { stream, consumer } = options;
    const { consumers } = await managerOf(connection);
    const { config } = await consumers.info(stream, consumer).catch((error: unknown) => {
      throw missing(error, stream, consumer);
    });
    if (config.ack_policy !== "explicit") {
      throw new PerdureError(
        "STORAGE_MISCONFIGURED",
        `Consumer ${consumer} of stream ${stream} has ack policy "${config.ack_policy}"; messages of it cannot be handled one by one. Nothing was consumed. Declare it with explicit acknowledgements.`,
        { details: { stream, consumer, ackPolicy: config.ack_policy } },
      );
    }
    const ackWaitNanos = config.ack_wait ?? nanosFromMs(30_000);
    const maxDeliver = config.max_deliver ?? -1;
    return new DurableConsumer(connection, options, {
      rules: { ackWaitMs: ackWaitNanos / 1_000_000, maxDeliver: maxDeliver > 0 ? maxDeliver : undefined },
      push:
        config.deliver_subject === undefined ? undefined : { to: config.deliver_subject, queue: config.deliver_group },
    });
  }

  private constructor(
    connection: Connection,
    options: DurableConsumerOptions,
    { rules, push }: { rules: ConsumerRules; push: { to: string; queue: string | undefined } | undefined },
  ) {
    this.#rules = rules;
    this.#connection = connection;
    this.#options = options;
    this.#isPush = push !== undefined;
    this.#givesNothing = new SampledLog(options.logger, "warn", "a consumer gives nothing now; asking again");
    this.#inbox = connection.newInbox();
    this.#subscription = connection.subscribe(
      push?.to ?? `${this.#inbox}.*`,
      (message) => this.#receive(message),
      push?.queue === undefined ? {} : { queue: push.queue },
    );
    this.#stopListening = connection.onEvent((event) => {
      // Pulls that the server knew of are gone with the connection.
      if (event !== "reconnected") return;
      this.#forgetPulls();
      this.askForMore();
    });
    this.askForMore();
  }

  /** To be called when more can be taken than before. */
  askForMore(): void {
    if (this.#isPush || this.#stopped || this.#retry !== undefined) return;
    let asked = 0;
    for (const { wanted } of this.#pulls.values()) asked += wanted;
    const batch = this.#options.free() - asked;
    if (batch > 0) this.#pull(batch);
  }

  /**
   * Asks for nothing more. Resolves when nothing is received any more: what the server has sent until then is, because where
   * a message is delivered once it would be lost. May be called twice.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopListening();
    clearTimeout(this.#retry);
    this.#forgetPulls();
    await this.#subscription.drain();
  }

  #pull(batch: number): void {
    const { stream, consumer } = this.#options;
    this.#pullCount += 1;
    const token = String(this.#pullCount);
    const expiry = setTimeout(() => this.#endPull(token), PULL_EXPIRES_MS + PULL_GRACE_MS);
    expiry.unref();
    this.#pulls.set(token, { wanted: batch, expiry });
    this.#connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      JSON.stringify({ batch, expires: nanosFromMs(PULL_EXPIRES_MS) }),
      { reply: `${this.#inbox}.${token}` },
    );
  }

  #receive(message: Message): void {
    const position = positionOf(message.reply);
    const token = message.subject.startsWith(this.#inbox) ? message.subject.slice(this.#inbox.length + 1) : undefined;
    if (position === undefined) {
      if (token !== undefined) this.#onStatus(token, message.statusCode ?? 0);
      else if (message.statusCode === 100 && message.reply !== undefined) this.#connection.publish(message.reply, "");
      return;
    }
    this.#backoff.reset();
    const delivery = new Delivery(this.#connection, this.#options, message, position);
    this.#countOff();
    this.#options.onDelivery(delivery, this.#rules);
    this.askForMore();
  }

  /** A message comes under its own subject, so which pull it answers cannot be told: the oldest. */
  #countOff(): void {
    for (const [token, pull] of this.#pulls) {
      pull.wanted -= 1;
      if (pull.wanted <= 0) this.#endPull(token, "answered");
      return;
    }
  }

  /** 404 and 408 end a pull that found nothing, 409 one that cannot go on; 503 is a server without JetStream. */
  #onStatus(token: string, status: number): void {
    if (status === 100) return;
    if (status === 404 || status === 408) {
      this.#endPull(token);
      return;
    }
    const { stream, consumer } = this.#options;
    this.#endPull(token, "answered");
    if (this.#stopped || this.#retry !== undefined) return;
    const delayMs = this.#backoff.nextDelayMs();
    this.#givesNothing.write({ stream, consumer, status, delayMs });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.askForMore();
    }, delayMs);
  }

  #endPull(token: string, how: "expired" | "answered" = "expired"): void {
    const pull = this.#pulls.get(token);
    if (pull === undefined) return;
    clearTimeout(pull.expiry);
    this.#pulls.delete(token);
    if (how === "expired") this.askForMore();
  }

  #forgetPulls(): void {
    for (const { expiry } of this.#pulls.values()) clearTimeout(expiry);
    this.#pulls.clear();
  }
}

function missing(error: unknown, stream: string, consumer: string): PerdureError {
  const code = refusalOf(error)?.code;
  if (code !== apiCodes.consumerNotFound && code !== apiCodes.streamNotFound) {
    return storageError(error, `look for consumer ${consumer} of stream ${stream}`);
  }
  return new PerdureError(
    "NOT_FOUND",
    `There is no ${code === apiCodes.streamNotFound ? `stream ${stream}` : `consumer ${consumer} of stream ${stream}`}; nothing was consumed. Declare it in the topology, and apply that.`,
    { details: { stream, consumer }, cause: error },
  );
}
