/**
 * One browser that watches a job, by server-sent events. Each status has its number as the event's id, so a browser that
 * comes back with `Last-Event-ID`, to this brain or to the next one, is sent what it missed and nothing twice. The last event
 * is the result.
 */
import type { ServerResponse } from "node:http";
import type { JobBook, JobPicture } from "./job-book.js";

export interface JobEvents {
  readonly book: JobBook;
  readonly jobId: string;
  /** Of the last event that the browser has; undefined for a new one. */
  readonly lastEventId: string | undefined;
}

const RESULT_ID = "result";
const RETRY_MS = 500;
const HEARTBEAT_MS = 10_000;
/** What a browser may leave unread; then it is cut off, comes back and is sent the rest. */
const UNREAD_BYTES_MAX = 1024 * 1024;

export function streamJob(response: ServerResponse, { book, jobId, lastEventId }: JobEvents): void {
  if (lastEventId === RESULT_ID) {
    // Tells a browser not to come back.
    response.writeHead(204).end();
    return;
  }
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    connection: "close",
  });
  response.write(`retry: ${RETRY_MS}\n\n`);

  let lastSent = Number(lastEventId ?? 0) || 0;
  const show = ({ updates, result }: JobPicture): void => {
    if (response.writableEnded) return;
    for (const { id, body } of updates) {
      if (id <= lastSent) continue;
      response.write(frameOf("status", String(id), body));
      lastSent = id;
    }
    if (result !== undefined) response.end(frameOf("result", RESULT_ID, result));
    else if (response.writableLength > UNREAD_BYTES_MAX) response.destroy();
  };
  const look = inTurn(
    async () => show(await book.of(jobId)),
    () => response.destroy(),
  );
  // Many browsers may watch one job, so nobody reads again what the news brings.
  const endNews = book.onNews(jobId, (updates) => {
    if (updates === undefined) look();
    else show({ updates, result: undefined });
  });
  const heartbeat = setInterval(() => response.write(": still here\n\n"), HEARTBEAT_MS);
  response.once("close", () => {
    endNews();
    clearInterval(heartbeat);
  });
  look();
}

function frameOf(name: string, id: string, data: unknown): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Runs once more for everything that was asked for while it ran, and never twice at a time. */
function inTurn(work: () => Promise<void>, onFault: () => void): () => void {
  let wanted = false;
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    while (wanted) {
      wanted = false;
      await work();
    }
    running = false;
  };
  return () => {
    wanted = true;
    if (!running) run().catch(onFault);
  };
}
