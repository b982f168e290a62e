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

/** What the reader has put aside: messages, and the places between them where the server waits for a go-ahead. */
type Item = StreamMessage | (() => void);

/**
 * The messages that a stream holds from a sequence on, in order, each once; ends where the stream ends at that moment.
 * Memory is bounded: the server stops sending until what it sent was taken.
 *
 * @throws PerdureError STORAGE_UNAVAILABLE if there is no such stream, CONNECTION_FAILED if the connection is closed; the
 *   signal's reason if aborted. A lost connection alone delays it.
 */
export async function* readToEnd(connection: Connection, options: ReadToEndOptions): AsyncGenerator<StreamMessage> {
  let queue: Item[] = [];
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
      queue.push(message);
      // The last message may expire or be replaced before it is sent; then the idle server tells.
      if (message.pending === 0) end();
      else wake();
    },
    onIdle: end,
    onFlowControl: (goOn) => {
      queue.push(goOn);
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
      const taken = queue;
      queue = [];
      for (const item of taken) {
        if (typeof item === "function") item();
        else yield item;
      }
      if (queue.length > 0) continue;
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
