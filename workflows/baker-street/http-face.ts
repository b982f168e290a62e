/** The brain over HTTP: jobs in, jobs shown, live. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { PerdureError } from "perdure";
import { z } from "zod";
import { streamJob } from "./event-stream.js";
import type { JobDesk } from "./job-desk.js";
import { Job, Token } from "./messages.js";
import { page } from "./page.js";
import type { Tracing } from "./tracing.js";

export interface HttpFaceOptions {
  readonly port: number;
  readonly desk: JobDesk;
  readonly tracing: Tracing;
  readonly health: () => unknown;
  readonly tools: () => Promise<unknown>;
}

export interface HttpFace {
  readonly url: string;
  /** Ends event streams as well; browsers come back, to whoever answers then. */
  close(): Promise<void>;
}

/** Whoever reaches it may hand in jobs. */
const HOST = "127.0.0.1";
const BODY_BYTES_MAX = 128 * 1024;

const statusByCode: Readonly<Partial<Record<string, number>>> = {
  NOT_FOUND: 404,
  ID_CONFLICT: 409,
  INVALID_ID: 400,
  INVALID_MESSAGE: 400,
  PAYLOAD_TOO_LARGE: 413,
  QUEUE_FULL: 503,
  NO_RESPONDERS: 503,
  REQUEST_TIMED_OUT: 503,
  NOT_READY: 503,
};

class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function startHttpFace(options: HttpFaceOptions): Promise<HttpFace> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((fault: unknown) => refuse(response, fault));
  });
  const port = await listen(server, options.port);
  return {
    url: `http://${HOST}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, () => resolve((server.address() as AddressInfo).port));
  });
}

async function answer(options: HttpFaceOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { desk, health, tools } = options;
  const { pathname } = new URL(request.url ?? "/", "http://brain");
  const [first = "", jobId, events, ...rest] = pathname.slice(1).split("/").map(decodeURIComponent);
  const route = `${request.method} /${first}${jobId === undefined ? "" : "/:id"}${events === undefined ? "" : `/${events}`}`;
  if (rest.length > 0) throw unknownRoute(pathname);
  switch (route) {
    case "GET /":
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
      return;
    case "POST /jobs":
      return await handIn(options, request, response);
    case "GET /jobs/:id":
      return json(response, 200, await desk.view(checkedId(jobId)));
    case "GET /jobs/:id/events": {
      const known = await desk.view(checkedId(jobId));
      const lastEventId = request.headers["last-event-id"];
      return streamJob(response, {
        book: desk.book,
        jobId: known.jobId,
        lastEventId: Array.isArray(lastEventId) ? lastEventId[0] : lastEventId,
      });
    }
    case "GET /health":
      return json(response, 200, health());
    case "GET /extensions":
      return json(response, 200, await tools());
    default:
      throw unknownRoute(`${request.method} ${pathname}`);
  }
}

async function handIn({ desk, tracing }: HttpFaceOptions, request: IncomingMessage, response: ServerResponse) {
  // Which a page of another site cannot send without having asked first.
  if (!/^application\/json\b/.test(request.headers["content-type"] ?? "")) {
    throw new Refusal(415, "INVALID_MESSAGE", "a job is JSON: send it with content-type application/json");
  }
  const given = z.looseObject({}).safeParse(await bodyOf(request));
  if (!given.success) throw new Refusal(400, "INVALID_MESSAGE", "a job is a JSON object: {type, input, jobId?}");
  const job = Job.safeParse(withId(given.data));
  if (!job.success) throw new Refusal(400, "INVALID_MESSAGE", z.prettifyError(job.error));
  const parent = request.headers["traceparent"];
  const hop = tracing.hop("POST /jobs", "entry", typeof parent === "string" ? parent : undefined);
  try {
    await desk.handIn(job.data, hop.traceparent);
    hop.end();
    const location = `/jobs/${encodeURIComponent(job.data.jobId)}`;
    response.setHeader("location", location);
    json(response, 202, { jobId: job.data.jobId, events: `${location}/events`, traceparent: hop.traceparent });
  } catch (fault) {
    hop.end(fault instanceof Error ? fault.message : String(fault));
    throw fault;
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES_MAX) throw new Refusal(413, "PAYLOAD_TOO_LARGE", `a job may have ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal(400, "INVALID_MESSAGE", "the body is not JSON");
  }
}

function checkedId(jobId: string | undefined): string {
  const parsed = Token.safeParse(jobId);
  if (parsed.success) return parsed.data;
  throw new Refusal(400, "INVALID_ID", `"${jobId}" is no id of a job: ${parsed.error.issues[0]?.message}`);
}

const unknownRoute = (what: string): Refusal => new Refusal(404, "NOT_FOUND", `there is nothing at ${what}`);

function withId(job: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return ["jobId", "job_id", "id"].some((name) => job[name] !== undefined) ? job : { ...job, jobId: randomUUID() };
}

function refuse(response: ServerResponse, fault: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (fault instanceof URIError) {
    refuse(response, new Refusal(400, "INVALID_MESSAGE", "the path is not encoded"));
    return;
  }
  const isTold = fault instanceof Refusal || fault instanceof PerdureError;
  const status = fault instanceof Refusal ? fault.status : isTold ? (statusByCode[fault.code] ?? 500) : 500;
  const code = isTold ? fault.code : "INTERNAL";
  const message = fault instanceof Error ? fault.message : String(fault);
  json(response, status, { error: { code, message } });
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}
