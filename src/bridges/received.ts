import type { ReceivedHeaders } from "../jetstream/wire-headers.js";

/** A foreign message as the code that handles it sees it. */
export interface Received<T> {
  /** Decoded and held against the schema. */
  readonly body: T;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  /** By its name in any case. */
  header(name: string): string | undefined;
  /** Where it lies; a plain message lies nowhere. */
  readonly stored: Stored | undefined;
  /** How often it was replayed from the dead letters; 0 for never. */
  readonly replay: number;
}

export interface Stored {
  readonly stream: string;
  readonly sequence: number;
  /** 1 for the first time it was delivered. */
  readonly deliveryCount: number;
  /** Epoch milliseconds by the server's clock. */
  readonly storedAt: number;
}

/** Of something that says more. */
export const storedOf = ({ stream, sequence, deliveryCount, storedAt }: Stored): Stored => ({
  stream,
  sequence,
  deliveryCount,
  storedAt,
});

/** What a message has before its body was looked at. */
export interface RawMessage extends ReceivedHeaders {
  readonly subject: string;
  readonly data: Uint8Array;
}

/** Says which task of ours a message that a bridge sent belongs to; whoever listens in knows its own by it. */
export const TASK_HEADER = "Perdure-Task";
/** Says how often a message was replayed from the dead letters. */
export const REPLAY_HEADER = "Perdure-Replay";

export function received<T>(message: RawMessage, body: T, stored?: Stored): Received<T> {
  const replay = Number(headerOf(message, REPLAY_HEADER) ?? 0);
  return {
    body,
    subject: message.subject,
    headers: message.headers,
    header: (name) => headerOf(message, name),
    stored,
    replay: Number.isSafeInteger(replay) && replay > 0 ? replay : 0,
  };
}

export function headerOf({ headers }: Pick<RawMessage, "headers">, name: string): string | undefined {
  const exact = headers[name];
  if (exact !== undefined) return exact;
  const wanted = name.toLowerCase();
  return Object.entries(headers).find(([given]) => given.toLowerCase() === wanted)?.[1];
}
