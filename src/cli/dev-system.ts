/**
 * What `perdure dev` runs: the HTTP face, nats-server, the orchestrator and a worker, started in this order and stopped
 * in reverse. Each is a function around the rest, so that whatever ends a part ends those inside it first.
 */
import { type Client, connectClient } from "../client/client.js";
import { PerdureError } from "../errors.js";
import { type HttpServer, startHttpServer } from "../http/server.js";
import { createLogger, type Logger } from "../logger.js";
import { type NatsServer, startNatsServer } from "../nats-server/start.js";
import { type Orchestrator, startOrchestrator } from "../orchestrator/orchestrator.js";
import { livenessFrom } from "../orchestrator/orchestrator-options.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import type { DevOptions } from "./commands/dev.js";
import { type ExitStatus, exitStatus } from "./exit-status.js";
import { printLines, say } from "./messages.js";
import type { Settings } from "./settings.js";
import { loadWorkflows } from "./workflow-files.js";

const LOG_LEVEL_DEFAULT = "warn";

/** Resolves when it was asked to stop and has. @throws PerdureError for what kept it from starting, or ended it */
export async function runDevSystem(settings: Settings, options: DevOptions): Promise<ExitStatus> {
  const { environment } = settings;
  const logger = createLogger(options.logLevel ?? environment.logLevel ?? LOG_LEVEL_DEFAULT);
  // What is wrong in somebody's file is said before anything is started.
  const workflows = options.workflows === undefined ? [] : await loadWorkflows(options.workflows);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, stop);
  try {
    await withHttpFace(options, logger, async (face) => {
      await withNatsServer(settings, options, stopping.signal, async (nats) => {
        await withOrchestrator(settings, options, nats, logger, async (orchestrator) => {
          const dev = { settings, nats, orchestrator, face, workflows, logger };
          await untilStopped(dev, stopping.signal);
        });
      });
    });
  } catch (fault) {
    // A start that was given up on request has no fault to report.
    if (!stopping.signal.aborted) throw fault;
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
  return exitStatus.ok;
}

/** Up before the rest, so that a port that is taken is found before anything is started. */
interface HttpFace {
  readonly server: HttpServer;
  /** Through what it answers, once that is there. */
  readonly behind: { client: Client | null; orchestrator: Orchestrator | null };
}

async function withHttpFace(
  { httpPort }: DevOptions,
  logger: Logger,
  use: (face: HttpFace) => Promise<void>,
): Promise<void> {
  const behind: HttpFace["behind"] = { client: null, orchestrator: null };
  const server = await startHttpServer({
    port: httpPort,
    client: () => behind.client,
    metrics: async () => await metricsOf(behind.orchestrator),
    logger,
  });
  try {
    await use({ server, behind });
  } finally {
    await server.close();
  }
}

function metricsOf(orchestrator: Orchestrator | null): Promise<string> {
  if (orchestrator !== null) return orchestrator.metrics();
  throw new PerdureError("NOT_READY", "the orchestrator starts; it has no metrics yet. Ask again.");
}

async function withNatsServer(
  { environment }: Settings,
  { natsPort, storeDir }: DevOptions,
  signal: AbortSignal,
  use: (nats: NatsServer) => Promise<void>,
): Promise<void> {
  const nats = await startNatsServer({
    storeDir,
    port: natsPort,
    binary: environment.natsServerBinary,
    onNotice: say,
    signal,
  });
  try {
    await use(nats);
  } finally {
    await nats.stop();
  }
}

async function withOrchestrator(
  { namespace }: Settings,
  { heartbeat, maxConcurrentTasks }: DevOptions,
  nats: NatsServer,
  logger: Logger,
  use: (orchestrator: Orchestrator) => Promise<void>,
): Promise<void> {
  const orchestrator = await startOrchestrator({
    servers: nats.url,
    settings: { namespace, maxConcurrentTasks, ...livenessFrom(heartbeat) },
    // startNatsServer configures it so.
    serverSync: "always",
    logger,
  });
  try {
    await use(orchestrator);
  } finally {
    // Without its server it has nothing left to write to, and would wait for the connection to come back.
    await Promise.race([orchestrator.stop(), nats.exited]);
  }
}

interface DevSystem {
  readonly settings: Settings;
  readonly nats: NatsServer;
  readonly orchestrator: Orchestrator;
  readonly face: HttpFace;
  readonly workflows: readonly AnyWorkflow[];
  readonly logger: Logger;
}

async function untilStopped(dev: DevSystem, signal: AbortSignal): Promise<void> {
  const { settings, nats, orchestrator, face } = dev;
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const ended = Promise.race([endOfServer(nats), endOfOrchestrator(orchestrator)]);
  // It may end while nobody waits for it here, on the way out.
  ended.catch(() => undefined);
  const outcome = await Promise.race([orchestrator.leading.then(() => "leading" as const), stopped, ended]);
  if (outcome !== "leading") return;

  const client = await connectClient({ servers: nats.url, namespace: settings.namespace, name: "perdure dev" });
  Object.assign(face.behind, { client, orchestrator });
  try {
    await withWorker(dev, async () => {
      printLines([`ready ${nats.url} ${face.server.url}`]);
      say(`nats-server ${nats.version} keeps everything in ${nats.storeDir}; Ctrl-C ends it`);
      await Promise.race([stopped, ended]);
    });
  } finally {
    // While there is somebody to answer what is under way.
    await face.server.close();
    await client.close();
  }
}

/** The same at each start, so that runs of a `dev` that was killed move over without waiting for it to be lost. */
const WORKER_ID = "dev-worker";

async function withWorker({ settings, nats, workflows, logger }: DevSystem, use: () => Promise<void>): Promise<void> {
  if (workflows.length === 0) return await use();
  const { worker } = await import("../worker/worker.js");
  const { namespace } = settings;
  const running = await worker({ servers: nats.url, namespace, id: WORKER_ID, workflows, logger });
  try {
    say(`workflows run here: ${workflows.map(({ name }) => name).join(", ")}`);
    await use();
  } finally {
    // Without its server it has nobody to hand its work back to.
    await Promise.race([running.drain(), nats.exited]);
  }
}

async function endOfServer(nats: NatsServer): Promise<never> {
  const { code, signal } = await nats.exited;
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
  throw new PerdureError(
    "CONNECTION_FAILED",
    `nats-server (pid ${nats.pid}) ${how}, and nobody here had asked for it; everything accepted is in ${nats.storeDir}, its log is ${nats.logPath}. Start again.`,
    { details: { pid: nats.pid, code, signal } },
  );
}

async function endOfOrchestrator(orchestrator: Orchestrator): Promise<never> {
  const error = await orchestrator.closed;
  throw (
    error ?? new PerdureError("INTERNAL", "the orchestrator ended without an error although nobody had asked for it")
  );
}
