/** docs/two-accounts.conf on a real server, with an orchestrator and a client that have their rights and no others. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { type Agent, agent } from "../../src/agent/agent.js";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import { type Client, connectClient } from "../../src/client/client.js";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import type { ConnectionOptions } from "../../src/jetstream/connection-options.js";
import { type Orchestrator, startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { worker } from "../../src/worker/worker.js";
import type { AnyWorkflow } from "../../src/workflow/definition.js";
import { type ConfiguredNats, startConfigured } from "../support/configured-nats.js";
import { captureLog } from "../support/log-lines.js";

const withNkey = ["ADMIN", "ORCHESTRATOR", "CLIENT"] as const;
export type AgentName = "camera-1" | "ocr-1" | "worker-1";
export type Role = (typeof withNkey)[number] | AgentName;

const inboxPrefixes = { ADMIN: "_INBOX", ORCHESTRATOR: "_INBOX_o", CLIENT: "_INBOX_c_ann" } as const;

export interface TwoAccounts {
  readonly client: Client;
  /** How to connect as somebody. */
  as(role: Role): ConnectionOptions & { readonly servers: string };
  /** A connection for mischief: what it is refused is no violation of those who behave. */
  connect(role: Role): Promise<Connection>;
  startAgent(id: AgentName, tasks: Readonly<Record<string, TaskHandler>>): Promise<Agent>;
  startWorker(workflows: readonly AnyWorkflow[], maxCachedRuns?: number): Promise<Agent>;
  stopOrchestrator(): Promise<void>;
  startOrchestrator(): Promise<void>;
  /** What orchestrators and agents were not allowed to do. */
  violations(): readonly string[];
}

/** Registers the hooks that start all of it before a file's tests and stop it after them. */
export function useTwoAccounts(): TwoAccounts {
  const { logger, messages } = captureLog();
  let server: ConfiguredNats;
  let orchestrator: Orchestrator;
  let client: Client;

  const as: TwoAccounts["as"] = (role) => {
    const servers = server.url;
    if (role === "camera-1" || role === "ocr-1" || role === "worker-1") {
      return { servers, user: role, password: `${role}-pw`, inboxPrefix: `_INBOX_a_${role}` };
    }
    return { servers, nkeyFile: join(server.folder, `${role}.nk`), inboxPrefix: inboxPrefixes[role] };
  };
  const orchestrate = async (role: "ADMIN" | "ORCHESTRATOR"): Promise<Orchestrator> => {
    const started = await startOrchestrator({ ...as(role), logger });
    await started.leading;
    return started;
  };

  beforeAll(async () => {
    const keys = withNkey.map((role) => ({ role, pair: nkeys.createUser() }));
    let config = await readFile(new URL("../../docs/two-accounts.conf", import.meta.url), "utf8");
    for (const { role, pair } of keys) config = config.replace(`${role}_NKEY`, pair.getPublicKey());
    config = config.replace("CAMERA_PASSWORD", "camera-1-pw").replace("OCR_PASSWORD", "ocr-1-pw");
    config = config.replace("WORKER_PASSWORD", "worker-1-pw");
    server = await startConfigured(config, async (folder) => {
      for (const { role, pair } of keys) await writeFile(join(folder, `${role}.nk`), pair.getSeed());
    });
    await (await orchestrate("ADMIN")).stop();
    orchestrator = await orchestrate("ORCHESTRATOR");
    client = await connectClient(as("CLIENT"));
  });
  afterAll(async () => {
    await client.close();
    await orchestrator.stop();
    await server[Symbol.asyncDispose]();
  });

  return {
    get client() {
      return client;
    },
    as,
    connect: async (role) => {
      const connection = await connect({ ...as(role), name: role, logger: captureLog().logger });
      onTestFinished(() => connection.close());
      return connection;
    },
    startAgent: async (id, tasks) => {
      const started = agent(id, { ...as(id), tasks, maxConcurrentTasks: 4, logger });
      await started.start();
      onTestFinished(() => started.stop());
      return started;
    },
    startWorker: async (workflows, maxCachedRuns = 10) => {
      const started = await worker({ ...as("worker-1"), id: "worker-1", workflows, maxCachedRuns, logger });
      onTestFinished(() => started.stop());
      return started;
    },
    stopOrchestrator: () => orchestrator.stop(),
    startOrchestrator: async () => {
      orchestrator = await orchestrate("ORCHESTRATOR");
    },
    violations: () => messages.filter((message) => /NATS reported an error|subscription refused/.test(message)),
  };
}
