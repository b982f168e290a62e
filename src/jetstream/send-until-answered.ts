import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import { apiCodes, isPassing, isPassingFault } from "./api-error.js";
import { Backoff } from "./backoff.js";
import type { Connection, Message } from "./connection.js";
import { type PubAck, parsePubAck } from "./pub-ack.js";

export interface SendOptions {
  /** Completes "Could not ..." in logs. */
  readonly doing: string;
  readonly logger: Logger;
  /** Ends the trying; the outcome is then unknown. */
  readonly signal?: AbortSignal;
}

/** A stream that lives answers in milliseconds, up to its disk's worst second; a dead leader never does. */
const ATTEMPT_TIMEOUT_MS = 2_000;

/**
 * Answers that decide nothing: the same write, or an earlier attempt of it, is still under way in the cluster; or a
 * message of the batch was lost with a connection.
 */
const undecidedCodes: ReadonlySet<number> = new Set([
  apiCodes.wrongLastSequenceUnknown,
  apiCodes.batchIncomplete,
  apiCodes.batchesTooMany,
]);

/**
 * Sends a write until the stream has said yes or no. A time-out, a lost connection and a cluster without leader leave
 * the outcome unknown, so `send` must repeat exactly the same write: same bytes, same expected sequence. The stream then
 * takes it once at most, and a refused sequence (10071) after an unknown attempt may be that attempt's own success: the
 * caller reads back and compares.
 *
 * @throws PerdureError CONNECTION_FAILED if the connection is closed for good, PAYLOAD_TOO_LARGE; the signal's reason.
 */
export async function sendUntilAnswered(
  connection: Connection,
  send: (timeoutMs: number, signal: AbortSignal) => Promise<Message>,
  options: SendOptions,
): Promise<PubAck> {
  const backoff = new Backoff();
  for (;;) {
    options.signal?.throwIfAborted();
    const attempt = await attemptOnce(connection, send, options.signal);
    if (attempt.kind === "answered") return attempt.ack;
    const delayMs = attempt.kind === "resendNow" ? 0 : backoff.nextDelayMs();
    options.logger.warn({ doing: options.doing, reason: attempt.reason, delayMs }, "outcome unknown; sending it again");
    if (delayMs > 0) await pause(connection, delayMs, options.signal);
  }
}

/** Asks until there is an answer, through time-outs and leaderless moments. For reads, which may be repeated freely. */
export async function askUntilAnswered<T>(
  connection: Connection,
  ask: () => Promise<T>,
  options: SendOptions,
): Promise<T> {
  const backoff = new Backoff();
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!isPassingFault(error)) throw error;
      const delayMs = backoff.nextDelayMs();
      options.logger.warn({ doing: options.doing, err: error, delayMs }, "no answer; asking again");
      await pause(connection, delayMs, options.signal);
    }
  }
}

type Attempt =
  | { readonly kind: "answered"; readonly ack: PubAck }
  | { readonly kind: "resendNow" | "resendLater"; readonly reason: string };

async function attemptOnce(
  connection: Connection,
  send: (timeoutMs: number, signal: AbortSignal) => Promise<Message>,
  signal: AbortSignal | undefined,
): Promise<Attempt> {
  const abandon = new AbortController();
  // An answer that was under way when the connection broke never comes: no need to wait for the time-out.
  const stopListening = connection.onEvent((event) => {
    if (event === "reconnected") abandon.abort(new Error("the connection was lost meanwhile"));
  });
  const onAbort = (): void => abandon.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return judge(await send(ATTEMPT_TIMEOUT_MS, abandon.signal));
  } catch (error) {
    signal?.throwIfAborted();
    if (abandon.signal.aborted) return { kind: "resendNow", reason: "the connection was lost meanwhile" };
    if (error instanceof PerdureError && (error.code === "REQUEST_TIMED_OUT" || error.code === "NO_RESPONDERS")) {
      return { kind: "resendLater", reason: error.message };
    }
    throw error;
  } finally {
    stopListening();
    signal?.removeEventListener("abort", onAbort);
  }
}

function judge(answer: Message): Attempt {
  const ack = parsePubAck(answer);
  if (ack === undefined) return { kind: "resendLater", reason: "the answer was not understood" };
  if (ack.outcome === "refused" && (isPassing(ack.refusal) || undecidedCodes.has(ack.refusal.code))) {
    return { kind: "resendLater", reason: `${ack.refusal.description} (${ack.refusal.code})` };
  }
  return { kind: "answered", ack };
}

/** Ends early when the connection is back, or is closed for good. */
async function pause(connection: Connection, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stopListening();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    const stopListening = connection.onEvent((event) => (event === "disconnected" ? undefined : done()));
    signal?.addEventListener("abort", done, { once: true });
  });
}
