/** What people and Prometheus ask over HTTP: `/decisions`, `/analytics`, `/metrics`, `/healthz`. Reads only. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { PerdureError } from "perdure";
import { z } from "zod";
import { expositionType } from "./exposition.js";
import type { LatestDecisions } from "./latest-decisions.js";
import type { RoutingReport } from "./routing-totals.js";

export interface ApiSources {
  readonly decisions: Pick<LatestDecisions, "list">;
  readonly analytics: () => Promise<RoutingReport>;
  /** Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** Milliseconds of a round trip to JetStream. Rejects while it is out of reach. */
  readonly ping: () => Promise<number>;
}

export interface ApiServer {
  readonly url: string;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly type?: string;
}

const LISTED_DEFAULT = 50;
const DecisionsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(LISTED_DEFAULT),
  model: z.string().min(1).optional(),
});

/** Port 0 takes a free one. @throws Error EADDRINUSE and the like */
export async function startApiServer(
  sources: ApiSources,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<ApiServer> {
  const server = createServer((request, response) => {
    void answer(sources, request).then((given) => respond(response, given));
  });
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address();
  const taken = address !== null && typeof address === "object" ? address.port : port;
  return {
    url: `http://${host}:${taken}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      // Prometheus keeps its connection; what is being answered has a moment.
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), 1_000).unref();
      await closed;
    },
  };
}

async function answer(sources: ApiSources, request: IncomingMessage): Promise<Answer> {
  const [path = "", query] = (request.url ?? "").split("?", 2);
  const read = reads[path];
  if (read === undefined) return { status: 404, body: { error: `there is ${Object.keys(reads).join(", ")}` } };
  if (request.method !== "GET") return { status: 405, body: { error: "only GET is answered" } };
  try {
    return await read(sources, new URLSearchParams(query));
  } catch (fault) {
    const code = fault instanceof PerdureError ? fault.code : "INTERNAL";
    return { status: 503, body: { error: fault instanceof Error ? fault.message : String(fault), code } };
  }
}

const reads: Readonly<Record<string, (sources: ApiSources, query: URLSearchParams) => Promise<Answer> | Answer>> = {
  "/decisions": ({ decisions }, query) => {
    const parsed = DecisionsQuery.safeParse(Object.fromEntries(query));
    if (!parsed.success) return { status: 400, body: { error: z.prettifyError(parsed.error) } };
    const { limit, model } = parsed.data;
    return { status: 200, body: { decisions: decisions.list({ limit, model }) } };
  },
  "/analytics": async ({ analytics }) => ({ status: 200, body: await analytics() }),
  "/metrics": async ({ metrics }) => ({ status: 200, body: await metrics(), type: expositionType }),
  "/healthz": async ({ ping }) => ({ status: 200, body: { status: "ok", jetStreamPingMs: await ping() } }),
};

function respond(response: ServerResponse, { status, body, type }: Answer): void {
  const text = typeof body === "string" ? body : `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": type ?? "application/json",
    ...(status === 405 ? { allow: "GET" } : {}),
  });
  response.end(text);
}
