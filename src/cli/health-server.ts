/**
 * The HTTP face of `perdure dev`: GET /healthz on loopback, for whoever watches processes by HTTP. 200 while this
 * process leads and answers, 503 otherwise.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { PerdureError } from "../errors.js";

export interface Health {
  readonly leads: boolean;
  readonly body: object;
}

export interface HealthServer {
  readonly url: string;
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";

/** @throws PerdureError USAGE where the port cannot be had; 0 takes a free one */
export async function serveHealth(port: number, ask: () => Promise<Health>): Promise<HealthServer> {
  const server = createServer((request, response) => void answer(request, response, ask));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, LOOPBACK, resolve);
  }).catch((cause: unknown) => {
    throw new PerdureError(
      "USAGE",
      `cannot listen on HTTP port ${port}: ${cause instanceof Error ? cause.message : String(cause)}; nothing was started, give another --http-port`,
      { details: { port }, cause },
    );
  });
  // Of a server that listens on a port, not on a pipe.
  const address = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, ask: () => Promise<Health>): Promise<void> {
  // Whatever follows a question mark is for caches of clients.
  const [path] = (request.url ?? "/").split("?");
  if (path !== "/healthz") return send(response, 404, { error: "only /healthz is here" });
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return send(response, 405, { error: "only GET is answered" });
  }
  try {
    const { leads, body } = await ask();
    send(response, leads ? 200 : 503, body);
  } catch (fault) {
    const code = fault instanceof PerdureError ? fault.code : "INTERNAL";
    send(response, 503, {
      status: "unhealthy",
      error: { code, message: fault instanceof Error ? fault.message : String(fault) },
    });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}
