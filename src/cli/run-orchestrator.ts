/**
 * What `perdure orchestrator` runs: the HTTP face, the orchestrator and the client that answers HTTP, started in this
 * order and stopped in reverse. It waits for its server for a while, because things start in any order, and not for
 * ever, because a supervisor sees a restart and not a process that waits.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connectClient } from "../client/client.js";
import { PerdureError } from "../errors.js";
import { type HttpServer, startHttpServer } from "../http/server.js";
import { type ConnectFault, connectFaultOf } from "../jetstream/connect-fault.js";
import { addressesOf } from "../jetstream/connection-options.js";
import { createLogger, type Logger } from "../logger.js";
import { type Orchestrator, startOrchestrator } from "../orchestrator/orchestrator.js";
import { livenessFrom } from "../orchestrator/orchestrator-options.js";
import type { OrchestratorVerbOptions } from "./commands/orchestrator.js";
import type { ConnectionSettings } from "./connection-settings.js";
import { type ExitStatus, exitStatus, exitStatusOf } from "./exit-status.js";
import { printLines } from "./messages.js";
import type { Settings } from "./settings.js";
import { listenToStopSignals } from "./stop-signals.js";
import { untilAborted } from "./until-aborted.js";

const LOG_LEVEL_DEFAULT = "info";
const SERVER_PATIENCE_MS = 30_000;
const SERVER_RETRY_MS = 1_000;
/** Longer than a dead predecessor's lease: whoever does not lead by then stands by for one that lives. */
const STANDING_BY_MS = 5_000;

interface Parts {
  readonly settings: Settings;
  readonly options: OrchestratorVerbOptions;
  readonly connection: ConnectionSettings;
  readonly logger: Logger;
  /** Aborts when an end was asked for. */
  readonly signal: AbortSignal;
}

/** @throws PerdureError USAGE; what goes wrong later is in the log, and in the status */
export async function runOrchestrator(settings: Settings, options: OrchestratorVerbOptions): Promise<ExitStatus> {
  const connection = settings.connection();
  refuseJetStreamElsewhere(connection);
  const logger = createLogger(options.logLevel ?? settings.environment.logLevel ?? LOG_LEVEL_DEFAULT);
  // SIGHUP is left alone, so that `nohup` works.
  const stopSignals = listenToStopSignals(["SIGINT", "SIGTERM"]);
  const { signal } = stopSignals;
  try {
    return await runAll({ settings, options, connection, logger, signal });
  } catch (fault) {
    // A start that was given up on request has no fault to report.
    if (signal.aborted) return exitStatus.ok;
    // What was typed is said to whoever typed it; the rest belongs where the log is read.
    if (!(fault instanceof PerdureError) || fault.code === "USAGE" || !logger.isLevelEnabled("fatal")) throw fault;
    logger.fatal({ code: fault.code, reason: fault.message }, "the orchestrator cannot start");
    return exitStatusOf(fault.code);
  } finally {
    stopSignals.forget();
  }
}

async function runAll(parts: Parts): Promise<ExitStatus> {
  let client: Client | null = null;
  let orchestrator: Orchestrator | null = null;
  const http = await startHttp(parts, {
    client: () => client,
    metrics: async () => {
      if (orchestrator !== null) return await orchestrator.metrics();
      throw new PerdureError("NOT_READY", "the orchestrator starts; it has no metrics yet. Ask again.");
    },
  });
  try {
    orchestrator = await startWithPatience(parts);
    // Connected although it may never be asked: what is wrong shows now, not at the first request.
    if (http !== null) client = await connectClient(clientOptions(parts));
    return await untilEnd(parts, orchestrator, http);
  } finally {
    // Refuses what is new and lets the rest finish while there is still somebody to answer.
    await http?.close();
    await client?.close();
    await orchestrator?.stop();
  }
}

