/**
 * The whole engine in one call, for examples and tests that want the real thing: a nats-server of its own and an
 * orchestrator in this process, on a folder that goes when it stops.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, type Logger } from "../logger.js";
import { startNatsServer } from "../nats-server/start.js";
import { startOrchestrator } from "../orchestrator/orchestrator.js";
import { livenessFrom } from "../orchestrator/orchestrator-options.js";

export interface LocalSystemOptions {
  /** Kept when it stops. Default: a temporary folder that is removed. */
  readonly storeDir?: string;
  /** How often agents report; unhealthy after three, lost after six. Default 1,000. */
  readonly heartbeatMs?: number;
  readonly namespace?: string;
  /** Default: errors, as JSON lines on stderr. */
  readonly logger?: Logger;
  /** Told what takes a while: the first time, nats-server may have to be fetched. */
  readonly onNotice?: (notice: string) => void;
}

export interface LocalSystem {
  /** For clients, agents and workers. */
  readonly url: string;
  stop(): Promise<void>;
}

const HEARTBEAT_MS_DEFAULT = 1_000;

/** Resolves when submissions are taken. @throws PerdureError NATS_SERVER_* where no server can be started */
export async function startLocalSystem(options: LocalSystemOptions = {}): Promise<LocalSystem> {
  const { logger = createLogger("error"), onNotice, namespace, heartbeatMs = HEARTBEAT_MS_DEFAULT } = options;
  const storeDir = options.storeDir ?? (await mkdtemp(join(tmpdir(), "perdure-")));
  const stops: (() => Promise<unknown>)[] = [];
  if (options.storeDir === undefined) stops.push(() => rm(storeDir, { recursive: true, force: true }));
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const nats = await startNatsServer({ storeDir, port: 0, ...(onNotice === undefined ? {} : { onNotice }) });
    stops.push(() => nats.stop());
    const orchestrator = await startOrchestrator({
      servers: nats.url,
      settings: {
        ...(namespace === undefined ? {} : { namespace }),
        maxConcurrentTasks: 0,
        ...livenessFrom(heartbeatMs),
      },
      serverSync: "always",
      logger,
    });
    stops.push(() => orchestrator.stop());
    await orchestrator.leading;
    return { url: nats.url, stop };
  } catch (fault) {
    await stop();
    throw fault;
  }
}
