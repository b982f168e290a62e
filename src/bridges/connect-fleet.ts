/** Connects a program to a fleet, and is its place there for as long as that lasts. */
import { type Clock, systemClock } from "../clock.js";
import { Deferred } from "../deferred.js";
import { PerdureError } from "../errors.js";
import { type Connection, connect, type Subscription } from "../jetstream/connection.js";
import { connectionOptionsOf } from "../jetstream/connection-options.js";
import { publishAcked } from "../jetstream/publisher.js";
import {
  type ConsumerLag,
  type ConsumerSetup,
  consumerLag,
  consumerSetups,
  lastMessage,
  pingJetStream,
  purgeStream,
  type StreamState,
  streamState,
} from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import { createLogger, type Logger, SampledLog } from "../logger.js";
import { DEFAULT_NAMESPACE, Namespace } from "../protocol/ids.js";
import type { DeclaredTopology } from "../protocol/topology-declaration.js";
import type { Schema } from "../workflow/standard-schema.js";
import { BatchConsumption, type BatchOptions } from "./batch-consumption.js";
import { type Bucket, bucketOf } from "./bucket.js";
import { type ConsumeOptions, type Consumption, MessageConsumption } from "./consumption.js";
import { DeadLetterBox } from "./dead-letter-box.js";
import { type GoOn, type WatchedConsumer, watchExhausted } from "./exhausted.js";
import type { Fleet, FleetOptions, Published, PublishOptions } from "./fleet.js";
import { decodeBody } from "./foreign-body.js";
import { PUBLISH_TIMEOUT_MS } from "./guarded-publish.js";
import { type Received, received, storedOf } from "./received.js";
import { Settlement } from "./settlement.js";

const SERVER_DEFAULT = "nats://localhost:4222";

/** @throws PerdureError CONNECTION_FAILED, USAGE, INVALID_ID; as `Fleet.apply` does */
export async function connectFleet(options: FleetOptions): Promise<Fleet> {
  const namespace = Namespace.safeParse(options.namespace ?? DEFAULT_NAMESPACE);
  if (!namespace.success) {
    throw new PerdureError("INVALID_ID", `namespace "${options.namespace}" must match [a-z0-9][a-z0-9-]{0,31}`, {
      details: { namespace: options.namespace },
    });
  }
  const logger = options.logger ?? createLogger("info");
  const connection = await connect({
    ...connectionOptionsOf(options),
    servers: options.servers ?? SERVER_DEFAULT,
    name: options.name,
    logger,
  });
  const fleet = new ConnectedFleet(connection, { name: options.name, namespace: namespace.data, logger });
  try {
    if (options.topology !== undefined) await fleet.apply(options.topology);
  } catch (error) {
    await fleet.close();
    throw error;
  }
  return fleet;
}

class ConnectedFleet implements Fleet {
  readonly name: string;
  readonly namespace: Namespace;
  readonly deadLetters: DeadLetterBox;
  readonly #connection: Connection;
  readonly #logger: Logger;
  readonly #unreadable: SampledLog;
  readonly #clock: Clock = systemClock;
  readonly #consumptions = new Set<Consumption>();
  /** One for each consumer that is consumed with dead letters, by `<stream>/<consumer>`. */
  readonly #watches = new Map<string, Promise<Consumption>>();
  readonly #ended = new Deferred();
  #closing: Promise<void> | undefined;

  constructor(connection: Connection, parts: { name: string; namespace: Namespace; logger: Logger }) {
    this.name = parts.name;
    this.namespace = parts.namespace;
    this.#connection = connection;
    this.#logger = parts.logger;
    this.#unreadable = new SampledLog(parts.logger, "warn", "a message does not fit its schema; it is left out");
    this.deadLetters = new DeadLetterBox(connection, parts.namespace);
    connection.onEvent((event) => {
      if (event === "closed" && this.#closing === undefined) this.#ended.reject(this.#lost());
    });
  }

  get closed(): Promise<void> {
    return this.#ended.promise;
  }

  get url(): string {
    return this.#connection.url;
  }

  get isConnected(): boolean {
    return !this.#connection.isReconnecting && this.#closing === undefined;
  }

  async apply(topology: DeclaredTopology): Promise<void> {
    await applyTopology(this.#connection, topology, { onDataLoss: "refuse", logger: this.#logger });
  }

  async publish(subject: string, body: unknown, { messageId, headers }: PublishOptions = {}): Promise<Published> {
    const { sequence, duplicate } = await publishAcked(this.#connection, subject, jsonOf(subject, body), {
      timeoutMs: PUBLISH_TIMEOUT_MS,
      headers: { ...headers, ...(messageId === undefined ? {} : { "Nats-Msg-Id": messageId }) },
    });
    return { sequence, isDuplicate: duplicate };
  }

  send(subject: string, body: unknown, { headers }: Pick<PublishOptions, "headers"> = {}): void {
    this.#connection.publish(subject, jsonOf(subject, body), headers === undefined ? {} : { headers });
  }

  listen<T>(
    subject: string,
    schema: Schema<unknown, T>,
    handle: (message: Received<T>) => void,
    { queue }: { readonly queue?: string | undefined } = {},
  ): Subscription {
    return this.#connection.subscribe(
      subject,
      (message) => {
        const body = decodeBody(schema, message.data);
        if (body.ok) handle(received(message, body.value));
        else this.#unreadable.write({ subject: message.subject, why: body.reason });
      },
      { queue },
    );
  }

