/**
 * Whether a knight can work, for whoever supervises it: connected, JetStream answers, and how many tasks wait for it.
 * `GET /health` (or /healthz) is 200 or 503. JetStream is asked in the background, so a probe costs the server nothing
 * and is answered at once, also when JetStream is not.
 */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConsumerLag, Fleet } from "perdure/bridges";
import type { Log } from "./executor.js";
import { SettingsError } from "./settings.js";

export interface TaskCounts {
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly malformed: number;
  readonly duplicates: number;
  readonly cost: number;
  readonly tokens: { readonly input: number; readonly output: number };
}

export interface HealthReport {
  readonly status: "healthy" | "unhealthy";
  readonly knight: string;
  /** One sentence for each thing that is wrong. */
  readonly faults: readonly string[];
  readonly connection: { readonly connected: boolean; readonly url: string };
  /** Of the last ping. */
  readonly jetstream: { readonly ok: boolean; readonly ping_ms: number | null; readonly checked_at: string | null };
  /** `pending`: tasks that wait for this knight; null while JetStream does not answer. */
  readonly consumer: {
    readonly stream: string;
    readonly name: string;
    readonly pending: number | null;
    readonly ack_pending: number | null;
  };
  readonly tasks: TaskCounts;
  readonly draining: boolean;
}

export interface HealthOptions {
  readonly knight: string;
  readonly fleet: Fleet;
  readonly stream: string;
  readonly consumer: string;
  /** Of the consumer, asked with every ping. */
  readonly lag: () => Promise<ConsumerLag>;
  /** Null: the usual one, or any other where that is taken. */
  readonly port: number | null;
  readonly counts: () => TaskCounts;
  readonly isDraining: () => boolean;
  readonly log: Log;
  /** Between two pings. */
  readonly pingIntervalMs?: number;
}

export interface Health {
  readonly url: string;
  report(): HealthReport;
  close(): Promise<void>;
}

const defaultPort = 8080;
const pingIntervalMsDefault = 5_000;

interface Ping {
  readonly at: Date;
  readonly pingMs: number;
  readonly pending: number;
  readonly ackPending: number;
}

/** Pings once before it listens. */
export async function startHealth(options: HealthOptions): Promise<Health> {
  const { fleet, stream, consumer, lag, log, pingIntervalMs = pingIntervalMsDefault } = options;
  let last: Ping | null = null;
  let fault: string | null = null;

  const ping = async (): Promise<void> => {
    try {
      const pingMs = await fleet.ping();
      const { pending, ackPending } = await lag();
      last = { at: new Date(), pingMs, pending, ackPending };
      if (fault !== null) log.info({ ping_ms: pingMs }, "JetStream answers again");
      fault = null;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (fault === null) log.warn({ why }, "JetStream does not answer");
      fault = why;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const pingAgain = (): void => {
    timer = setTimeout(async () => {
      await ping();
      if (!isClosed) pingAgain();
    }, pingIntervalMs);
  };

  const report = (): HealthReport => {
    const faults = [
      ...(fleet.isConnected ? [] : [`not connected to ${fleet.url}`]),
      ...(fault === null ? [] : [`JetStream does not answer: ${fault}`]),
    ];
    const isAnswering = fleet.isConnected && fault === null;
    const known = isAnswering ? last : null;
    return {
      status: faults.length === 0 ? "healthy" : "unhealthy",
      knight: options.knight,
      faults,
      connection: { connected: fleet.isConnected, url: fleet.url },
      jetstream: {
        ok: isAnswering,
        ping_ms: known === null ? null : Math.round(known.pingMs * 10) / 10,
        checked_at: last === null ? null : last.at.toISOString(),
      },
      consumer: {
        stream,
        name: consumer,
        pending: known === null ? null : known.pending,
        ack_pending: known === null ? null : known.ackPending,
      },
      tasks: options.counts(),
      draining: options.isDraining(),
    };
  };

  await ping();
  const server = createServer(({ method, url = "" }, response) => {
    const path = url.split("?", 1)[0] ?? "";
    if (path !== "/health" && path !== "/healthz") return answer(response, 404, { error: "there is /health only" });
    if (method !== "GET" && method !== "HEAD") return answer(response, 405, { error: "it takes GET and HEAD" });
    const now = report();
    answer(response, now.status === "healthy" ? 200 : 503, now);
  });
  const port = await listen(server, options.port, log);
  pingAgain();
  return {
    url: `http://127.0.0.1:${port}/health`,
    report,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Several knights may run on one machine, and nobody has to give each a port to have them start. */
async function listen(server: Server, wanted: number | null, log: Log): Promise<number> {
  try {
    return await listenOn(server, wanted ?? defaultPort);
  } catch (error) {
    const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    if (wanted !== null || !isTaken) {
      const why = error instanceof Error ? error.message : String(error);
      throw new SettingsError(`HEALTH_PORT ${wanted ?? defaultPort} cannot be listened on: ${why}.`, { cause: error });
    }
    const port = await listenOn(server, 0);
    log.warn({ wanted: defaultPort, port }, "the usual port for health is taken; listening on another one");
    return port;
  }
}

async function listenOn(server: Server, port: number): Promise<number> {
  server.listen(port);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