async function startHttp(
  { settings, options, logger }: Parts,
  face: { readonly client: () => Client | null; readonly metrics: () => Promise<string> },
): Promise<HttpServer | null> {
  const { httpPort, httpHost, insecure } = options;
  if (httpPort === undefined) {
    const [given] = Object.entries({ "--http-host": httpHost, "--insecure": insecure }).filter(
      ([, v]) => v !== undefined,
    );
    if (given === undefined) return null;
    throw new PerdureError("USAGE", `${given[0]} is about HTTP, which nobody asked for; give --http-port as well`);
  }
  return await startHttpServer({
    ...face,
    port: httpPort,
    host: httpHost,
    token: settings.environment.httpToken,
    unguarded: insecure === true ? "allowed" : "refused",
    logger,
  });
}

const clientOptions = ({ settings, connection, logger }: Parts) => ({
  ...connection.options,
  namespace: settings.namespace,
  name: "perdure http",
  logger,
});

/** @throws PerdureError the last reason for which it could not start, when waiting does not help or took too long */
async function startWithPatience({ settings, options, connection, logger, signal }: Parts): Promise<Orchestrator> {
  const { maxConcurrentTasks, heartbeat, replicas } = options;
  const deadline = performance.now() + (settings.timeoutMs ?? SERVER_PATIENCE_MS);
  for (;;) {
    try {
      return await startOrchestrator({
        ...connection.options,
        settings: {
          namespace: settings.namespace,
          replicas: Number(replicas),
          ...(maxConcurrentTasks === undefined ? {} : { maxConcurrentTasks }),
          ...(heartbeat === undefined ? {} : livenessFrom(heartbeat)),
        },
        logger,
      });
    } catch (fault) {
      signal.throwIfAborted();
      const mayPass = fault instanceof PerdureError && isPassing(fault);
      if (!mayPass || performance.now() + SERVER_RETRY_MS >= deadline) throw fault;
      logger.warn(
        { code: fault.code, reason: fault.message, delayMs: SERVER_RETRY_MS },
        "waiting for a nats-server with JetStream",
      );
      await delay(SERVER_RETRY_MS, undefined, { signal });
    }
  }
}

/** A server that refuses us, or that we do not trust, is there: only people change that. */
const lastingFaults: ReadonlySet<ConnectFault> = new Set(["credentials", "tls"]);

/** Somebody starts the server, or its cluster elects a leader. */
function isPassing(fault: PerdureError): boolean {
  if (fault.code === "CONNECTION_FAILED") return !lastingFaults.has(connectFaultOf(fault));
  return fault.code === "STORAGE_UNAVAILABLE" || fault.code === "REQUEST_TIMED_OUT";
}

async function untilEnd(
  { connection, signal }: Parts,
  orchestrator: Orchestrator,
  http: HttpServer | null,
): Promise<ExitStatus> {
  const stopped = untilAborted(signal);
  const { closed } = orchestrator;
  // `closed` says why; this says only that it never led.
  const leading = orchestrator.leading.catch(() => undefined);
  await Promise.race([leading, closed, stopped, delay(STANDING_BY_MS, undefined, { ref: false })]);
  if (orchestrator.state === "recovering") await Promise.race([leading, closed, stopped]);
  if (orchestrator.state === "leading" || orchestrator.state === "standby") {
    const urls = addressesOf(connection.options.servers).map(({ shown }) => shown);
    printLines([["ready", urls.join(","), ...(http === null ? [] : [http.url])].join(" ")]);
  }
  const error = await Promise.race([closed, stopped]);
  // It has said so in the log itself.
  return error === undefined ? exitStatus.ok : exitStatusOf(error.code);
}

function refuseJetStreamElsewhere({ context }: ConnectionSettings): void {
  if (context?.jetStreamElsewhere === undefined) return;
  throw new PerdureError(
    "USAGE",
    `context "${context.name}" reaches JetStream as "${context.jetStreamElsewhere}" (jetstream_domain or jetstream_api_prefix); an orchestrator works in the account and domain that have the streams. Nothing was started; use a context of those.`,
    { details: { context: context.name } },
  );
}