  async consume<T>(options: ConsumeOptions<T>): Promise<Consumption> {
    const keep = options.deadLetters !== "none";
    if (keep) await this.#keepLetters(options, goOnWith(options));
    return this.#started(MessageConsumption.start(this.#parts(keep ? this.deadLetters : undefined), options));
  }

  async consumeBatches<T>(options: BatchOptions<T>): Promise<Consumption> {
    await this.#keepLetters(options, undefined);
    return this.#started(BatchConsumption.start(this.#parts(this.deadLetters), options));
  }

  lag(stream: string, consumer: string): Promise<ConsumerLag> {
    return consumerLag(this.#connection, stream, consumer);
  }

  consumers(stream: string): Promise<readonly ConsumerSetup[]> {
    return consumerSetups(this.#connection, stream);
  }

  streamState(stream: string): Promise<StreamState> {
    return streamState(this.#connection, stream);
  }

  async last<T>(stream: string, subject: string, schema: Schema<unknown, T>): Promise<Received<T> | undefined> {
    const message = await lastMessage(this.#connection, stream, subject);
    if (message === undefined) return undefined;
    const body = decodeBody(schema, message.data);
    if (body.ok) return received(message, body.value, { stream, deliveryCount: 1, ...message });
    this.#unreadable.write({ subject, why: body.reason });
    return undefined;
  }

  bucket<T>(name: string, schema: Schema<unknown, T>): Bucket<T> {
    return bucketOf(this.#connection, name, schema);
  }

  purge(stream: string, subject?: string): Promise<number> {
    return purgeStream(this.#connection, stream, subject);
  }

  ping(): Promise<number> {
    return pingJetStream(this.#connection);
  }

  flush(): Promise<void> {
    return this.#connection.flush();
  }

  async stopConsuming(patienceMs?: number): Promise<void> {
    await Promise.all([...this.#consumptions].map((consumption) => consumption.stop(patienceMs)));
  }

  onReconnected(listener: () => void): void {
    this.#connection.onEvent((event) => {
      if (event === "reconnected") listener();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().finally(() => this.#ended.resolve());
    return this.#closing;
  }

  /** What cannot be kept is known before the first message that has to be. */
  async #keepLetters({ stream, consumer }: WatchedConsumer, goOn: GoOn | undefined): Promise<void> {
    await this.deadLetters.open(this.#logger);
    const name = `${stream}/${consumer}`;
    let watch = this.#watches.get(name);
    if (watch === undefined) {
      const [connection, deadLetters, clock, logger] = [this.#connection, this.deadLetters, this.#clock, this.#logger];
      watch = this.#started(watchExhausted({ stream, consumer }, { connection, deadLetters, clock, logger, goOn }));
      this.#watches.set(name, watch);
      watch.catch(() => this.#watches.delete(name));
    }
    await watch;
  }

  #parts(deadLetters: DeadLetterBox | undefined) {
    const settlement = new Settlement({ deadLetters, clock: this.#clock, logger: this.#logger });
    return { connection: this.#connection, settlement, logger: this.#logger };
  }

  async #started(starting: Promise<Consumption>): Promise<Consumption> {
    const consumption = await starting;
    this.#consumptions.add(consumption);
    return consumption;
  }

  #lost(): PerdureError {
    return new PerdureError(
      "CONNECTION_FAILED",
      `${this.name} lost its connection to ${this.url} for good and consumes nothing any more; what it had in hand is delivered again. Start it again.`,
      { details: { name: this.name, url: this.url } },
    );
  }

  async #close(): Promise<void> {
    await this.stopConsuming();
    await this.#connection.drain();
  }
}

/** What is unreadable never was in anybody's hands. */
function goOnWith<T>({ schema, format, goOn }: ConsumeOptions<T>): GoOn | undefined {
  if (goOn === undefined) return undefined;
  return async (message, context) => {
    const body = decodeBody(schema, message.data, format);
    return body.ok && goOn(received(message, body.value, storedOf(message)), context);
  };
}

function jsonOf(subject: string, body: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(body);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new PerdureError("INVALID_MESSAGE", `Did not publish to ${subject}: it is not JSON: ${why}.`, { cause });
  }
  if (json === undefined) {
    throw new PerdureError("INVALID_MESSAGE", `Did not publish to ${subject}: a ${typeof body} is not JSON.`);
  }
  return json;
}
