import type { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Connection } from "./connection.js";
import { OrderedReader, type StreamMessage } from "./ordered-reader.js";

export interface ReadToEndOptions {
  readonly stream: string;
  readonly filterSubject?: string;
  readonly content: "full" | "headersOnly";
  readonly startSequence: number;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/**
 * The messages that a stream holds from a sequence on, in order, each once, as many at a time as have arrived; ends where
 * the stream ends at that moment. Memory is bounded: the server stops sending until what it sent was taken.
 *
 * @throws PerdureError STORAGE_UNAVAILABLE if there is no such stream, CONNECTION_FAILED if the connection is closed; the
 *   signal's reason if aborted. A lost connection alone delays it.
 */
export async function* readToEnd(
  connection: Connection,
  options: ReadToEndOptions,
): AsyncGenerator<readonly StreamMessage[]> {
  let arrived: StreamMessage[] = [];
  let goOn: (() => void) | undefined;
  let ended = false;
  let failure: PerdureError | undefined;
  let nextSequence = options.startSequence;
  let wake: () => void = () => undefined;
  const end = (): void => {
    ended = true;
    wake();
  };
  const reader = new OrderedReader(connection, {
    stream: options.stream,
    ...(options.filterSubject === undefined ? {} : { filterSubject: options.filterSubject }),
    content: options.content,
    logger: options.logger,
    startAt: () => nextSequence,
    onStarted: (state) => (state === "caughtUp" ? end() : undefined),
    onMessage: (message) => {
      nextSequence = message.sequence + 1;
      arrived.push(message);
      // The last message may expire or be replaced before it is sent; then the idle server tells.
      if (message.pending === 0) end();
      else wake();
    },
    onIdle: end,
    onFlowControl: (permission) => {
      goOn = permission;
      wake();
    },
    onFailed: (error) => {
      failure = error;
      wake();
    },
  });
  const onAbort = (): void => wake();
  options.signal?.addEventListener("abort", onAbort);
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      if (failure !== undefined) throw failure;
      if (arrived.length > 0) {
        const taken = arrived;
        arrived = [];
        yield taken;
        continue;
      }
      goOn?.();
      goOn = undefined;
      if (ended) return;
      if (failure !== undefined || options.signal?.aborted === true) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    reader.stop();
  }
}
