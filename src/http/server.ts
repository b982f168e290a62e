/**
 * The HTTP face of the system: the operations of the wire for programs that speak no NATS. It has no rules of its own;
 * every answer is the client's. docs/http-api.md is for its users.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Client } from "../client/client.js";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import { EventFeed } from "./event-feed.js";
import { guardFor, isLoopback } from "./guard.js";
import type { Face } from "./operation.js";
import { RequestHandler } from "./request-handler.js";

export interface HttpServerOptions {
  /** Through which requests are answered; while it gives null, they are refused with NOT_READY. */
  readonly client: () => Client | null;
  /** 0 takes a free one. */
  readonly port: number;
  /** Default 127.0.0.1. Any address but loopback needs a token, or `unguarded`. */
  readonly host?: string | undefined;
  /** Asked of every request, as `Authorization: Bearer <token>`, but those of /healthz and /readyz. */
  readonly token?: string | undefined;
  /** "allowed": other machines may use this without a token (`--insecure`). Default "refused". */
  readonly unguarded?: "refused" | "allowed" | undefined;
  /** What GET /metrics answers, in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** How long a request waits for an orchestrator that answers, before it is refused with 503. Default 10,000. */
  readonly requestTimeoutMs?: number | undefined;
  readonly logger: Logger;
}

export interface HttpServer {
  /** `http://<host>:<port>`, without a slash at its end. */
  readonly url: string;
  /** Ends event streams and waits, lets other requests finish for a moment, then closes. May be called twice. */
  close(): Promise<void>;
}

const HOST_DEFAULT = "127.0.0.1";
/** As for the command line: long enough for a standby to take over, short enough to sit in front of. */
const REQUEST_TIMEOUT_MS_DEFAULT = 10_000;
/** A request that has not arrived whole by then is given up. Node's own bound is five minutes. */
const ARRIVAL_TIMEOUT_MS = 30_000;
const HEAD_ARRIVAL_TIMEOUT_MS = 10_000;
const ARRIVAL_CHECK_MS = 5_000;
/** Longer than proxies keep theirs, a minute mostly: the asking side has to be the one that closes an idle connection. */
const KEEP_ALIVE_MS = 75_000;
/** What is asked of an orchestrator that is there is answered within milliseconds. */
const CLOSE_PATIENCE_MS = 2_000;
/** For refusals to leave. */
const REFUSAL_PATIENCE_MS = 100;

/** @throws PerdureError USAGE where the port or address cannot be had, or a token is missing for it */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host = HOST_DEFAULT, token, unguarded, logger } = options;
  const guard = guardFor({ host, token, unguarded });
  const handler = new RequestHandler({ guard, face: faceOf(options), logger });
  const server = serverOf(handler);
  const port = await listen(server, host, options.port);
  if (token === undefined && !isLoopback(host)) {
    logger.warn({ host, port }, "HTTP is served without a token: whoever reaches it may submit and cancel tasks");
  }
  let closed: Promise<void> | undefined;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    close: () => {
      closed ??= close(server, handler);
      return closed;
    },
  };
}

function faceOf({ client, metrics, requestTimeoutMs = REQUEST_TIMEOUT_MS_DEFAULT }: HttpServerOptions): Face {
  const currentClient = (): Client => {
    const current = client();
    if (current !== null) return current;
    throw new PerdureError("NOT_READY", "the system is starting, or ending; nothing was done. Ask again.");
  };
  return { client: currentClient, metrics, events: new EventFeed(currentClient), requestTimeoutMs };
}

function serverOf(handler: RequestHandler): Server {
  const server = createServer({
    requestTimeout: ARRIVAL_TIMEOUT_MS,
    headersTimeout: HEAD_ARRIVAL_TIMEOUT_MS,
    connectionsCheckingInterval: ARRIVAL_CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node's own refusal would have no body.
    requireHostHeader: false,
  });
  const handle = (request: IncomingMessage, response: ServerResponse): void => void handler.handle(request, response);
  server.on("request", handle);
  // Of an `Expect` that is not 100-continue, which nobody has to fulfil.
  server.on("checkExpectation", handle);
  server.on("clientError", (error, socket) => handler.refuseConnection(error, socket));
  server.on("connect", (_, socket) => handler.refuseConnection(new Error("this is no proxy"), socket));
  return server;
}

async function close(server: Server, handler: RequestHandler): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  handler.close();
  if (!(await happensWithin(handler.untilIdle(), CLOSE_PATIENCE_MS))) {
    handler.abandon();
    await happensWithin(handler.untilIdle(), REFUSAL_PATIENCE_MS);
  }
  // Also those that have asked nothing yet.
  server.closeAllConnections();
  await closed;
}

async function happensWithin(what: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const happened = await Promise.race([what.then(() => true), timedOut]);
  clearTimeout(timer);
  return happened;
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  }).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PerdureError(
      "USAGE",
      `cannot listen on HTTP port ${port} of ${host}: ${reason}; nothing was started, give another --http-port`,
      { details: { host, port }, cause },
    );
  });
  // Of a server that listens on a port, not on a pipe.
  return (server.address() as AddressInfo).port;
}
