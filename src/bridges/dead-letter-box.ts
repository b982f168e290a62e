/**
 * Keeps what nobody could handle. Stream `<NS>_DEAD_LETTERS`, one subject a message, written once
 * (`Nats-Expected-Last-Subject-Sequence: 0`) and always before the message is terminated: a crash in between delivers it
 * again, or leaves it to `exhausted.ts`, and it is kept once all the same.
 */
import { isUtf8 } from "node:buffer";
import { PerdureError } from "../errors.js";
import { apiCodes } from "../jetstream/api-error.js";
import type { Connection } from "../jetstream/connection.js";
import { defineTopology } from "../jetstream/define-topology.js";
import { publishAcked } from "../jetstream/publisher.js";
import {
  deleteMessage,
  lastMessage,
  messageAt,
  nextMessage,
  type StoredMessage,
  streamState,
} from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import type { Logger } from "../logger.js";
import { canonicalJson } from "../protocol/canonical-json.js";
import {
  allDeadLetters,
  DeadLetter,
  type DeadLetterReason,
  deadLetterStreamOf,
  deadLetterSubject,
} from "../protocol/dead-letter.js";
import { decodeMessage } from "../protocol/decode.js";
import type { Namespace } from "../protocol/ids.js";
import { DeadLetterParts } from "./dead-letter-parts.js";
import { type RawMessage, REPLAY_HEADER, received } from "./received.js";

/** Where a message lies that is given up. */
export interface GivenUp extends RawMessage {
  readonly stream: string;
  readonly consumer: string;
  readonly sequence: number;
  readonly deliveryCount: number;
}

/** Why a message is given up. */
export interface Grounds {
  readonly reason: DeadLetterReason;
  readonly why: string;
  readonly failedAt: number;
}

/** A dead letter and its place in the stream of them, by which people name it. Headers and data of one with `parts`: `get`. */
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
/** A schema may complain of each of a million elements. */
const MESSAGE_LENGTH_MAX = 2_000;
/** They told a stream what to do with the message then; told again, they would have it refused, or others deleted. */
const SPENT_HEADER = /^Nats-(Expected-|Rollup$|Batch-)/i;

export class DeadLetterBox {
  readonly #connection: Connection;
  readonly #namespace: Namespace;
  readonly #stream: string;
  readonly #parts: DeadLetterParts;
  #ready: Promise<unknown> | undefined;

  constructor(connection: Connection, namespace: Namespace) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#stream = deadLetterStreamOf(namespace);
    this.#parts = new DeadLetterParts(connection, namespace);
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
  async keep(message: GivenUp, { reason, why, failedAt }: Grounds, logger: Logger): Promise<void> {
    const { stream, consumer, sequence, deliveryCount: attempts, subject, headers } = message;
    const encoding = isUtf8(message.data) ? "text" : "base64";
    const whole: DeadLetter = {
      reason,
      message: why.slice(0, MESSAGE_LENGTH_MAX),
      attempts,
      stream,
      consumer,
      sequence,
      subject,
      headers: { ...headers },
      data: encoded(message.data, encoding),
      encoding,
      failedAt,
    };
    const letter = await this.#parts.fitting(whole, logger);
    try {
      if (await this.#write(letter, 0)) return;
      // A stream that was deleted and made anew counts from 1 again: its messages are not those that lie here.
      const there = await lastMessage(this.#connection, this.#stream, deadLetterSubject(this.#namespace, letter));
      if (there !== undefined && isSame(letterOf(there), letter)) return;
      if (await this.#write(letter, there?.sequence ?? 0)) return;
    } catch (error) {
      // Somebody deleted the stream: the next one makes it anew.
      if (error instanceof PerdureError && error.code === "NO_RESPONDERS") this.#ready = undefined;
      throw error;
    }
    throw new PerdureError("STORAGE_UNAVAILABLE", `Somebody else writes a dead letter of ${stream} ${sequence} now.`);
  }

  /** False where another letter than the expected one is the last on its subject. */
  async #write(letter: DeadLetter, expectedSequence: number): Promise<boolean> {
    try {
      await publishAcked(this.#connection, deadLetterSubject(this.#namespace, letter), JSON.stringify(letter), {
        timeoutMs: PUBLISH_TIMEOUT_MS,
        headers: { "Nats-Expected-Last-Subject-Sequence": String(expectedSequence) },
      });
      return true;
    } catch (error) {
      if (error instanceof PerdureError && error.details["apiCode"] === apiCodes.wrongLastSequence) return false;
      throw error;
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
    return this.#parts.whole(await this.#stored(id));
  }

  async #stored(id: number): Promise<KeptLetter> {
    const stored = (await this.count()) === 0 ? undefined : await messageAt(this.#connection, this.#stream, id);
    if (stored === undefined) {
      throw new PerdureError("NOT_FOUND", `There is no dead letter ${id} in ${this.#stream}; nothing was done.`, {
        details: { id },
      });
    }
    return letterOf(stored);
  }

  /**
   * Publishes the message as it was to the subject where it was, with the header `Perdure-Replay` and without those that
   * told its stream what to expect (`Nats-Expected-…`, `Nats-Rollup`, `Nats-Batch-…`), and removes the letter.
   * Every consumer of that subject gets it, and one that had handled it gets it again. A crash in between leaves the letter,
   * and a second replay of it is no second message within the stream's duplicate window.
   * @throws PerdureError NOT_FOUND; NO_RESPONDERS where no stream takes the subject any more
   */
  async replay(id: number): Promise<KeptLetter> {
    const letter = await this.get(id);
    const raw = { subject: letter.subject, headers: letter.headers, data: bytesOf(letter) };
    const replay = received(raw, undefined).replay + 1;
    await publishAcked(this.#connection, letter.subject, raw.data, {
      timeoutMs: PUBLISH_TIMEOUT_MS,
      headers: {
        ...Object.fromEntries(Object.entries(letter.headers).filter(([name]) => !SPENT_HEADER.test(name))),
        [REPLAY_HEADER]: String(replay),
        "Nats-Msg-Id": `${this.#stream}:${id}`,
      },
    });
    await this.#remove(letter);
    return letter;
  }

  /** @throws PerdureError NOT_FOUND */
  async drop(id: number): Promise<KeptLetter> {
    // Also one whose parts are gone.
    const letter = await this.#stored(id);
    await this.#remove(letter);
    return letter;
  }

  async #remove(letter: KeptLetter): Promise<void> {
    await deleteMessage(this.#connection, this.#stream, letter.id);
    await this.#parts.drop(letter);
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

const encoded = (data: Uint8Array, encoding: DeadLetter["encoding"]): string =>
  Buffer.from(data).toString(encoding === "text" ? "utf8" : "base64");

const bytesOf = ({ data, encoding }: DeadLetter): Uint8Array =>
  Buffer.from(data, encoding === "text" ? "utf8" : "base64");

const isSame = (one: DeadLetter, other: DeadLetter): boolean =>
  canonicalJson(contentsOf(one)) === canonicalJson(contentsOf(other));
const contentsOf = ({ subject, headers, data, encoding, parts }: DeadLetter) => ({
  subject,
  headers,
  data,
  encoding,
  parts,
});
