/**
 * One reader of the system's events, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * The system sends each event once and keeps none, so a reader that was away cannot be given what it missed; it is told
 * that it missed something, with an event of this name, and then asks for the state of things. The same goes for a
 * reader that is slower than the events: what waits for it is bounded, and the oldest are dropped. One that takes
 * nothing at all any more is cut off.
 */
import type { ServerResponse } from "node:http";
import type { SystemEvent } from "../client/system-events.js";
import type { EventListener } from "./event-feed.js";

export interface EventStreamOptions {
  /** Starts listening; returns what ends it. */
  readonly listen: (listener: EventListener) => () => void;
  readonly wanted: (event: SystemEvent) => boolean;
  /** Ends the stream in order. */
  readonly signal: AbortSignal;
  /** "resumed": the reader says that it has read another stream before this one. */
  readonly beginning: "new" | "resumed";
  /** A comment this often keeps proxies from closing the connection, and finds readers that are gone. */
  readonly heartbeatMs: number;
  /** How long a reader may take nothing before it is cut off. */
  readonly patienceMs: number;
}

/** What waits for a slow reader beyond the socket's own buffer: a few thousand events. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** How soon a browser tries again after the connection was lost. */
const RETRY_MS = 1_000;

export function writeEvents(response: ServerResponse, options: EventStreamOptions): void {
  const { listen, wanted, signal, beginning, heartbeatMs, patienceMs } = options;
  const backlog = new Backlog();
  let blockedSince: number | null = null;

  const write = (frame: string): void => {
    if (!response.write(frame)) blockedSince ??= performance.now();
  };
  const onEvent = (event: SystemEvent): void => {
    if (!wanted(event)) return;
    if (blockedSince === null) write(frameOf(event.eventType, event.messageId, event));
    else backlog.add(frameOf(event.eventType, event.messageId, event));
  };
  const onDrain = (): void => {
    blockedSince = null;
    for (let frame = backlog.next(); frame !== undefined; frame = backlog.next()) {
      write(frame);
      if (blockedSince !== null) return;
    }
  };
  const beat = (): void => {
    if (blockedSince === null) write(": heartbeat\n\n");
    else if (performance.now() - blockedSince > patienceMs) response.destroy();
  };

  // Before the head is sent: whoever has read it hears of everything that happens from then on.
  const stopListening = listen(onEvent);
  const heartbeat = setInterval(beat, heartbeatMs);
  const end = (): void => {
    stopListening();
    clearInterval(heartbeat);
    response.end();
  };
  signal.addEventListener("abort", end, { once: true });
  response.on("drain", onDrain);
  response.once("close", () => {
    signal.removeEventListener("abort", end);
    end();
  });

  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    // Proxies that know this header pass on each event at once.
    "x-accel-buffering": "no",
    // Nothing follows a stream, and a closing server need not wait for it.
    connection: "close",
  });
  write(`retry: ${RETRY_MS}\n: at most once each; what happens while nobody listens is not repeated\n\n`);
  if (beginning === "resumed") write(missed({ reason: "RESUMED" }));
}

type Missed = { readonly reason: "RESUMED" } | { readonly reason: "TOO_SLOW"; readonly count: number };

const missed = (what: Missed): string => frameOf("EVENTS_MISSED", null, what);

function frameOf(name: string, id: string | null, data: object): string {
  // JSON has no line breaks of its own, so the data is one line.
  return `${id === null ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Frames that wait for the socket, oldest first. */
class Backlog {
  readonly #frames: string[] = [];
  #bytes = 0;
  #dropped = 0;

  add(frame: string): void {
    this.#frames.push(frame);
    this.#bytes += Buffer.byteLength(frame);
    while (this.#bytes > WAITING_BYTES_MAX) {
      this.#bytes -= Buffer.byteLength(this.#frames.shift() ?? "");
      this.#dropped += 1;
    }
  }

  /** What was dropped lay before what is left, so it is told first. */
  next(): string | undefined {
    if (this.#dropped > 0) {
      const count = this.#dropped;
      this.#dropped = 0;
      return missed({ reason: "TOO_SLOW", count });
    }
    const frame = this.#frames.shift();
    if (frame !== undefined) this.#bytes -= Buffer.byteLength(frame);
    return frame;
  }
}
