/**
 * Receives from a durable consumer that exists: one that is asked for messages (pull), or one that delivers to a subject,
 * perhaps of a queue group (push). Hands out one message after the other and leaves the answers to whoever handles them.
 *
 * Of a pull consumer no more is asked for than can be taken, so that what waits, waits in the stream and for anybody;
 * a push consumer sends up to its `max_ack_pending`.
 */
import type { ConsumerConfig } from "@nats-io/jetstream";
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
  onDelivery(delivery: Delivery, from: DurableConsumer): void;
  /** Called before a consumer that gave nothing is asked again. */
  readonly mend?: (() => Promise<unknown>) | undefined;
}

/** What whoever handles messages has to know of the consumer. */
export interface ConsumerRules {
  /** A message without an answer for so long is delivered again; of several waits (`backoff`), the shortest. */
  readonly ackWaitMs: number;
  /** How often a message is delivered at most; undefined for no end. */
  readonly maxDeliver: number | undefined;
}

/** How long one pull stays with the server. Whoever listens no more costs it that long at the most. */
const PULL_EXPIRES_MS = 10_000;
/** The server says that a pull is over; it is asked again if that was lost. */
const PULL_GRACE_MS = 2_000;

/**
 * Somebody may edit the consumer. Rules that are older are read again with the next message, so an idle one costs nothing;
 * a message that comes again may come for that reason.
 */
const RULES_AGE_MS_MAX = 2_000;
const RULES_AGE_MS_MAX_AGAIN = 200;

interface Pull {
  readonly batch: number;
  /** Of the batch, counted off the oldest pull first. */
  wanted: number;
  readonly expiry: NodeJS.Timeout;
}

/** How a consumer gives: to a subject (push), or so many at a time to whoever asks. */
interface Giving {
  readonly push: { readonly to: string; readonly queue: string | undefined } | undefined;
  readonly batchMax: number;
  readonly expiresNanos: number;
}

/** In a status that ends a pull: how many of its messages did not come. */
const NOT_GIVEN_HEADER = "Nats-Pending-Messages";
/** In a heartbeat of a push consumer: where it waits for an answer to a flow control message that got lost. */
const STALLED_HEADER = "Nats-Consumer-Stalled";

