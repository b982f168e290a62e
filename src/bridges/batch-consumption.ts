/**
 * Consumes a durable consumer in batches: up to `size` messages, or what came within `waitMs` of the first. A batch is
 * handled as one and acknowledged after that; what of it cannot be read is left out and becomes a dead letter.
 */
import type { Delivery } from "../jetstream/delivery.js";
import { type ConsumerRules, DurableConsumer } from "../jetstream/durable-consumer.js";
import type { Schema } from "../workflow/standard-schema.js";
import {
  type Consumption,
  type ConsumptionParts,
  type HandlingContext,
  type Held,
  holdCount,
  PATIENCE_MS,
  storedOf,
} from "./consumption.js";
import { decodeBody } from "./foreign-body.js";
import { GivenUpError } from "./given-up-error.js";
import { type Received, received } from "./received.js";
import { untilAborted } from "./until-aborted.js";

export interface BatchOptions<T> {
  readonly stream: string;
  /** A durable pull consumer that is there; its `max_ack_pending` must be `size` at least. */
  readonly consumer: string;
  readonly schema: Schema<unknown, T>;
  readonly size: number;
  /** How long a first message waits for others; default 1,000. */
  readonly waitMs?: number | undefined;
  /** In the order of the stream, redelivered ones among them. If it throws, all of them are delivered again; or none, if it is a `GivenUpError`. */
  handle(messages: readonly Received<T>[], context: HandlingContext): Promise<void> | void;
}

const WAIT_MS = 1_000;

export class BatchConsumption<T> implements Consumption {
  readonly #options: BatchOptions<T>;
  readonly #parts: ConsumptionParts;
  readonly #abort = new AbortController();
  #gathering: Held[] = [];
  #timer: NodeJS.Timeout | undefined;
  #handling: Promise<void> | undefined;
  #consumer: DurableConsumer | undefined;
  #stopped: Promise<void> | undefined;

  /** @throws PerdureError USAGE for a `size` that holds nothing; as `DurableConsumer.start` does */
  static async start<T>(parts: ConsumptionParts, options: BatchOptions<T>): Promise<BatchConsumption<T>> {
    holdCount("size", options.size, options);
    const consumption = new BatchConsumption(parts, options);
    consumption.#consumer = await DurableConsumer.start(parts.connection, {
      stream: options.stream,
      consumer: options.consumer,
      logger: parts.logger,
      free: () => consumption.#free(),
      onDelivery: (delivery, rules) => consumption.#take(delivery, rules),
    });
    return consumption;
  }

  private constructor(parts: ConsumptionParts, options: BatchOptions<T>) {
    this.#parts = parts;
    this.#options = options;
  }

  stop(patienceMs = PATIENCE_MS): Promise<void> {
    this.#stopped ??= this.#stop(patienceMs);
    return this.#stopped;
  }

  /** The next batch is gathered while one is handled. */
  #free(): number {
    return this.#options.size - this.#gathering.length;
  }

  #take(delivery: Delivery, rules: ConsumerRules): void {
    this.#gathering.push({ delivery, rules, release: this.#parts.settlement.hold(delivery, rules) });
    this.#timer ??= setTimeout(() => this.#flush(), this.#options.waitMs ?? WAIT_MS);
    if (this.#gathering.length >= this.#options.size) this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#handling !== undefined || this.#gathering.length === 0) return;
    const batch = this.#gathering.splice(0, this.#options.size);
    this.#handling = this.#handle(batch).finally(() => {
      this.#handling = undefined;
      if (this.#gathering.length > 0) this.#flush();
      this.#consumer?.askForMore();
    });
    this.#consumer?.askForMore();
  }

  async #handle(batch: readonly Held[]): Promise<void> {
    const { settlement } = this.#parts;
    const ordered = batch.toSorted((a, b) => a.delivery.sequence - b.delivery.sequence);
    const readable: { readonly held: Held; readonly message: Received<T> }[] = [];
    const settling: Promise<unknown>[] = [];
    for (const held of ordered) {
      const body = decodeBody(this.#options.schema, held.delivery.data);
      if (body.ok) readable.push({ held, message: received(held.delivery, body.value, storedOf(held.delivery)) });
      else settling.push(settlement.undecodable(held.delivery, body.reason));
    }
    const settle = await this.#outcomeOf(readable.map(({ message }) => message));
    settling.push(...readable.map(({ held }) => settle(held)));
    await Promise.all(settling);
    for (const { release } of batch) release();
  }

  /** What becomes of each message of a batch. */
  async #outcomeOf(messages: readonly Received<T>[]): Promise<(held: Held) => Promise<unknown>> {
    const { settlement } = this.#parts;
    const { signal } = this.#abort;
    try {
      if (messages.length > 0) await untilAborted(() => this.#options.handle(messages, { signal }), signal);
      return ({ delivery }) => settlement.acknowledge(delivery);
    } catch (error) {
      if (signal.aborted) return async ({ delivery }) => settlement.handBack(delivery);
      if (error instanceof GivenUpError) return ({ delivery }) => settlement.refused(delivery, error.message);
      return ({ delivery, rules }) => settlement.failed(delivery, error, rules);
    }
  }

  async #stop(patienceMs: number): Promise<void> {
    await this.#consumer?.stop();
    clearTimeout(this.#timer);
    const timer = setTimeout(() => this.#abort.abort(new Error("the consumption was stopped")), patienceMs);
    while (this.#handling !== undefined || this.#gathering.length > 0) {
      this.#flush();
      await this.#handling;
    }
    clearTimeout(timer);
  }
}
