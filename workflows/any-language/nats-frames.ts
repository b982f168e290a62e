/**
 * Cuts what goes over a NATS connection, in either direction, into its protocol messages: a line, and where the line
 * announces one, a payload. https://docs.nats.io/reference/reference-protocols/nats-protocol
 */

export interface Frame {
  /** "MSG", "PUB", "PING" and so on, in capitals. */
  readonly operation: string;
  /** What stands behind the operation in its line. */
  readonly words: readonly string[];
  /** Headers included; empty for a line without payload. */
  readonly payload: Buffer;
  /** Of the payload: its first bytes, which are headers. */
  readonly headerBytes: number;
  /** As it came, line ends included. */
  readonly bytes: Buffer;
}

const lineEnd = Buffer.from("\r\n");
/** The last word of their line is the size of the payload; of the second kind the one before is that of the headers. */
const withPayload: ReadonlySet<string> = new Set(["MSG", "PUB", "HMSG", "HPUB"]);
const withHeaders: ReadonlySet<string> = new Set(["HMSG", "HPUB"]);

export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are complete now. */
  *read(chunk: Buffer): Generator<Frame, void, undefined> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const frame = firstFrame(this.#rest);
      if (frame === null) return;
      this.#rest = this.#rest.subarray(frame.bytes.length);
      yield frame;
    }
  }
}

function firstFrame(data: Buffer): Frame | null {
  const end = data.indexOf(lineEnd);
  if (end === -1) return null;
  const [first = "", ...words] = data
    .subarray(0, end)
    .toString()
    .split(/[ \t]+/);
  const operation = first.toUpperCase();
  const lineBytes = end + lineEnd.length;
  if (!withPayload.has(operation)) {
    const bytes = Buffer.from(data.subarray(0, lineBytes));
    return { operation, words, payload: Buffer.alloc(0), headerBytes: 0, bytes };
  }
  const payloadBytes = Number(words.at(-1));
  const total = lineBytes + payloadBytes + lineEnd.length;
  if (data.length < total) return null;
  return {
    operation,
    words,
    payload: Buffer.from(data.subarray(lineBytes, lineBytes + payloadBytes)),
    headerBytes: withHeaders.has(operation) ? Number(words.at(-2)) : 0,
    bytes: Buffer.from(data.subarray(0, total)),
  };
}
