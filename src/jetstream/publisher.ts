import { PerdureError } from "../errors.js";
import { refusalError } from "./api-error.js";
import type { Connection } from "./connection.js";
import { parsePubAck } from "./pub-ack.js";
import type { HeadersToSend } from "./wire-headers.js";

export interface PublishAckedOptions {
  readonly timeoutMs: number;
  readonly headers?: HeadersToSend;
  readonly signal?: AbortSignal;
}

export interface Acknowledgement {
  /** Of the message in its stream. */
  readonly sequence: number;
  /** The stream knew this message id (header `Nats-Msg-Id`) already, within its duplicate window. */
  readonly duplicate: boolean;
}

/**
 * Publishes to a stream and resolves when the stream has the message.
 *
 * @throws PerdureError REQUEST_TIMED_OUT or CONNECTION_FAILED: unknown, send it again under the same message id;
 *   NO_RESPONDERS: no stream takes this subject, or its cluster has no leader now; STORAGE_FULL, PAYLOAD_TOO_LARGE,
 *   STORAGE_UNAVAILABLE: refused.
 */
export async function publishAcked(
  connection: Connection,
  subject: string,
  body: Uint8Array | string,
  options: PublishAckedOptions,
): Promise<Acknowledgement> {
  const answer = await connection.request(subject, body, options);
  const ack = parsePubAck(answer);
  if (ack === undefined) {
    throw new PerdureError(
      "STORAGE_UNAVAILABLE",
      `Published to ${subject}, and what answered is no stream. Does something other than JetStream listen there?`,
      { details: { subject } },
    );
  }
  if (ack.outcome === "refused") throw refusalError(ack.refusal, `publish to ${subject}`);
  return { sequence: ack.sequence, duplicate: ack.duplicate };
}
