/** One request from its head to its answer: routed, admitted, answered or refused. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Guard } from "./guard.js";
import type { Face, Operation } from "./operation.js";
import { readJsonBody } from "./request-body.js";
import { refuseOnSocket, sendAnswer, sendRefusal } from "./respond.js";
import { type Route, routeOf } from "./router.js";

export interface RequestHandlerOptions {
  readonly guard: Guard;
  readonly face: Face;
  readonly logger: Logger;
}

export class RequestHandler {
  readonly #options: RequestHandlerOptions;
  /** What ends each request that is under way. */
  readonly #underWay = new Map<AbortController, Operation["patience"]>();
  /** Answers that are not sent yet, and the sockets they go to: nothing else may be written to those. */
  readonly #answering = new Map<ServerResponse, Duplex>();
  #closing: PerdureError | null = null;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { guard, face, logger } = this.#options;
    const { method = "", url = "" } = request;
    const [path = "", ...query] = url.split("?");
    const end = new AbortController();
    this.#answering.set(response, request.socket);
    response.once("close", () => {
      this.#answering.delete(response);
      this.#underWay.delete(end);
      end.abort(new Error("the caller hung up"));
    });
    try {
      const { operation, pathParameters } = this.#admit(routeOf(method, path), request, guard);
      this.#underWay.set(end, operation.patience);
      const call = {
        pathParameters,
        query: new URLSearchParams(query.join("?")),
        header: (name: string) => request.headers[name]?.toString(),
        readBody: () => readJsonBody(request),
        signal: end.signal,
      };
      const answer = await operation.answer(call, face);
      this.#beforeHead(response);
      sendAnswer(response, operation.success.status, answer);
    } catch (fault) {
      this.#refuse(response, fault);
    }
    logger.debug({ method, path, status: response.statusCode }, "answered over HTTP");
  }

  /** What could not be read as HTTP, as Node reports it. */
  refuseConnection(error: Error & { readonly code?: string }, socket: Duplex): void {
    if (!socket.writable || [...this.#answering.values()].includes(socket)) {
      socket.destroy();
      return;
    }
    refuseOnSocket(socket, connectionFault(error));
  }

  /** What takes as long as it likes ends now, and nothing new begins. */
  close(): void {
    this.#closing = new PerdureError("NOT_READY", "this HTTP server is closing; nothing was done. Ask again.");
    this.#endAll("long", this.#closing);
  }

  /** What is still under way ends too. */
  abandon(): void {
    const message =
      "this HTTP server is closing and had no answer yet; whether the request was carried out is unknown. Asking again with the same ids is safe.";
    this.#endAll("short", new PerdureError("REQUEST_TIMED_OUT", message, { details: { outcome: "unknown" } }));
  }

  /** Resolves when everything that is being answered now was, or its caller is gone. */
  async untilIdle(): Promise<void> {
    await Promise.all(
      [...this.#answering.keys()].map((response) => new Promise<void>((resolve) => response.once("close", resolve))),
    );
  }

  #endAll(which: Operation["patience"], reason: PerdureError): void {
    for (const [end, patience] of this.#underWay) if (patience === which) end.abort(reason);
  }

  /** Who may not ask is not told what there is. */
  #admit(route: Route | PerdureError, request: IncomingMessage, guard: Guard): Route {
    if (request.headers.host === undefined && request.httpVersion === "1.1") throw malformed("there is no Host");
    guard(
      { method: request.method ?? "", headers: request.headers },
      route instanceof PerdureError ? "guarded" : route.operation.access,
    );
    if (route instanceof PerdureError) throw route;
    if (this.#closing !== null) throw this.#closing;
    return route;
  }

  #refuse(response: ServerResponse, fault: unknown): void {
    // Nobody is there to be told, or half an answer is under way.
    if (response.destroyed || response.headersSent) {
      response.destroy();
      return;
    }
    this.#beforeHead(response);
    if (fault instanceof PerdureError) {
      sendRefusal(response, fault);
      return;
    }
    this.#options.logger.error({ err: fault }, "a request over HTTP could not be handled");
    sendRefusal(response, new PerdureError("INTERNAL", UNEXPECTED));
  }

  /** A connection that is kept for further requests would keep a closing server. */
  #beforeHead(response: ServerResponse): void {
    if (this.#closing !== null) response.setHeader("connection", "close");
  }
}

const UNEXPECTED =
  "this server could not handle the request, and its log says why; whether it took effect is unknown. Ask again with the same ids.";

function connectionFault({ code, message }: Error & { readonly code?: string }): PerdureError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new PerdureError(
        "HTTP_HEADERS_TOO_LARGE",
        "the request's head is larger than 16 KiB and was not read; nothing was done",
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new PerdureError(
        "HTTP_REQUEST_TIMED_OUT",
        "the request did not arrive whole in time; nothing was done. Send it at once, on a new connection.",
      );
    default:
      return malformed(message);
  }
}

function malformed(why: string): PerdureError {
  return new PerdureError("HTTP_REQUEST_MALFORMED", `the request is no proper HTTP (${why}); nothing was done`);
}
