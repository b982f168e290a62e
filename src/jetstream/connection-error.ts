/** What can go wrong on a connection that stands. */
import { ClosedConnectionError, DrainingConnectionError } from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";

export function closedError(url: string, cause: unknown): PerdureError {
  return new PerdureError("CONNECTION_FAILED", `The connection to ${url} is closed.`, { details: { url }, cause });
}

export function permissionError(doing: "publish to" | "subscribe to", subject: string, cause: Error): PerdureError {
  return new PerdureError(
    "PERMISSION_DENIED",
    `The server's permissions do not let this user ${doing} ${subject}; nothing was done. Compare its permissions with docs/operations.md, and the inbox prefix where it is about answers.`,
    { details: { subject }, cause },
  );
}

export function noRespondersError(subject: string): PerdureError {
  return new PerdureError(
    "NO_RESPONDERS",
    `Nobody listens on ${subject}: no orchestrator leads in this namespace (start one with \`perdure dev\` or \`perdure orchestrator\`), or no stream takes this subject at the moment.`,
    { details: { subject } },
  );
}

interface Publication {
  readonly url: string;
  readonly subject: string;
  readonly bytes: number;
  /** What the server takes. */
  readonly bytesMax: number;
}

/** What our own headers can add to a body; a throw for another reason is then still told apart from a too large one. */
const HEADER_BYTES_MAX = 4_096;

/** Our error for what the library threw when it was given something to publish; the same where it has none of ours. */
export function publishError({ url, subject, bytes, bytesMax }: Publication, cause: unknown): unknown {
  if (cause instanceof ClosedConnectionError || cause instanceof DrainingConnectionError)
    return closedError(url, cause);
  if (bytes < bytesMax - HEADER_BYTES_MAX) return cause;
  return new PerdureError(
    "PAYLOAD_TOO_LARGE",
    `Did not publish ${bytes} bytes to ${subject}: the server takes ${bytesMax} (max_payload). Pass large values by reference.`,
    { details: { subject, bytes, maxPayloadBytes: bytesMax }, cause },
  );
}
