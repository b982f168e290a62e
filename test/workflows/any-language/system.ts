/** An orchestrator with short intervals and a client, for agents that are processes of their own. */

import type { Client } from "../../../src/client/client.js";
import { connectClient } from "../../../src/client/client.js";
import type { NewTask } from "../../../src/client/submission.js";
import type { EndedTask } from "../../../src/client/task-outcome.js";
import { silentLogger } from "../../../src/logger.js";
import { type Orchestrator, startOrchestrator } from "../../../src/orchestrator/orchestrator.js";
import { livenessFrom, type OrchestratorSettingsInput } from "../../../src/orchestrator/orchestrator-options.js";
import { newNamespace, type TestNats } from "../../support/nats.js";
import { untilHolds } from "../../support/until.js";
import { AgentProcess, type Language } from "./agent-process.js";

/** Lost after three seconds of silence, or six in the beginning. */
const HEARTBEAT_MS_DEFAULT = 500;
/** A loaded machine, and an agent whose server was away. */
const TASK_MS = 30_000;

type Settings = OrchestratorSettingsInput & { readonly namespace: string };

export class System implements AsyncDisposable {
  readonly namespace: string;
  readonly client: Client;
  readonly #nats: TestNats;
  readonly #settings: Settings;
  #orchestrator: Orchestrator;

  private constructor(nats: TestNats, settings: Settings, client: Client, orchestrator: Orchestrator) {
    this.#nats = nats;
    this.#settings = settings;
    this.namespace = settings.namespace;
    this.client = client;
    this.#orchestrator = orchestrator;
  }

  static async start(nats: TestNats, heartbeatMs = HEARTBEAT_MS_DEFAULT): Promise<System> {
    const settings = { namespace: newNamespace(), maxConcurrentTasks: 0, ...livenessFrom(heartbeatMs) };
    const orchestrator = await lead(nats, settings);
    const client = await connectClient({ servers: nats.url, namespace: settings.namespace });
    return new System(nats, settings, client, orchestrator);
  }

  async restartOrchestrator(): Promise<void> {
    await this.#orchestrator.stop();
    this.#orchestrator = await lead(this.#nats, this.#settings);
  }

  async agent(language: Language, agentId: string, ...args: readonly string[]): Promise<AgentProcess> {
    const agent = new AgentProcess(language, agentId, [
      ...["--server", this.#nats.url, "--namespace", this.namespace, "--give-up-after", "60"],
      ...args,
    ]);
    await agent.registered();
    return agent;
  }

  /** Submits one task and waits for its end. */
  async done(task: NewTask): Promise<EndedTask> {
    const { taskId } = await this.client.submit(task);
    return this.ended(taskId);
  }

  ended(taskId: string): Promise<EndedTask> {
    return this.client.wait(taskId, { timeoutMs: TASK_MS });
  }

  async untilRunning(taskId: string, agentId: string): Promise<void> {
    await untilHolds(
      `task ${taskId} runs on ${agentId}`,
      () => this.client.get(taskId),
      (task) => task.state === "running" && task.agentId === agentId,
    );
  }

  async stateOf(agentId: string): Promise<string | undefined> {
    const { agentStatuses } = await this.client.status();
    return agentStatuses.find((agent) => agent.agentId === agentId)?.state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.#orchestrator.stop();
  }
}

async function lead({ url }: TestNats, settings: Settings): Promise<Orchestrator> {
  const orchestrator = await startOrchestrator({ servers: url, settings, logger: silentLogger });
  await orchestrator.leading;
  return orchestrator;
}
