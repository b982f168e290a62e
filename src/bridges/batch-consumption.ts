/**
 * Consumes a durable consumer in batches: up to `size` messages, or what came within `waitMs` of the first. A batch is
 * handled as one and acknowledged after that; what of it cannot be read is left out and becomes a dead letter.
 */
import type { Schema } from "../workflow/standard-schema.js";
import { ConsumerIntake, type ConsumptionParts, type Held, holdCount, PATIENCE_MS } from "./consumer-intake.js";
import type { Consumption, HandlingContext } from "./consumption.js";
import { decodeBody } from "./foreign-body.js";
import { GivenUpError } from "./given-up-error.js";
import { type Received, received, storedOf } from "./received.js";
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
  readonly #intake: ConsumerIntake;
  #gathering: Held[] = [];
  #timer: NodeJS.Timeout | undefined;
  #handling: Promise<void> | undefined;

  /** @throws PerdureError USAGE for a `size` that holds nothing; as `DurableConsumer.start` does */
  static async start<T>(parts: ConsumptionParts, options: BatchOptions<T>): Promise<BatchConsumption<T>> {
    holdCount("size", options.size, options);
    const consumption = new BatchConsumption(parts, options);
    await consumption.#intake.open();
    return consumption;
  }

  private constructor(parts: ConsumptionParts, options: BatchOptions<T>) {
    const { stream, consumer, size } = options;
    this.#parts = parts;
    this.#options = options;
    this.#intake = new ConsumerIntake(parts, {
      stream,
      consumer,
      // The next batch is gathered while one is handled.
      free: () => size - this.#gathering.length,
      onHeld: (held) => this.#take(held),
      finish: () => this.#finish(),
    });
  }

  stop(patienceMs = PATIENCE_MS): Promise<void> {
    return this.#intake.stop(patienceMs);
  }

  #take(held: Held): void {
    this.#gathering.push(held);
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
      this.#intake.askForMore();
    });
    this.#intake.askForMore();
  }

  async #handle(batch: readonly Held[]): Promise<void> {
    const ordered = batch.toSorted((a, b) => a.delivery.sequence - b.delivery.sequence);
    const readable: { readonly held: Held; readonly message: Received<T> }[] = [];
    const unreadable: { readonly held: Held; readonly reason: string }[] = [];
    for (const held of ordered) {
      const body = decodeBody(this.#options.schema, held.delivery.data);
      if (body.ok) readable.push({ held, message: received(held.delivery, body.value, storedOf(held.delivery)) });
      else unreadable.push({ held, reason: body.reason });
    }
    const kept = this.#keep(unreadable);
    const settle = await this.#outcomeOf(readable.map(({ message }) => message));
    await Promise.all([kept, ...readable.map(({ held }) => settle(held))]);
    for (const { release } of batch) release();
  }

  /** One after the other: a thousand large ones, each several times over as a letter, would fill the memory. */
  async #keep(unreadable: readonly { readonly held: Held; readonly reason: string }[]): Promise<void> {
    for (const { held, reason } of unreadable) await this.#parts.settlement.undecodable(held.delivery, reason);
  }

  /** What becomes of each message of a batch. */
  async #outcomeOf(messages: readonly Received<T>[]): Promise<(held: Held) => Promise<unknown>> {
    const { settlement } = this.#parts;
    const { signal } = this.#intake;
    try {
      if (messages.length > 0) await untilAborted(() => this.#options.handle(messages, { signal }), signal);
      return ({ delivery }) => settlement.acknowledge(delivery);
    } catch (error) {
      if (signal.aborted) return async ({ delivery }) => settlement.handBack(delivery);
      if (error instanceof GivenUpError) return ({ delivery }) => settlement.refused(delivery, error);
      return (held) => settlement.failed(held, error);
    }
  }

  async #finish(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#handling !== undefined || this.#gathering.length > 0) {
      this.#flush();
      await this.#handling;
    }
  }
}
