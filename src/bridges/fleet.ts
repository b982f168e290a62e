/**
 * A member's place in a foreign fleet: its subjects and streams, with its own message shapes. Needs no orchestrator; a
 * bridge (bridge.ts) stands on it, and so does a program that is nothing but a member.
 */
import { type Clock, systemClock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { type Connection, connect, type Subscription } from "../jetstream/connection.js";
import { type ConnectionOptions, connectionOptionsOf } from "../jetstream/connection-options.js";
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
import { watchExhausted } from "./exhausted.js";
import { decodeBody } from "./foreign-body.js";
import { type Received, received } from "./received.js";
import { Settlement } from "./settlement.js";

/** `servers` is nats://localhost:4222 by default. */
export interface FleetOptions extends ConnectionOptions {
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** Made, or held against the server, before anything else. */
  readonly topology?: DeclaredTopology | undefined;
  /** Of the dead letters; default "mcp". */
  readonly namespace?: string | undefined;
  /** Default: JSON lines on stderr, level "info". */
  readonly logger?: Logger | undefined;
}

export interface PublishOptions {
  /** `Nats-Msg-Id`: the same one within the stream's duplicate window is one message. */
  readonly messageId?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface Published {
  readonly sequence: number;
  /** The stream had a message of this `messageId`. */
  readonly isDuplicate: boolean;
}

export interface Fleet {
  readonly name: string;
  /** Of the dead letters, and of what a bridge says by itself. */
  readonly namespace: string;
  readonly url: string;
  /** False while the connection is lost and tries to come back. */
  readonly isConnected: boolean;
  readonly deadLetters: DeadLetterBox;
  /** Makes what is missing. @throws PerdureError TOPOLOGY_… where that would lose data */
  apply(topology: DeclaredTopology): Promise<void>;
  /**
   * Publishes JSON to a stream and resolves when that has it.
   * @throws PerdureError NO_RESPONDERS where no stream takes the subject; STORAGE_FULL; REQUEST_TIMED_OUT, unknown: publish
   *   again with the same `messageId`
   */
  publish(subject: string, body: unknown, options?: PublishOptions): Promise<Published>;
  /** Publishes JSON to whoever listens; lost where nobody does, or the connection is. */
  send(subject: string, body: unknown, options?: Pick<PublishOptions, "headers">): void;
  /** Hears what is published, stored or not. What does not fit the schema is logged and left out. */
  listen<T>(
    subject: string,
    schema: Schema<unknown, T>,
    handle: (message: Received<T>) => void,
    options?: { readonly queue?: string | undefined },
  ): Subscription;
  /** @throws PerdureError NOT_FOUND where there is no such consumer; STORAGE_MISCONFIGURED */
  consume<T>(options: ConsumeOptions<T>): Promise<Consumption>;
  /** @throws as `consume` does */
  consumeBatches<T>(options: BatchOptions<T>): Promise<Consumption>;
  /** @throws PerdureError NOT_FOUND */
  lag(stream: string, consumer: string): Promise<ConsumerLag>;
  /** The consumers of a stream, whoever made them. @throws PerdureError NOT_FOUND where there is no such stream */
  consumers(stream: string): Promise<readonly ConsumerSetup[]>;
  /** @throws PerdureError NOT_FOUND */
  streamState(stream: string): Promise<StreamState>;
  /** The last message on a subject; undefined where there is none, or it does not fit the schema. */
  last<T>(stream: string, subject: string, schema: Schema<unknown, T>): Promise<Received<T> | undefined>;
  /** A KV bucket that a topology declares, with the schema of its values, or of those that are read here. */
  bucket<T>(name: string, schema: Schema<unknown, T>): Bucket<T>;
  /** Returns how many messages were taken away. `subject` may have wildcards; without one, all of them. */
  purge(stream: string, subject?: string): Promise<number>;
  /** Milliseconds of a round trip to JetStream. @throws PerdureError where there is none */
  ping(): Promise<number>;
  /** Called whenever a lost connection is there again: what was only sent or listened for meanwhile was missed. */
  onReconnected(listener: () => void): void;
  /** Resolves when the server has what was sent, and knows what is listened for. */
  flush(): Promise<void>;
  /** Stops every consumption and lets what is in hand finish for so long; default 30,000. */
  stopConsuming(patienceMs?: number): Promise<void>;
  /** Stops every consumption, lets what was published leave, and closes. */
  close(): Promise<void>;
}

const SERVER_DEFAULT = "nats://localhost:4222";
const PUBLISH_TIMEOUT_MS = 5_000;

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
  #closed: Promise<void> | undefined;

  constructor(connection: Connection, parts: { name: string; namespace: Namespace; logger: Logger }) {
    this.name = parts.name;
    this.namespace = parts.namespace;
    this.#connection = connection;
    this.#logger = parts.logger;
    this.#unreadable = new SampledLog(parts.logger, "warn", "a message does not fit its schema; it is left out");
    this.deadLetters = new DeadLetterBox(connection, parts.namespace);
  }

  get url(): string {
    return this.#connection.url;
  }

  get isConnected(): boolean {
    return !this.#connection.isReconnecting && this.#closed === undefined;
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
    if (keep) await this.#keepLetters(options);
    return this.#started(MessageConsumption.start(this.#parts(keep ? this.deadLetters : undefined), options));
  }

  async consumeBatches<T>(options: BatchOptions<T>): Promise<Consumption> {
    await this.#keepLetters(options);
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

  onReconnected(listener: () => void): void {
    this.#connection.onEvent((event) => {
      if (event === "reconnected") listener();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** What cannot be kept is known before the first message that has to be. */
  async #keepLetters({ stream, consumer }: { readonly stream: string; readonly consumer: string }): Promise<void> {
    await this.deadLetters.open(this.#logger);
    const name = `${stream}/${consumer}`;
    let watch = this.#watches.get(name);
    if (watch === undefined) {
      const [connection, deadLetters, clock, logger] = [this.#connection, this.deadLetters, this.#clock, this.#logger];
      watch = this.#started(watchExhausted({ stream, consumer }, { connection, deadLetters, clock, logger }));
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

  flush(): Promise<void> {
    return this.#connection.flush();
  }

  async stopConsuming(patienceMs?: number): Promise<void> {
    await Promise.all([...this.#consumptions].map((consumption) => consumption.stop(patienceMs)));
  }

  async #close(): Promise<void> {
    await this.stopConsuming();
    await this.#connection.drain();
  }
}

function jsonOf(subject: string, body: unknown): string {
  const json: string | undefined = JSON.stringify(body);
  if (json === undefined) {
    throw new PerdureError("INVALID_MESSAGE", `Did not publish to ${subject}: a ${typeof body} is not JSON.`);
  }
  return json;
}
