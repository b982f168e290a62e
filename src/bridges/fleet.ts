/**
 * A member's place in a foreign fleet: its subjects and streams, with its own message shapes. Needs no orchestrator; a
 * bridge (bridge.ts) stands on it, and so does a program that is nothing but a member. `connect-fleet.ts` makes one.
 */
import type { Subscription } from "../jetstream/connection.js";
import type { ConnectionOptions } from "../jetstream/connection-options.js";
import type { ConsumerLag, ConsumerSetup, StreamState } from "../jetstream/stream-access.js";
import type { Logger } from "../logger.js";
import type { DeclaredTopology } from "../protocol/topology-declaration.js";
import type { Schema } from "../workflow/standard-schema.js";
import type { BatchOptions } from "./batch-consumption.js";
import type { Bucket } from "./bucket.js";
import type { ConsumeOptions, Consumption } from "./consumption.js";
import type { DeadLetterBox } from "./dead-letter-box.js";
import type { Received } from "./received.js";

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
  /**
   * Settles when it has ended: resolves after `close`, rejects with a PerdureError CONNECTION_FAILED where the connection
   * ended by itself for good, as where its credentials are refused from now on; nothing is consumed then.
   */
  readonly closed: Promise<void>;
}