export class DurableConsumer {
  #rules: ConsumerRules;
  #rulesReadAt = performance.now();
  #readingRules: Promise<void> | undefined;
  readonly #connection: Connection;
  readonly #options: DurableConsumerOptions;
  readonly #inbox: string;
  readonly #pulls = new Map<string, Pull>();
  readonly #backoff = new Backoff();
  readonly #giving: Giving;
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
    const config = await configOf(connection, options);
    if (config.ack_policy !== "explicit") {
      throw new PerdureError(
        "STORAGE_MISCONFIGURED",
        `Consumer ${consumer} of stream ${stream} has ack policy "${config.ack_policy}"; messages of it cannot be handled one by one. Nothing was consumed. Declare it with explicit acknowledgements.`,
        { details: { stream, consumer, ackPolicy: config.ack_policy } },
      );
    }
    // A pull that asks for more than these allow is refused, not cut: 0 and absent are no limit.
    const { deliver_subject: to, deliver_group: queue, max_batch = 0, max_expires = 0 } = config;
    return new DurableConsumer(connection, options, rulesOf(config), {
      push: to === undefined ? undefined : { to, queue },
      batchMax: max_batch > 0 ? max_batch : Number.POSITIVE_INFINITY,
      expiresNanos: Math.min(nanosFromMs(PULL_EXPIRES_MS), max_expires > 0 ? max_expires : Number.POSITIVE_INFINITY),
    });
  }

  private constructor(connection: Connection, options: DurableConsumerOptions, rules: ConsumerRules, giving: Giving) {
    const { push } = giving;
    this.#rules = rules;
    this.#connection = connection;
    this.#options = options;
    this.#giving = giving;
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

  /** As they were read last, which is seconds ago where messages come. */
  get rules(): ConsumerRules {
    return this.#rules;
  }

  /** As they are now; as they were where the server does not say. */
  async readRules(): Promise<ConsumerRules> {
    this.#readingRules ??= this.#readRules().finally(() => {
      this.#readingRules = undefined;
    });
    await this.#readingRules;
    return this.#rules;
  }

  /** To be called when more can be taken than before. */
  askForMore(): void {
    const { push, batchMax } = this.#giving;
    if (push !== undefined || this.#stopped || this.#retry !== undefined) return;
    let asked = 0;
    for (const { wanted } of this.#pulls.values()) asked += wanted;
    for (let missing = this.#options.free() - asked; missing > 0; missing -= batchMax) {
      if (!this.#pull(Math.min(missing, batchMax))) return;
    }
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

  /** False where the connection was closed for good, which it has logged: whoever calls is a timer, or has other work. */
  #pull(batch: number): boolean {
    const { stream, consumer, logger } = this.#options;
    this.#pullCount += 1;
    const token = String(this.#pullCount);
    try {
      this.#connection.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
        JSON.stringify({ batch, expires: this.#giving.expiresNanos }),
        { reply: `${this.#inbox}.${token}` },
      );
    } catch (error) {
      logger.error({ stream, consumer, err: error }, "a consumer cannot be asked any more; nothing is consumed");
      return false;
    }
    const expiry = setTimeout(() => this.#expire(token), PULL_EXPIRES_MS + PULL_GRACE_MS);
    expiry.unref();
    this.#pulls.set(token, { batch, wanted: batch, expiry });
    return true;
  }

  #receive(message: Message): void {
    const position = positionOf(message.reply);
    if (position === undefined) {
      if (this.#giving.push !== undefined) this.#answerFlowControl(message);
      else this.#onStatus(message.subject.slice(this.#inbox.length + 1), message);
      return;
    }
    this.#backoff.reset();
    const delivery = new Delivery(this.#connection, this.#options, message, position);
    this.#countOff(1);
    const ageMsMax = delivery.deliveryCount > 1 ? RULES_AGE_MS_MAX_AGAIN : RULES_AGE_MS_MAX;
    if (performance.now() - this.#rulesReadAt > ageMsMax) void this.readRules();
    this.#options.onDelivery(delivery, this);
    this.askForMore();
  }

  /** Without an answer the consumer stops; so it does where one was lost, and says so in its heartbeats. */
  #answerFlowControl(message: Message): void {
    const to = message.statusCode === 100 ? (message.reply ?? message.header(STALLED_HEADER)) : undefined;
    if (to !== undefined) this.#connection.publish(to, "");
  }

  /**
   * A message comes under its own subject, so which pull it answers cannot be told, and a server that has several takes
   * them in turn. Counted off the oldest, their sum is right, and what is left of one when it must be over was lost.
   */
  #countOff(count: number): void {
    let left = count;
    for (const [token, pull] of this.#pulls) {
      if (left === 0) return;
      const counted = Math.min(left, pull.wanted);
      left -= counted;
      pull.wanted -= counted;
      if (pull.wanted === 0) this.#forget(token);
    }
  }

  /** 404 and 408 end a pull that found nothing, 409 one that cannot go on; 503 is a server without JetStream. */
  #onStatus(token: string, message: Message): void {
    const status = message.statusCode ?? 0;
    if (status === 100) return;
    // One that says nothing of it refuses the whole pull.
    this.#countOff(Number(message.header(NOT_GIVEN_HEADER) ?? this.#pulls.get(token)?.batch ?? 0));
    if (status === 404 || status === 408) {
      this.askForMore();
      return;
    }
    const { stream, consumer } = this.#options;
    if (this.#stopped || this.#retry !== undefined) return;
    const delayMs = this.#backoff.nextDelayMs();
    this.#givesNothing.write({ stream, consumer, status, delayMs });
    this.#retry = setTimeout(() => void this.#askAgain(), delayMs);
  }

  async #askAgain(): Promise<void> {
    const { stream, consumer, logger, mend } = this.#options;
    await mend?.().catch((error: unknown) =>
      logger.warn({ stream, consumer, err: error }, "a consumer cannot be made again now"),
    );
    this.#retry = undefined;
    this.askForMore();
  }

  async #readRules(): Promise<void> {
    const { stream, consumer, logger } = this.#options;
    this.#rulesReadAt = performance.now();
    try {
      this.#rules = rulesOf(await configOf(this.#connection, this.#options));
    } catch (error) {
      logger.debug({ stream, consumer, err: error }, "the rules of a consumer cannot be read now");
    }
  }

  /** Its messages, or its status, were lost. */
  #expire(token: string): void {
    this.#forget(token);
    this.askForMore();
  }

  #forget(token: string): void {
    clearTimeout(this.#pulls.get(token)?.expiry);
    this.#pulls.delete(token);
  }

  #forgetPulls(): void {
    for (const { expiry } of this.#pulls.values()) clearTimeout(expiry);
    this.#pulls.clear();
  }
}

async function configOf(
  connection: Connection,
  { stream, consumer }: Pick<DurableConsumerOptions, "stream" | "consumer">,
): Promise<ConsumerConfig> {
  const { consumers } = await managerOf(connection);
  try {
    return (await consumers.info(stream, consumer)).config;
  } catch (error) {
    throw missing(error, stream, consumer);
  }
}

function rulesOf({
  ack_wait: ackWaitNanos = nanosFromMs(30_000),
  max_deliver = -1,
  backoff = [],
}: ConsumerConfig): ConsumerRules {
  return {
    ackWaitMs: Math.min(ackWaitNanos, ...backoff) / 1_000_000,
    maxDeliver: max_deliver > 0 ? max_deliver : undefined,
  };
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
