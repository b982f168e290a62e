import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import { nanosFromMs } from "../protocol/time.js";
import { type Position, positionOf } from "./ack-subject.js";
import { apiCodes, refusalError, refusalOf, violationError } from "./api-error.js";
import { Backoff } from "./backoff.js";
import type { Connection, Message, Subscription } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";

/**
 * Reads a stream in order, without acknowledgements, through an ephemeral push consumer. Whatever goes wrong (a gap, a
 * lost connection, a restarted server, silence) has one answer: a new consumer, from where the reader says.
 *
 * The client library has such a reader. It notices a consumer that a server restart took away after two missed
 * heartbeats of 30 s; this one does at once on a reconnect, and after 3 s otherwise.
 */

/** A message as it lies in its stream. */
export interface StreamMessage {
  readonly subject: string;
  readonly sequence: number;
  /** When the stream stored it: nanoseconds since 1970 in digits. With the sequence it names a message for good. */
  readonly storedAt: string;
  /** How many messages the consumer still had to deliver after this one. */
  readonly pending: number;
  /** May share memory with the socket's buffer: copy what is kept. */
  readonly data: Uint8Array;
  header(name: string): string | undefined;
}

export interface OrderedReaderOptions {
  readonly stream: string;
  readonly filterSubject?: string;
  /** `headersOnly`: the bodies stay on the server. */
  readonly content: "full" | "headersOnly";
  readonly logger: Logger;
  /** The first sequence wanted, asked at each start and restart. */
  startAt(): number;
  /** A consumer is there. `caughtUp`: it has nothing to deliver at the moment. */
  onStarted?(state: "behind" | "caughtUp"): void;
  onMessage(message: StreamMessage): void;
  /** The server has delivered everything there is; called once a second while that lasts. */
  onIdle?(): void;
  /** The server sends no more until `goOn` is called: at once, unless what was delivered still waits somewhere. */
  onFlowControl(goOn: () => void): void;
  /** The reader has stopped for good: the stream does not exist, or the connection was closed. */
  onFailed(error: PerdureError): void;
}

const IDLE_HEARTBEAT_MS = 1_000;
/** Two heartbeats may be late or lost before the third one missing counts as silence. */
const SILENCE_MS_MAX = 3 * IDLE_HEARTBEAT_MS;
/** How long the server keeps a consumer nobody listens to: of use to nobody, since a restart makes a new one. */
const INACTIVE_THRESHOLD_MS = 10_000;

const STATUS_CONTROL = 100;

export class OrderedReader {
  readonly #connection: Connection;
  readonly #options: OrderedReaderOptions;
  readonly #backoff = new Backoff();
  readonly #monitor: NodeJS.Timeout;
  readonly #stopListening: () => void;
  /** Of the consumer in use; everything that belongs to an older one is dropped. */
  #generation = 0;
  #subscription: Subscription | undefined;
  #retry: NodeJS.Timeout | undefined;
  #inbox = "";
  /** Of the last message, in the consumer's own count, which has no gaps. */
  #deliverySequence = 0;
  #heardAt = 0;
  #stopped = false;

