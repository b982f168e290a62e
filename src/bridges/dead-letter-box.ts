/**
 * Keeps what nobody could handle. Stream `<NS>_DEAD_LETTERS`, one subject a message, written once
 * (`Nats-Expected-Last-Subject-Sequence: 0`) and always before the message is terminated: a crash in between delivers it
 * again, or leaves it to `exhausted.ts`, and it is kept once all the same.
 */
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { defineTopology } from "../jetstream/define-topology.js";
import { publishAcked } from "../jetstream/publisher.js";
import { deleteMessage, messageAt, nextMessage, type StoredMessage, streamState } from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import type { Logger } from "../logger.js";
import {
  allDeadLetters,
  DeadLetter,
  type DeadLetterReason,
  deadLetterStreamOf,
  deadLetterSubject,
} from "../protocol/dead-letter.js";
import { decodeMessage } from "../protocol/decode.js";
import type { Namespace } from "../protocol/ids.js";
import { type RawMessage, REPLAY_HEADER, received } from "./received.js";

/** Where a message lies that is given up. */
export interface GivenUp extends RawMessage {
  readonly stream: string;
  readonly consumer: string;
  readonly sequence: number;
  readonly deliveryCount: number;
}

/** A dead letter and its place in the stream of them, by which people name it. */
export interface KeptLetter extends DeadLetter {
  readonly id: number;
}

export interface DeadLetterFilter {
  readonly stream?: string | undefined;
  readonly consumer?: string | undefined;
  /** Default 100. */
  readonly limit?: number | undefined;
}

const PUBLISH_TIMEOUT_MS = 5_000;
const LISTED_DEFAULT = 100;
const WRONG_LAST_SEQUENCE = 10_071;

export class DeadLetterBox {
  readonly #connection: Connection;
  readonly #namespace: Namespace;
  readonly #stream: string;
  #ready: Promise<unknown> | undefined;

  constructor(connection: Connection, namespace: Namespace) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#stream = deadLetterStreamOf(namespace);
  }

  /** Makes the stream if it is not there. @throws as `applyTopology` does */
  open(logger: Logger): Promise<unknown> {
    this.#ready ??= applyTopology(
      this.#connection,
      defineTopology(`${this.#namespace} dead letters`, {
        streams: {
          [this.#stream]: {
            subjects: [allDeadLetters(this.#namespace)],
            retention: "limits",
            // Full, it refuses, and the message is delivered again: dropping the oldest would lose it silently.
            discard: "new",
            description: "Perdure: messages that nobody could handle, until somebody replays or drops them.",
          },
        },
      }),
      { onDataLoss: "refuse", logger },
    ).catch((error: unknown) => {
      // The next one tries again.
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** @throws PerdureError where it could not be written: the message must not be terminated then. */
  async keep(message: GivenUp, reason: DeadLetterReason, why: string, failedAt: number): Promise<void> {
    const { stream, consumer, sequence, deliveryCount: attempts, subject, headers } = message;
    const text = textOf(message.data);
    const letter: DeadLetter = {
      reason,
      message: why,
      attempts,
      stream,
      consumer,
      sequence,
      subject,
      headers: { ...headers },
      data: text ?? Buffer.from(message.data).toString("base64"),
      encoding: text === undefined ? "base64" : "text",
      failedAt,
    };
    try {
      await publishAcked(this.#connection, deadLetterSubject(this.#namespace, letter), JSON.stringify(letter), {
        timeoutMs: PUBLISH_TIMEOUT_MS,
        headers: { "Nats-Expected-Last-Subject-Sequence": "0" },
      });
    } catch (error) {
      if (!isKeptAlready(error)) throw error;
    }
  }

  async count(): Promise<number> {
    try {
      return (await streamState(this.#connection, this.#stream)).messages;
    } catch (error) {
      if (error instanceof PerdureError && error.code === "NOT_FOUND") return 0;
      throw error;
    }
  }

  /** Oldest first. */
  async list({
    stream = "*",
    consumer = "*",
    limit = LISTED_DEFAULT,
  }: DeadLetterFilter = {}): Promise<readonly KeptLetter[]> {
    const letters: KeptLetter[] = [];
    if ((await this.count()) === 0) return letters;
    const subject = `${this.#namespace}.deadletter.${stream}.${consumer}.*`;
    for (let from = 1; letters.length < limit; ) {
      const stored = await nextMessage(this.#connection, this.#stream, { sequence: from, subject });
      if (stored === undefined) break;
      letters.push(letterOf(stored));
      from = stored.sequence + 1;
    }
    return letters;
  }

  /** @throws PerdureError NOT_FOUND */
  async get(id: number): Promise<KeptLetter> {
    const stored = (await this.count()) === 0 ? undefined : await messageAt(this.#connection, this.#stream, id);
    if (stored === undefined) {
      throw new PerdureError("NOT_FOUND", `There is no dead letter ${id} in ${this.#stream}; nothing was done.`, {
        details: { id },
      });
    }
    return letterOf(stored);
  }

  /**
   * Publishes the message as it was to the subject where it was, with the header `Perdure-Replay`, and removes the letter.
   * Every consumer of that subject gets it, and one that had handled it gets it again. A crash in between leaves the letter,
   * and a second replay of it is no second message within the stream's duplicate window.
   * @throws PerdureError NOT_FOUND; NO_RESPONDERS where no stream takes the subject any more
   */
  async replay(id: number): Promise<KeptLetter> {
    const letter = await this.get(id);
    const raw = {
      subject: letter.subject,
      headers: letter.headers,
      data: Buffer.from(letter.data, letter.encoding === "text" ? "utf8" : "base64"),
    };
    const replay = received(raw, undefined).replay + 1;
    await publishAcked(this.#connection, letter.subject, raw.data, {
      timeoutMs: PUBLISH_TIMEOUT_MS,
      headers: {
        ...letter.headers,
        [REPLAY_HEADER]: String(replay),
        "Nats-Msg-Id": `${this.#stream}:${id}`,
      },
    });
    await deleteMessage(this.#connection, this.#stream, id);
    return letter;
  }

  /** @throws PerdureError NOT_FOUND */
  async drop(id: number): Promise<KeptLetter> {
    const letter = await this.get(id);
    await deleteMessage(this.#connection, this.#stream, id);
    return letter;
  }
}

function letterOf({ sequence, data }: StoredMessage): KeptLetter {
  const decoded = decodeMessage(DeadLetter, data);
  if (decoded.ok) return { id: sequence, ...decoded.value };
  throw new PerdureError(
    "STORE_DAMAGED",
    `Dead letter ${sequence} cannot be read: ${decoded.failure.message}. It was left where it is; was something else published there?`,
    { details: { id: sequence } },
  );
}

function isKeptAlready(error: unknown): boolean {
  return error instanceof PerdureError && error.details?.["apiCode"] === WRONG_LAST_SEQUENCE;
}

function textOf(data: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}
