import { PerdureError } from "../errors.js";
import { nanosFromMs } from "../protocol/time.js";
import type { Position } from "./ack-subject.js";
import type { Connection, Message } from "./connection.js";
import type { ReceivedHeaders } from "./wire-headers.js";

/** The answers a consumer takes (NATS ADR-15). */
const verbs = { ack: "+ACK", working: "+WPI", nak: "-NAK", term: "+TERM" } as const;

/** An answer that the server did not confirm is asked for again so often before it counts as not given. */
const CONFIRM_TRIES = 3;
const CONFIRM_TIMEOUT_MS = 2_000;

/** A message that a consumer gave us and wants an answer to. */
export class Delivery implements ReceivedHeaders {
  readonly stream: string;
  readonly consumer: string;
  readonly subject: string;
  readonly headers: ReceivedHeaders["headers"];
  readonly repeatedHeaders: ReceivedHeaders["repeatedHeaders"];
  /** A copy: the message may be kept for as long as it takes. */
  readonly data: Uint8Array;
  readonly #connection: Connection;
  readonly #position: Position;
  readonly #reply: string;

  constructor(
    connection: Connection,
    from: { readonly stream: string; readonly consumer: string },
    message: Message,
    position: Position,
  ) {
    this.stream = from.stream;
    this.consumer = from.consumer;
    this.subject = message.subject;
    this.headers = message.headers;
    this.repeatedHeaders = message.repeatedHeaders;
    this.data = message.data.slice();
    this.#connection = connection;
    this.#position = position;
    this.#reply = message.reply ?? "";
  }

  get sequence(): number {
    return this.#position.sequence;
  }

  /** 1 for the first time. */
  get deliveryCount(): number {
    return this.#position.deliveryCount;
  }

  /** Epoch milliseconds by the server's clock. */
  get storedAt(): number {
    return Math.floor(Number(this.#position.storedAt) / 1_000_000);
  }

  /**
   * Resolves when the server has noted it: the message is not delivered again.
   * @throws PerdureError REQUEST_TIMED_OUT, CONNECTION_FAILED: whether it was noted is unknown.
   */
  ack(): Promise<void> {
    return this.#confirmed(verbs.ack);
  }

  /** Not delivered again, and not handled. @throws as `ack` does */
  term(reason: string): Promise<void> {
    return this.#confirmed(`${verbs.term} ${reason.replaceAll(/\s+/g, " ").slice(0, 200)}`);
  }

  /** The acknowledgement wait starts anew. Lost with the connection, and then the next one does it. */
  working(): void {
    this.#connection.publish(this.#reply, verbs.working);
  }

  /** To be delivered again after so long. Where this is lost, it is delivered again after the acknowledgement wait. */
  nak(delayMs: number): void {
    this.#connection.publish(this.#reply, `${verbs.nak} {"delay":${nanosFromMs(delayMs)}}`);
  }

  async #confirmed(answer: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#connection.request(this.#reply, answer, { timeoutMs: CONFIRM_TIMEOUT_MS });
        return;
      } catch (cause) {
        if (tries === CONFIRM_TRIES || !isPassing(cause)) throw cause;
      }
    }
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof PerdureError && (error.code === "REQUEST_TIMED_OUT" || error.code === "NO_RESPONDERS");