  constructor(connection: Connection, options: OrderedReaderOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#stopListening = connection.onEvent((event) => {
      if (event === "reconnected") this.restart("the connection was lost");
      if (event === "closed") this.#fail(closedError(options.stream));
    });
    this.#monitor = setInterval(() => this.#checkSilence(), IDLE_HEARTBEAT_MS);
    this.#monitor.unref();
    void this.#start();
  }

  /** Goes on with a new consumer from `startAt()`. */
  restart(reason: string): void {
    if (this.#stopped) return;
    this.#options.logger.debug({ stream: this.#options.stream, reason }, "reading the stream through a new consumer");
    void this.#start();
  }

  /** May be called twice. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#generation += 1;
    this.#stopListening();
    clearInterval(this.#monitor);
    clearTimeout(this.#retry);
    this.#subscription?.unsubscribe();
  }

  async #start(): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    clearTimeout(this.#retry);
    this.#subscription?.unsubscribe();
    this.#deliverySequence = 0;
    this.#heardAt = performance.now();
    this.#inbox = this.#connection.newInbox();
    this.#subscription = this.#connection.subscribe(this.#inbox, (message) => {
      if (generation === this.#generation) this.#receive(message);
    });
    try {
      const created = await this.#createConsumer();
      if (generation !== this.#generation) return;
      this.#backoff.reset();
      // What was delivered before this answer was written may still be on its way behind it.
      const allHere = created.num_pending === 0 && created.delivered.consumer_seq <= this.#deliverySequence;
      this.#options.onStarted?.(allHere ? "caughtUp" : "behind");
    } catch (error) {
      if (generation === this.#generation) this.#onStartFailed(error);
    }
  }

  async #createConsumer() {
    const { stream, filterSubject, content } = this.#options;
    const { consumers } = await managerOf(this.#connection);
    return consumers.add(stream, {
      deliver_subject: this.#inbox,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, this.#options.startAt()),
      ack_policy: AckPolicy.None,
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: nanosFromMs(IDLE_HEARTBEAT_MS),
      inactive_threshold: nanosFromMs(INACTIVE_THRESHOLD_MS),
      mem_storage: true,
      num_replicas: 1,
      headers_only: content === "headersOnly",
      ...(filterSubject === undefined ? {} : { filter_subject: filterSubject }),
    });
  }

  #onStartFailed(error: unknown): void {
    const { stream, logger } = this.#options;
    const refusal = refusalOf(error);
    const lasting =
      refusal?.code === apiCodes.streamNotFound
        ? refusalError(refusal, `read stream ${stream}`, error)
        : violationError(error, `read stream ${stream}`);
    if (lasting !== undefined) {
      this.#fail(lasting);
      return;
    }
    const delayMs = this.#backoff.nextDelayMs();
    logger.warn({ stream, err: error, delayMs }, "cannot read the stream now; trying again");
    this.#retry = setTimeout(() => this.restart("the last try failed"), delayMs);
  }

  #receive(message: Message): void {
    this.#heardAt = performance.now();
    // Messages of the stream come under their own subject; what comes under the inbox's is said by the server.
    if (message.subject === this.#inbox) {
      this.#onControl(message);
      return;
    }
    const streamMessage = StoredMessage.from(message);
    if (streamMessage === undefined || streamMessage.deliverySequence !== this.#deliverySequence + 1) {
      this.restart("a message was lost on the way");
      return;
    }
    this.#deliverySequence = streamMessage.deliverySequence;
    try {
      this.#options.onMessage(streamMessage);
    } catch (error) {
      // To go on would be to drop the message; whoever reads must decide what its own fault means.
      const { sequence, subject } = streamMessage;
      this.#fail(
        new PerdureError("INTERNAL", `Reading ${this.#options.stream} stopped: the handler threw at ${sequence}.`, {
          details: { stream: this.#options.stream, sequence, subject },
          cause: error,
        }),
      );
    }
  }

  #onControl(message: Message): void {
    if (message.statusCode !== STATUS_CONTROL) {
      this.restart(`the server ended the consumer (${message.statusCode ?? "no status"})`);
      return;
    }
    const stalledAt = message.header("Nats-Consumer-Stalled");
    const goOnAt = message.reply ?? stalledAt;
    if (goOnAt !== undefined) this.#options.onFlowControl(this.#permission(goOnAt));
    if (message.reply !== undefined) return;
    const deliveredByServer = Number(message.header("Nats-Last-Consumer") ?? "0");
    if (deliveredByServer > this.#deliverySequence) this.restart("messages were lost on the way");
    // One that stands still for our permission beats as well, and has more to deliver.
    else if (stalledAt === undefined) this.#options.onIdle?.();
  }

  #permission(goOnAt: string): () => void {
    const generation = this.#generation;
    return () => {
      if (generation === this.#generation) this.#connection.publish(goOnAt, "");
    };
  }

  #checkSilence(): void {
    if (performance.now() - this.#heardAt > SILENCE_MS_MAX) this.restart("the server was silent");
  }

  #fail(error: PerdureError): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onFailed(error);
  }
}

class StoredMessage implements StreamMessage {
  readonly #message: Message;
  readonly #position: Position;

  constructor(message: Message, position: Position) {
    this.#message = message;
    this.#position = position;
  }

  static from(message: Message): StoredMessage | undefined {
    const position = positionOf(message.reply);
    return position === undefined ? undefined : new StoredMessage(message, position);
  }

  get sequence(): number {
    return this.#position.sequence;
  }

  get deliverySequence(): number {
    return this.#position.deliverySequence;
  }

  get storedAt(): string {
    return this.#position.storedAt;
  }

  get pending(): number {
    return this.#position.pending;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  header(name: string): string | undefined {
    return this.#message.header(name);
  }
}

function closedError(stream: string): PerdureError {
  return new PerdureError("CONNECTION_FAILED", `Stopped reading ${stream}: the connection was closed.`, {
    details: { stream },
  });
}
