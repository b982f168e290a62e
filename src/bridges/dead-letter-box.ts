/**
 * Keeps what nobody could handle. Stream `<NS>_DEAD_LETTERS`, one subject a message, written once
 * (`Nats-Expected-Last-Subject-Sequence: 0`) and always before the message is terminated: a crash in between delivers it
 * again, or leaves it to `exhausted.ts`, and it is kept once all the same.
 */
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { defineTopology } from "../jetstream/define-topology.js";
import { publishAcked } from "../jetstream/publisher.js";
import { deleteMessage, lastMessage, messageAt, nextMessage, streamState } from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import type { Logger } from "../logger.js";
import { canonicalJson } from "../protocol/canonical-json.js";
import {
  allDeadLetters,
  type DeadLetter,
  type DeadLetterReason,
  deadLetterStreamOf,
  deadLetterSubject,
} from "../protocol/dead-letter.js";
import type { Namespace } from "../protocol/ids.js";
import { DeadLetterParts } from "./dead-letter-parts.js";
import { PUBLISH_TIMEOUT_MS, publishOnto } from "./guarded-publish.js";
import { bytesOf, carriedOf, type KeptLetter, keptLetterOf } from "./kept-letter.js";
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

export interface ReplayedLetter extends KeptLetter {
  /**
   * False where the message is as large as its stream takes, so that the header `Perdure-Replay` had no room: it went out
   * without, looks as it did the first time, and is no second message only where whoever handles it knows it again.
   */
  readonly isMarked: boolean;
}

export interface DeadLetterFilter {
  readonly stream?: string | undefined;
  readonly consumer?: string | undefined;
  /** Default 100. */
  readonly limit?: number | undefined;
}

const LISTED_DEFAULT = 100;
/** A schema may complain of each of a million elements. */
const MESSAGE_LENGTH_MAX = 2_000;
/** They told a stream what to do with the message then; told again, they would have it refused, or dropped, or others deleted. */
const SPENT_HEADER = /^Nats-(Expected-|Rollup$|Batch-|Msg-Id$)/i;

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
    const { stream, consumer, sequence, deliveryCount: attempts, subject } = message;
    const whole: DeadLetter = {
      reason,
      message: why.slice(0, MESSAGE_LENGTH_MAX),
      attempts,
      stream,
      consumer,
      sequence,
      subject,
      ...carriedOf(message),
      failedAt,
    };
    const letter = await this.#parts.fitting(whole, logger);
    try {
      if (await this.#write(letter, 0)) return;
      // A stream that was deleted and made anew counts from 1 again: its messages are not those that lie here.
      const there = await lastMessage(this.#connection, this.#stream, deadLetterSubject(this.#namespace, letter));
      if (there !== undefined && isSame(keptLetterOf(this.#stream, there), letter)) return;
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
    const subject = deadLetterSubject(this.#namespace, letter);
    const written = await publishOnto(this.#connection, subject, JSON.stringify(letter), expectedSequence);
    return typeof written !== "string";
  }

  async count(): Promise<number> {
    try {
      return (await streamState(this.#connection, this.#stream)).messages;
    } catch (error) {
      if (error instanceof PerdureError && error.code === "NOT_FOUND") return 0;
      throw error;
    }
  }

  /** Oldest first, with those that are unreadable. */
  async list({ stream, consumer, limit = LISTED_DEFAULT }: DeadLetterFilter = {}): Promise<readonly KeptLetter[]> {
    const letters: KeptLetter[] = [];
    if ((await this.count()) === 0) return letters;
    const subject = allDeadLetters(this.#namespace, { stream, consumer });
    for (let from = 1; letters.length < limit; ) {
      const stored = await nextMessage(this.#connection, this.#stream, { sequence: from, subject });
      if (stored === undefined) break;
      letters.push(keptLetterOf(this.#stream, stored));
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
    return keptLetterOf(this.#stream, stored);
  }

  /**
   * Publishes the message as it was to the subject where it was, with the header `Perdure-Replay` and without those that
   * told its stream what to expect (`Nats-Expected-…`, `Nats-Rollup`, `Nats-Batch-…`), and removes the letter.
   * Every consumer of that subject gets it, and one that had handled it gets it again. A crash in between leaves the letter,
   * and a second replay of it is no second message within the stream's duplicate window, where the message has room for the
   * headers that say so.
   * @throws PerdureError NOT_FOUND; STORE_DAMAGED for one that is unreadable; NO_RESPONDERS where no stream takes the subject
   *   any more; PAYLOAD_TOO_LARGE where it takes no message of this size any more
   */
  async replay(id: number): Promise<ReplayedLetter> {
    const letter = await this.get(id);
    if (letter.reason === "unreadable") {
      throw new PerdureError(
        "STORE_DAMAGED",
        `Dead letter ${id} of ${this.#stream} was not replayed and left where it is: what it was cannot be read. Look at it with \`show\`; \`drop\` removes it.`,
        { details: { id } },
      );
    }
    const isMarked = await this.#publishAgain(letter);
    await this.#remove(letter);
    return { ...letter, isMarked };
  }

  /** With as much of what marks it as a replay as there is room for; whether the header is with it that says so. */
  async #publishAgain(letter: KeptLetter): Promise<boolean> {
    const raw = { subject: letter.subject, headers: letter.headers, data: bytesOf(letter) };
    const all = Object.entries({ ...letter.headers, ...letter.repeatedHeaders });
    const headers = Object.fromEntries(all.filter(([name]) => !SPENT_HEADER.test(name)));
    const marked = { ...headers, [REPLAY_HEADER]: String(received(raw, undefined).replay + 1) };
    const identified = { ...marked, "Nats-Msg-Id": `${this.#stream}:${letter.id}` };
    const publish = (tried: typeof headers) =>
      publishAcked(this.#connection, raw.subject, raw.data, {
        timeoutMs: PUBLISH_TIMEOUT_MS,
        // None at all take no room; an empty list of them does.
        ...(Object.keys(tried).length === 0 ? {} : { headers: tried }),
      });
    for (const tried of [identified, marked]) {
      try {
        await publish(tried);
        return true;
      } catch (error) {
        if (!(error instanceof PerdureError) || error.code !== "PAYLOAD_TOO_LARGE") throw error;
      }
    }
    await publish(headers);
    return false;
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

type Contents = Pick<DeadLetter, "subject" | "headers" | "repeatedHeaders" | "data" | "encoding" | "parts">;
const isSame = (one: Contents, other: Contents): boolean =>
  canonicalJson(contentsOf(one)) === canonicalJson(contentsOf(other));
const contentsOf = ({ subject, headers, repeatedHeaders, data, encoding, parts }: Contents): Contents => ({
  subject,
  headers,
  repeatedHeaders,
  data,
  encoding,
  parts,
});
