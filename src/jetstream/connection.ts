import {
  createInbox,
  type Msg,
  type NatsConnection,
  type NodeConnectionOptions,
  PermissionViolationError,
  type ServerInfo,
} from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";
import { type Logger, SampledLog } from "../logger.js";
import { ConnectTimeout, connectError } from "./connect-error.js";
import { closedError, noRespondersError, permissionError, publishError } from "./connection-error.js";
import { addressesOf, type ConnectionOptions, libraryOptionsFor } from "./connection-options.js";
import { connectNats } from "./gathering-transport.js";
import { InboundMessage } from "./inbound-message.js";
import { rememberNats } from "./nats-of.js";
import { PendingReplies } from "./pending-replies.js";
import { type HeadersToSend, type ReceivedHeaders, WireHeaders } from "./wire-headers.js";

/** One message as it came from the server. */
export interface Message extends ReceivedHeaders {
  readonly subject: string;
  /** Where an answer goes; absent if none is asked for. */
  readonly reply?: string | undefined;
  /** May share memory with the socket's buffer: copy what is kept. */
  readonly data: Uint8Array;
  header(name: string): string | undefined;
  /** The status code of a server answer without body: 503 means nobody listens on the subject. */
  readonly statusCode?: number | undefined;
}

export interface PublishOptions {
  readonly reply?: string;
  readonly headers?: HeadersToSend;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly headers?: HeadersToSend;
  readonly signal?: AbortSignal;
}

export interface Subscription {
  /** What the server has sent already and has not arrived is dropped. */
  unsubscribe(): void;
}

export interface DrainableSubscription extends Subscription {
  /** Ends it as well, and resolves when what the server had sent was handled, or the connection is lost. */
  drain(): Promise<void>;
}

export interface SubscribeOptions {
  /** Of the members of a queue group, one gets each message. */
  readonly queue?: string | undefined;
  /** Called where permissions do not allow it; nothing arrives then. It is logged in any case. */
  readonly onRefused?: ((error: PerdureError) => void) | undefined;
}

export type ConnectionEvent = "disconnected" | "reconnected" | "closed";

/** A connection to NATS, in the engine's terms. Nothing outside this folder sees the client library. */
export interface Connection {
  /** Of the server it is connected to now, or was last. */
  readonly url: string;
  readonly serverVersion: string;
  readonly maxPayloadBytes: number;
  /** The connection is lost and tries to come back. What is published meanwhile is mostly lost. */
  readonly isReconnecting: boolean;
  /**
   * Fire and forget; lost with the connection, and mostly lost while there is none: the library buffers it, but each
   * new dial empties that buffer.
   * @throws PerdureError PAYLOAD_TOO_LARGE above the server's limit, CONNECTION_FAILED where the connection was closed.
   */
  publish(subject: string, body: Uint8Array | string, options?: PublishOptions): void;
  /**
   * Resolves with the one answer. A lost connection does not fail it: the answer may still come after the next one.
   * @throws PerdureError REQUEST_TIMED_OUT after `timeoutMs`, NO_RESPONDERS at once where nobody listens,
   *   PERMISSION_DENIED at once where we may not publish there, CONNECTION_FAILED where the connection was closed,
   *   PAYLOAD_TOO_LARGE above the server's limit. An aborted request rejects with the signal's reason.
   */
  request(subject: string, body: Uint8Array | string, options: RequestOptions): Promise<Message>;
  /** A handler that throws is logged with the subject; the subscription and the connection live on. */
  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions): DrainableSubscription;
  /** A reply prefix of this connection's own, for subjects of the form `<inbox>.<anything>`. */
  newInbox(): string;
  /** Returns what ends the listening. */
  onEvent(listener: (event: ConnectionEvent) => void): () => void;
  /**
   * Resolves when everything published so far has reached the server.
   * @throws PerdureError CONNECTION_FAILED if the connection is lost before.
   */
  flush(): Promise<void>;
  /** Lets handlers finish and what was published leave, then closes. May be called twice. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export interface ConnectOptions extends ConnectionOptions {
  readonly servers: string | readonly string[];
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** Default 5,000. */
  readonly connectionTimeoutMs?: number;
  /** Between two tries after the connection was lost. Default 1,000. */
  readonly reconnectWaitMs?: number;
  /** Default -1: for ever. */
  readonly maxReconnects?: number;
  readonly logger: Logger;
}

/** A peer that vanished without closing its socket is noticed within three of these; the library's default is 2 min. */
const PING_INTERVAL_MS = 5_000;

/** A server that does not answer must not hold back a process that wants to end. */
const DRAIN_TIMEOUT_MS = 5_000;

const CONNECTION_TIMEOUT_MS = 5_000;
const RECONNECT_WAIT_MS = 1_000;

/** Spreads the reconnects of many clients; the library's default of 100 ms would dominate a short wait. */
const RECONNECT_JITTER_MS_MAX = 100;

