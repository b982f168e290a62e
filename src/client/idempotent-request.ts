/**
 * The one way the client asks: the same bytes, with the same message id, again and again until an answer comes or the
 * time is up. That is safe, because the orchestrator knows a repeated request by its ids; and it is needed, because
 * there are moments without a leader (nobody responds) and leaders that die between a request and its answer.
 */
import { setTimeout as after } from "node:timers/promises";
import type { z } from "zod";
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { decodeJson } from "../protocol/decode.js";
import type { ErrorCode } from "../protocol/error-code.js";
import { parseMessage } from "../protocol/parse.js";
import { errorOfReply } from "./error-reply.js";

const RETRY_DELAY_MS_MIN = 50;
const RETRY_DELAY_MS_MAX = 1_000;

export interface IdempotentRequest<S extends z.ZodType> {
  readonly connection: Connection;
  readonly subject: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly reply: S;
  /** How long one answer may take before the request is sent again. */
  readonly tryTimeoutMs: number;
  /** How long to ask in all; Infinity for as long as it takes. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The client's own; only looked at between tries, for thousands of listeners on one signal are slow to remove. */
  readonly closing: AbortSignal;
  /** For the error's sentence: "the submission of task t-1". */
  readonly what: string;
  readonly clock: Clock;
}

/** Of an orchestrator that is about to lead, or about to stop leading, and of nobody: the next try may be answered. */
const passingCodes: ReadonlySet<ErrorCode> = new Set([
  "NO_RESPONDERS",
  "REQUEST_TIMED_OUT",
  "NOT_READY",
  "JOURNAL_FENCED",
  "STORAGE_UNAVAILABLE",
]);

/** Of these, the ones that say that nothing was done. After any other nobody knows. */
const untouchedCodes: ReadonlySet<ErrorCode> = new Set(["NO_RESPONDERS", "NOT_READY", "CONNECTION_FAILED"]);

/**
 * @throws PerdureError the orchestrator's refusal; NO_RESPONDERS, REQUEST_TIMED_OUT or, without a connection,
 *   CONNECTION_FAILED when the time is up; CONNECTION_FAILED at once where the connection was closed; INVALID_MESSAGE
 *   for an answer that cannot be read.
 */
export async function askUntilAnswered<S extends z.ZodType>(request: IdempotentRequest<S>): Promise<z.infer<S>> {
  const { clock, signal, closing, timeoutMs, tryTimeoutMs } = request;
  const startedAt = clock.monotonicNow();
  let retryDelayMs = RETRY_DELAY_MS_MIN;
  let outcome: "untouched" | "unknown" = "untouched";
  for (let tries = 1; ; tries += 1) {
    if (closing.aborted) throw closed(request);
    const leftMs = timeoutMs - (clock.monotonicNow() - startedAt);
    const answered = await tryOnce(request, Math.min(tryTimeoutMs, leftMs));
    if (answered.ok) return answered.value;
    const { failure } = answered;
    if (!untouchedCodes.has(failure.code)) outcome = "unknown";
    const elapsedMs = clock.monotonicNow() - startedAt;
    if (elapsedMs + retryDelayMs >= timeoutMs) throw gaveUp(request, failure, outcome, tries, Math.round(elapsedMs));
    await pause(retryDelayMs, signal);
    retryDelayMs = Math.min(retryDelayMs * 2, RETRY_DELAY_MS_MAX);
  }
}

type Tried<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: PerdureError };

async function tryOnce<S extends z.ZodType>(
  request: IdempotentRequest<S>,
  timeoutMs: number,
): Promise<Tried<z.infer<S>>> {
  const { connection, subject, body, headers, signal } = request;
  signal?.throwIfAborted();
  // Sent now it would mostly be lost, and nobody could say whether it was.
  if (connection.isReconnecting) return { ok: false, failure: unconnected(connection) };
  try {
    const message = await connection.request(subject, body, {
      // Whole tenths, because the connection keeps a list for each length of time.
      timeoutMs: Math.max(100, Math.ceil(timeoutMs / 100) * 100),
      ...(signal === undefined ? {} : { signal }),
      ...(headers === undefined ? {} : { headers }),
    });
    return { ok: true, value: readReply(request, message.data) };
  } catch (error) {
    if (!(error instanceof PerdureError) || !passingCodes.has(error.code)) throw error;
    return { ok: false, failure: error };
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await after(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

function closed<S extends z.ZodType>({ what, subject }: IdempotentRequest<S>): PerdureError {
  return new PerdureError("CONNECTION_FAILED", `the client was closed before ${what} was answered`, {
    details: { subject },
  });
}

function unconnected({ url }: Connection): PerdureError {
  return new PerdureError("CONNECTION_FAILED", `the connection to ${url} is lost`, { details: { url } });
}

function readReply<S extends z.ZodType>({ reply, what, subject }: IdempotentRequest<S>, data: Uint8Array): z.infer<S> {
  const decoded = decodeJson(data);
  if (decoded.ok) {
    const refusal = errorOfReply(decoded.value);
    if (refusal !== null) throw refusal;
  }
  const parsed = decoded.ok ? parseMessage(reply, decoded.value) : decoded;
  if (parsed.ok) return parsed.value;
  throw new PerdureError(
    "INVALID_MESSAGE",
    `the answer to ${what} cannot be read: ${parsed.failure.message}. It may have been carried out; is another version of the orchestrator running, or does something else listen on ${subject}?`,
    { details: { subject, fields: parsed.failure.fields } },
  );
}

function gaveUp<S extends z.ZodType>(
  { what, subject }: IdempotentRequest<S>,
  failure: PerdureError,
  outcome: "untouched" | "unknown",
  tries: number,
  elapsedMs: number,
): PerdureError {
  const details = { ...failure.details, subject, tries, elapsedMs, outcome };
  const asked = `${what} was asked ${tries} times in ${elapsedMs} ms`;
  const known =
    outcome === "untouched"
      ? "Nothing was done."
      : "Whether an earlier try was carried out is unknown; asking again with the same ids is safe.";
  if (failure.code === "CONNECTION_FAILED") {
    return new PerdureError(
      "CONNECTION_FAILED",
      `${what} was not answered within ${elapsedMs} ms: ${failure.message}, and did not come back so far. ${known} It goes on trying; ask again.`,
      { details, cause: failure },
    );
  }
  if (failure.code === "NO_RESPONDERS") {
    return new PerdureError(
      "NO_RESPONDERS",
      `${asked}, and no orchestrator listens on ${subject}. ${known} Start an orchestrator on this namespace, or ask again.`,
      { details, cause: failure },
    );
  }
  if (failure.code === "REQUEST_TIMED_OUT") {
    return new PerdureError(
      "REQUEST_TIMED_OUT",
      `${asked} without an answer. Whether it was carried out is unknown; asking again with the same ids is safe.`,
      { details, cause: failure },
    );
  }
  return new PerdureError(failure.code, `${asked}; the last answer was: ${failure.message}`, {
    details,
    cause: failure,
  });
}
