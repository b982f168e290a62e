/**
 * What a dead letter carries of a message that is too large for one: as JSON the bytes grow, and a message may be as large
 * as the server takes. Its headers and data lie in stream `<NS>_DEAD_LETTER_PARTS` then, and the letter says where.
 */
import { createHash } from "node:crypto";
import type { z } from "zod";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { defineTopology } from "../jetstream/define-topology.js";
import { lastMessage, purgeStream } from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import type { Logger } from "../logger.js";
import {
  allDeadLetterParts,
  DeadLetter,
  deadLetterPartSubject,
  deadLetterPartsStreamOf,
} from "../protocol/dead-letter.js";
import { decodeMessage } from "../protocol/decode.js";
import type { Namespace } from "../protocol/ids.js";
import { publishOnto } from "./guarded-publish.js";

const PART_BYTES_MAX = 256 * 1024;
/** For the headers of the letter itself. */
const LETTER_HEADER_BYTES = 1_024;

const Carried = DeadLetter.pick({ headers: true, repeatedHeaders: true, data: true, encoding: true });
const noContents: z.infer<typeof Carried> = { headers: {}, repeatedHeaders: undefined, data: "", encoding: "text" };

/** Whose parts they are, and how many. */
type PartsOf = Pick<DeadLetter, "stream" | "consumer" | "sequence" | "parts">;

export class DeadLetterParts {
  readonly #connection: Connection;
  readonly #namespace: Namespace;
  readonly #stream: string;

  constructor(connection: Connection, namespace: Namespace) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#stream = deadLetterPartsStreamOf(namespace);
  }

  /** The letter as it fits into a message. What does not is stored when this resolves, once however often it is asked. */
  async fitting(letter: DeadLetter, logger: Logger): Promise<DeadLetter> {
    const bytesMax = this.#connection.maxPayloadBytes;
    if (Buffer.byteLength(JSON.stringify(letter)) <= bytesMax - LETTER_HEADER_BYTES) return letter;
    const { headers, repeatedHeaders, data, encoding } = letter;
    const contents = Buffer.from(JSON.stringify({ headers, repeatedHeaders, data, encoding }));
    const size = Math.min(PART_BYTES_MAX, Math.floor(bytesMax / 2));
    const digest = createHash("sha256").update(contents).digest("hex").slice(0, 16);
    const parts = { digest, count: Math.ceil(contents.length / size) };
    await this.#open(logger);
    for (let number = 1; number <= parts.count; number += 1) {
      const part = contents.subarray((number - 1) * size, number * size);
      const subject = deadLetterPartSubject(this.#namespace, letter, digest, number);
      // A lost race: it is there already, of a try that ended before the letter was written.
      if ((await publishOnto(this.#connection, subject, part, 0)) === "underWay") {
        throw new PerdureError("STORAGE_UNAVAILABLE", `Somebody else writes a part of a dead letter now: ${subject}.`);
      }
    }
    return { ...letter, ...noContents, parts };
  }

  /** @throws PerdureError STORE_DAMAGED where a part is gone */
  async whole<Letter extends PartsOf>(letter: Letter): Promise<Letter> {
    if (letter.parts === undefined) return letter;
    const { digest, count } = letter.parts;
    const found: Uint8Array[] = [];
    for (let number = 1; number <= count; number += 1) {
      const subject = deadLetterPartSubject(this.#namespace, letter, digest, number);
      const part = await lastMessage(this.#connection, this.#stream, subject);
      if (part === undefined) throw damaged(subject, "is gone");
      found.push(part.data);
    }
    const carried = decodeMessage(Carried, Buffer.concat(found));
    if (!carried.ok) throw damaged(this.#stream, carried.failure.message);
    return { ...letter, ...carried.value };
  }

  async drop(letter: PartsOf): Promise<void> {
    if (letter.parts === undefined) return;
    const subject = deadLetterPartSubject(this.#namespace, letter, letter.parts.digest, "*");
    try {
      await purgeStream(this.#connection, this.#stream, subject);
    } catch (error) {
      if (!(error instanceof PerdureError) || error.code !== "NOT_FOUND") throw error;
    }
  }

  async #open(logger: Logger): Promise<void> {
    const topology = defineTopology(`${this.#namespace} dead letter parts`, {
      streams: {
        [this.#stream]: {
          subjects: [allDeadLetterParts(this.#namespace)],
          retention: "limits",
          discard: "new",
          description: "Perdure: headers and data of dead letters that are too large for one message.",
        },
      },
    });
    await applyTopology(this.#connection, topology, { onDataLoss: "refuse", logger });
  }
}

function damaged(what: string, why: string): PerdureError {
  return new PerdureError(
    "STORE_DAMAGED",
    `A part of a dead letter cannot be read: ${what} ${why}. The letter was left where it is.`,
    { details: { what } },
  );
}