/**
 * @throws PerdureError CONNECTION_FAILED if no server answers within `connectionTimeoutMs`, or none lets us in; USAGE for
 *   credentials that cannot be used, before anything is dialled.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { connectionTimeoutMs = CONNECTION_TIMEOUT_MS } = options;
  const addresses = addressesOf(options.servers);
  const dialled = connectNats({
    ...libraryOptionsFor(options, addresses, options.logger),
    ...livelinessOptions(options, connectionTimeoutMs),
  });
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ConnectTimeout(`no answer in ${connectionTimeoutMs} ms`)), connectionTimeoutMs);
  });
  try {
    return new NatsBackedConnection(await Promise.race([dialled, timedOut]), options);
  } catch (cause) {
    // A dial that succeeds after all is of no use to anybody; one that fails has nothing more to say.
    dialled.then((late) => late.close()).catch(() => undefined);
    throw connectError(addresses, cause);
  } finally {
    clearTimeout(timer);
  }
}

function livelinessOptions(options: ConnectOptions, connectionTimeoutMs: number): NodeConnectionOptions {
  const { reconnectWaitMs = RECONNECT_WAIT_MS, maxReconnects = -1 } = options;
  return {
    name: options.name,
    timeout: connectionTimeoutMs,
    reconnect: true,
    reconnectTimeWait: reconnectWaitMs,
    reconnectJitter: Math.min(RECONNECT_JITTER_MS_MAX, reconnectWaitMs),
    reconnectJitterTLS: Math.min(RECONNECT_JITTER_MS_MAX, reconnectWaitMs),
    maxReconnectAttempts: maxReconnects,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    // Costs a stack trace for each request otherwise.
    noAsyncTraces: true,
  };
}

class NatsBackedConnection implements Connection {
  readonly #nats: NatsConnection;
  readonly #logger: Logger;
  readonly #handlerThrew: SampledLog;
  readonly #reportedError: SampledLog;
  readonly #inboxPrefix: string | undefined;
  readonly #replyPrefix: string;
  readonly #replies = new PendingReplies<Message>(() => performance.now());
  readonly #listeners = new Set<(event: ConnectionEvent) => void>();
  #requestCount = 0;
  /** Without permission to hear answers no request can have one. */
  #repliesRefused: PerdureError | undefined;
  #connected = true;
  #ended: Promise<void> | undefined;
  #lastIntroduction: ServerInfo | undefined;

  constructor(nats: NatsConnection, options: ConnectOptions) {
    this.#nats = nats;
    this.#logger = options.logger;
    this.#handlerThrew = new SampledLog(options.logger, "error", "a message handler threw; the message is dropped");
    this.#reportedError = new SampledLog(options.logger, "error", "NATS reported an error");
    this.#inboxPrefix = options.inboxPrefix;
    rememberNats(this, nats);
    this.#lastIntroduction = nats.info;
    this.#replyPrefix = `${this.newInbox()}.`;
    this.subscribe(`${this.#replyPrefix}*`, (message) => this.#onReply(message), {
      onRefused: (error) => {
        this.#repliesRefused = error;
        this.#replies.failAll(error);
      },
    });
    void this.#watchStatus();
    void nats.closed().then((error) => this.#onClosed(error instanceof Error ? error : undefined));
  }

  get url(): string {
    return `nats://${this.#nats.getServer()}`;
  }

  get serverVersion(): string {
    return this.#introduction()?.version ?? "unknown";
  }

  get maxPayloadBytes(): number {
    return this.#introduction()?.max_payload ?? 0;
  }

  get isReconnecting(): boolean {
    return !(this.#connected || this.#nats.isClosed());
  }

  publish(subject: string, body: Uint8Array | string, options?: PublishOptions): void {
    this.#publish(subject, body, options?.reply, options?.headers);
  }

  request(subject: string, body: Uint8Array | string, options: RequestOptions): Promise<Message> {
    if (this.#repliesRefused !== undefined) return Promise.reject(this.#repliesRefused);
    this.#requestCount += 1;
    const token = this.#requestCount.toString(36);
    const answer = this.#replies.wait(token, subject, options.timeoutMs, options.signal);
    try {
      this.#publish(subject, body, this.#replyPrefix + token, options.headers);
    } catch (error) {
      this.#replies.fail(token, error instanceof Error ? error : new Error(String(error)));
    }
    return answer;
  }

  subscribe(
    subject: string,
    handler: (message: Message) => void,
    { queue, onRefused }: SubscribeOptions = {},
  ): DrainableSubscription {
    const subscription = this.#nats.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error: Error | null, msg: Msg) => {
        if (error !== null) {
          this.#logger.error({ subject, err: error }, "subscription refused by the server");
          onRefused?.(permissionError("subscribe to", subject, error));
          return;
        }
        // An exception that leaves this callback would end the connection's reader: the process would live on, deaf.
        try {
          handler(new InboundMessage(msg));
        } catch (thrown) {
          this.#handlerThrew.write({ subject: withoutInboxParts(msg.subject), err: thrown });
        }
      },
    });
    return {
      unsubscribe: () => (this.#nats.isClosed() ? undefined : subscription.unsubscribe()),
      drain: async () => {
        if (this.#nats.isClosed() || subscription.isClosed()) return;
        // Without a connection nothing is on its way, and the library would wait for one.
        if (this.#connected) await atMost(DRAIN_TIMEOUT_MS, subscription.drain());
        if (!subscription.isClosed()) subscription.unsubscribe();
      },
    };
  }

  newInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  onEvent(listener: (event: ConnectionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async flush(): Promise<void> {
    try {
      await this.#nats.flush();
    } catch (cause) {
      throw new PerdureError("CONNECTION_FAILED", `Lost the connection to ${this.url} before a flush was answered.`, {
        cause,
      });
    }
  }

  drain(): Promise<void> {
    // Without a connection there is nothing to drain to, and the library would wait for one.
    this.#ended ??= this.#connected ? this.#drain() : this.#nats.close();
    return this.#ended;
  }

  close(): Promise<void> {
    this.#ended = this.#nats.close();
    return this.#ended;
  }

  #publish(
    subject: string,
    body: Uint8Array | string,
    reply: string | undefined,
    headers: HeadersToSend | undefined,
  ): void {
    // A third of what the library's own encoding of texts costs.
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    try {
      if (headers === undefined) {
        this.#nats.publish(subject, bytes, reply === undefined ? undefined : { reply });
      } else if (reply === undefined) {
        this.#nats.publish(subject, bytes, { headers: new WireHeaders(headers) });
      } else {
        this.#nats.publish(subject, bytes, { reply, headers: new WireHeaders(headers) });
      }
    } catch (cause) {
      throw publishError({ url: this.url, subject, bytes: bytes.byteLength, bytesMax: this.maxPayloadBytes }, cause);
    }
  }

  /**
   * What the server said of itself when the connection was made. The library forgets it while a connection is lost; then the
   * last one holds, or every message would be too large for a server that takes none.
   */
  #introduction(): ServerInfo | undefined {
    this.#lastIntroduction = this.#nats.info ?? this.#lastIntroduction;
    return this.#lastIntroduction;
  }

  #onReply(message: Message): void {
    const token = message.subject.slice(this.#replyPrefix.length);
    if (message.statusCode === 503) {
      const subject = this.#replies.subjectOf(token);
      if (subject !== undefined) this.#replies.fail(token, noRespondersError(subject));
      return;
    }
    this.#replies.answer(token, message);
  }

  async #watchStatus(): Promise<void> {
    for await (const status of this.#nats.status()) {
      switch (status.type) {
        case "disconnect":
          if (!this.#connected) break;
          this.#connected = false;
          this.#logger.warn({ url: this.url }, "disconnected from NATS");
          this.#emit("disconnected");
          break;
        case "reconnect":
          this.#connected = true;
          // Other credentials, or other permissions, may hold now; if not, the server says so again.
          this.#repliesRefused = undefined;
          this.#logger.info({ url: this.url }, "reconnected to NATS");
          this.#emit("reconnected");
          break;
        case "error":
          this.#reportedError.write({ url: this.url, err: status.error });
          if (status.error instanceof PermissionViolationError) this.#onRefusedPublish(status.error);
          break;
        default:
          break;
      }
    }
  }

  /** The server does not say which of several messages it was, but the others on that subject fare no better. */
  #onRefusedPublish(violation: PermissionViolationError): void {
    if (violation.operation !== "publish") return;
    this.#replies.failSubject(violation.subject, permissionError("publish to", violation.subject, violation));
  }

  #onClosed(error: Error | undefined): void {
    this.#connected = false;
    if (error !== undefined) this.#logger.error({ url: this.url, err: error }, "the connection to NATS was closed");
    this.#replies.failAll(closedError(this.url, error));
    this.#emit("closed");
  }

  #emit(event: ConnectionEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (thrown) {
        this.#logger.error({ event, err: thrown }, "a listener of the connection threw");
      }
    }
  }

  async #drain(): Promise<void> {
    try {
      await atMost(DRAIN_TIMEOUT_MS, this.#nats.drain());
    } catch {
      // The connection was lost meanwhile: nothing is left to drain, and closing below is all there is to do.
    } finally {
      await this.#nats.close();
    }
  }
}

/** Waits no longer for it than so. */
async function atMost(timeoutMs: number, ending: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  try {
    await Promise.race([ending, patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** What follows in an inbox may name an attempt by its token. */
function withoutInboxParts(subject: string): string {
  return subject.startsWith("_INBOX") ? subject.split(".").slice(0, 2).join(".") : subject;
}
