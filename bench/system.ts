/** A whole Perdure for a benchmark: nats-server, one orchestrator in its own process, and a client in this one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Client, connectClient } from "perdure";
import { type NatsServer, startNatsServer } from "../src/nats-server/start.js";
import { livenessFrom, type OrchestratorSettingsInput } from "../src/orchestrator/orchestrator-options.js";
import { type ReadyProcess, startProcess } from "./processes.js";

/** Agents beat seldom, so that a large fleet's heartbeats are not what is measured. */
const HEARTBEAT_MS = 10_000;
/** The checkpoint follows within a second or two of silence; a million records take a minute. */
const SETTLED_WITHIN_MS = 600_000;
const POLL_MS = 100;

export class System {
  readonly client: Client;
  nats: NatsServer;
  orchestrator: ReadyProcess;
  readonly #settings: string;
  readonly #started: ReadyProcess[] = [];

  constructor(parts: { client: Client; nats: NatsServer; orchestrator: ReadyProcess; settings: string }) {
    this.client = parts.client;
    this.nats = parts.nats;
    this.orchestrator = parts.orchestrator;
    this.#settings = parts.settings;
  }

  startOrchestrator(word?: string): Promise<ReadyProcess> {
    return this.#start("bench/orchestrator.js", [this.nats.url, this.#settings], word);
  }

  /** See echo-agent.ts for what may follow the id. */
  startAgents(id: string, ...more: readonly string[]): Promise<ReadyProcess> {
    return this.#start("bench/echo-agent.js", [id, this.nats.url, ...more]);
  }

  /** Ends whatever still runs. */
  async end(): Promise<void> {
    await this.client.close();
    await Promise.all(this.#started.map((started) => started.stop()));
    await this.orchestrator.stop();
    await this.nats.stop();
  }

  /** Resolves when the buckets hold all that the journal says and nothing changes any more. */
  async settled(): Promise<void> {
    const giveUpAt = performance.now() + SETTLED_WITHIN_MS;
    for (;;) {
      const { journalSequence, checkpointSequence } = await this.client.status();
      if (checkpointSequence === journalSequence) return;
      if (performance.now() > giveUpAt) {
        throw new Error(`the checkpoint stays at ${checkpointSequence} of ${journalSequence}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #start(script: string, args: readonly string[], word?: string): Promise<ReadyProcess> {
    const started = await startProcess(script, args, word);
    this.#started.push(started);
    return started;
  }
}

/** Runs `use` with a system on a store of its own, and takes everything away after it. */
export async function withSystem(
  settings: OrchestratorSettingsInput,
  use: (system: System) => Promise<void>,
): Promise<void> {
  const storeDir = await mkdtemp(path.join(tmpdir(), "perdure-bench-"));
  const nats = await startNatsServer({ storeDir, monitoringPort: 0 });
  const all = JSON.stringify({
    maxConcurrentTasks: 0,
    maxQueuedTasks: 10_000_000,
    ...livenessFrom(HEARTBEAT_MS),
    ...settings,
  });
  const orchestrator = await startProcess("bench/orchestrator.js", [nats.url, all]);
  const client = await connectClient({ servers: nats.url, requestTimeoutMs: 120_000 });
  const system = new System({ client, nats, orchestrator, settings: all });
  try {
    await use(system);
  } finally {
    await system.end();
    await rm(storeDir, { recursive: true, force: true });
  }
}
