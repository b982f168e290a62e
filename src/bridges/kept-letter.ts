/** A dead letter as it is read back, whatever lies where one should. */
import { isUtf8 } from "node:buffer";
import type { StoredMessage } from "../jetstream/stream-access.js";
import { DeadLetter, type DeadLetterReason } from "../protocol/dead-letter.js";
import { decodeMessage } from "../protocol/decode.js";

/** A dead letter and its place in the stream of them, by which people name it. Headers and data of one with `parts`: `get`. */
export interface KeptLetter extends Omit<DeadLetter, "reason"> {
  readonly id: number;
  /**
   * `unreadable`: what lies there is no dead letter, or one of another version. Everything else is said of that message
   * itself then: where it lies, its own subject, headers and bytes, no `consumer`, and 0 `attempts`.
   */
  readonly reason: DeadLetterReason | "unreadable";
}

export function keptLetterOf(stream: string, stored: StoredMessage): KeptLetter {
  const { sequence, subject, headers, repeatedHeaders, data, storedAt } = stored;
  const decoded = decodeMessage(DeadLetter, data);
  if (decoded.ok) return { id: sequence, ...decoded.value };
  return {
    id: sequence,
    reason: "unreadable",
    message: `It cannot be read as a dead letter: ${decoded.failure.message}`,
    attempts: 0,
    stream,
    consumer: "",
    sequence,
    subject,
    ...carriedOf({ headers, repeatedHeaders, data }),
    failedAt: storedAt,
  };
}

/** What a letter carries of a message. */
export function carriedOf({
  headers,
  repeatedHeaders,
  data,
}: Pick<StoredMessage, "headers" | "repeatedHeaders" | "data">) {
  const encoding = isUtf8(data) ? "text" : "base64";
  return {
    headers: { ...headers },
    ...(repeatedHeaders === undefined ? {} : { repeatedHeaders: mutable(repeatedHeaders) }),
    data: Buffer.from(data).toString(encoding === "text" ? "utf8" : "base64"),
    encoding,
  } as const;
}

export const bytesOf = ({ data, encoding }: Pick<DeadLetter, "data" | "encoding">): Uint8Array =>
  Buffer.from(data, encoding === "text" ? "utf8" : "base64");

const mutable = (headers: Readonly<Record<string, readonly string[]>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [...values]]));
