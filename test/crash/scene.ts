/** What the crash tests share: orchestrators and agents as real processes, and what clients, agents and buckets saw. */
import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { type Agent, agent } from "../../src/agent/agent.js";
import type { TaskContext, TaskHandler } from "../../src/agent/task-handler.js";
import { type Client, connectClient } from "../../src/client/client.js";
import type { NewTask } from "../../src/client/submission.js";
import type { SystemEvent } from "../../src/client/system-events.js";
import type { Connection } from "../../src/jetstream/connection.js";
import { RecordStore } from "../../src/jetstream/record-store.js";
import { silentLogger } from "../../src/logger.js";
import type { Milestone } from "../../src/orchestrator/milestone.js";
import { livenessFrom, type OrchestratorSettingsInput } from "../../src/orchestrator/orchestrator-options.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { StoredAgent, StoredTask } from "../../src/protocol/stored-record.js";
import { type Subjects, subjectsOf } from "../../src/protocol/subjects.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { type Topology, topologyOf } from "../../src/protocol/topology.js";
import { worker } from "../../src/worker/worker.js";
import type { AnyWorkflow } from "../../src/workflow/definition.js";
import { newNamespace, type TestNats } from "../support/nats.js";
import { type UntilOptions, untilHolds } from "../support/until.js";
import { Child } from "./child.js";

const endedStates: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "timed_out", "terminated"]);

export interface SceneOptions {
  /** Default 10 s: no heartbeat comes between what a test looks at. */
  readonly heartbeatMs?: number;
  readonly settings?: OrchestratorSettingsInput;
}

export class OrchestratorChild extends Child {
  /** From now on it dies at the first of these. Resolves when it knows. */
  async killAt(milestone: Milestone): Promise<void> {
    this.tell({ killAt: milestone });
    await this.untilSaid("armed");
  }
}

/** One attempt as the agent's code met it. */
export interface Run {
  readonly taskId: string;
  readonly attempt: number;
  readonly token: string;
  readonly agentId: string;
}

export class Scene {
  readonly namespace: Namespace;
  readonly subjects: Subjects;
  readonly topology: Topology;
  readonly connection: Connection;
  readonly client: Client;
  readonly events: SystemEvent[] = [];
  /** Each attempt that an agent of this process began. */
  readonly runs: Run[] = [];
  readonly settings: OrchestratorSettingsInput;
  readonly #nats: TestNats;

  constructor(nats: TestNats, namespace: Namespace, connection: Connection, client: Client, options: SceneOptions) {
    this.#nats = nats;
    this.namespace = namespace;
    this.subjects = subjectsOf(namespace);
    this.topology = topologyOf(namespace);
    this.connection = connection;
    this.client = client;
    this.settings = {
      namespace: this.namespace,
      maxConcurrentTasks: 0,
      leaseMs: 1_000,
      ...livenessFrom(options.heartbeatMs ?? 10_000),
      ...options.settings,
    };
    client.onEvent((event) => this.events.push(event));
  }

  /** Starts a process; it may have to stand by first. */
  launchOrchestrator(killAt?: Milestone): OrchestratorChild {
    const { settings } = this;
    return new OrchestratorChild("orchestrator-process.mjs", {
      servers: this.#nats.url,
      settings,
      logLevel: process.env["PERDURE_TEST_LOG"] ?? "silent",
      killAt,
    });
  }

  /** Resolves when it leads. */
  async startOrchestrator(): Promise<OrchestratorChild> {
    const orchestrator = this.launchOrchestrator();
    await orchestrator.untilSaid("leading");
    return orchestrator;
  }

  /** An agent in a process of its own, whose tasks of type "hold" end when it is told "finish". */
  async startAgentProcess(id: string, maxConcurrentTasks = 10): Promise<Child> {
    const { namespace } = this;
    const child = new Child("agent-process.mjs", { servers: this.#nats.url, namespace, id, maxConcurrentTasks });
    await child.untilSaid("registered");
    return child;
  }

  /** An agent in this process; resolves when it is registered. */
  async startAgent(id: string, tasks: Record<string, TaskHandler>, maxConcurrentTasks = 10): Promise<Agent> {
    const observed = Object.entries(tasks).map(([type, handler]): [string, TaskHandler] => [
      type,
      (context, input) => {
        const { taskId, attempt, token } = context;
        this.runs.push({ taskId, attempt, token, agentId: id });
        return handler(context, input);
      },
    ]);
    const made = agent(id, {
      servers: this.#nats.url,
      namespace: this.namespace,
      logger: silentLogger,
      tasks: Object.fromEntries(observed),
      maxConcurrentTasks,
      drainTimeoutMs: 0,
    });
    onTestFinished(() => made.stop());
    await made.start();
    return made;
  }

  /** A workflow worker in this process; resolves when it is registered. */
  async startWorker(id: string, workflows: readonly AnyWorkflow[]): Promise<Agent> {
    const { namespace } = this;
    const made = await worker({ id, servers: this.#nats.url, namespace, workflows, logger: silentLogger });
    onTestFinished(() => made.stop());
    return made;
  }

  /** Asks `workflow.<verb>` until it is answered. */
  askWorkflow(
    verb: "Signal" | "Query" | "History" | "Reset",
    fields: object,
  ): Promise<Readonly<Record<string, unknown>>> {
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
    return this.#untilAnswered(`workflow.${verb} is answered`, async () => {
      const subject = this.subjects[`workflow${verb}`];
      const { data } = await this.connection.request(subject, body, { timeoutMs: 1_000 });
      const reply = JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>;
      if (reply["error"] !== undefined) throw new Error(`refused: ${JSON.stringify(reply["error"])}`);
      return reply;
    });
  }

  /** Asks until it is answered, whatever dies meanwhile: each try is short, the ids are the same. */
  submit(task: NewTask & { readonly taskId: string }, preferredAgentId?: string): Promise<string> {
    const messageId = randomUUID();
    return this.#untilAnswered(`task ${task.taskId} is accepted`, async () => {
      const { taskId } = await this.client.submit(task, {
        messageId,
        timeoutMs: 500,
        ...(preferredAgentId === undefined ? {} : { preferredAgentId }),
      });
      return taskId;
    });
  }

  cancel(taskId: string): Promise<TaskView> {
    return this.#untilAnswered(`the cancellation of ${taskId} is accepted`, () =>
      this.#askTask(this.subjects.taskCancel, { taskId }),
    );
  }

  /** Through `wait`, asked again when nobody answers. */
  untilEnded(taskId: string): Promise<TaskView> {
    return untilHolds(
      `task ${taskId} ends`,
      () => this.#askTask(this.subjects.taskWait, { taskId, timeoutMs: 500 }),
      ({ state }) => endedStates.has(state),
      { deadlineMs: 40_000 },
    );
  }

  untilState(taskId: string, state: TaskView["state"], options?: UntilOptions): Promise<TaskView> {
    return untilHolds(
      `task ${taskId} is ${state}`,
      () => this.#askTask(this.subjects.taskGet, { taskId }),
      (task) => task.state === state,
      options,
    );
  }

  /** The bucket's records by key. */
  async tasksIn(bucket: "tasks" | "endedTasks"): Promise<Map<string, StoredTask["record"]>> {
    const records = new Map<string, StoredTask["record"]>();
    for await (const { key, value } of this.#store(bucket).loadAll()) records.set(key, StoredTask.parse(value).record);
    return records;
  }

  /** Keys of a bucket. */
  async keysOf(bucket: "runs" | "histories"): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.#store(bucket).loadAll()) keys.push(key);
    return keys.sort();
  }

  async agentsInBucket(): Promise<Map<string, StoredAgent["record"]>> {
    const records = new Map<string, StoredAgent["record"]>();
    for await (const { key, value } of this.#store("agents").loadAll())
      records.set(key, StoredAgent.parse(value).record);
    return records;
  }

  eventsOf(eventType: string, taskId?: string): SystemEvent[] {
    return this.events.filter(
      (event) => event.eventType === eventType && (taskId === undefined || event.payload?.["taskId"] === taskId),
    );
  }

  #store(bucket: "tasks" | "endedTasks" | "agents" | "runs" | "histories"): RecordStore {
    return new RecordStore(this.connection, { bucket: this.topology[bucket].bucket, logger: silentLogger });
  }

  async #askTask(subject: string, fields: object): Promise<TaskView> {
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
    const { data } = await this.connection.request(subject, body, { timeoutMs: 1_000 });
    const reply = JSON.parse(Buffer.from(data).toString()) as { task?: TaskView; error?: unknown };
    if (reply.task === undefined) throw new Error(`refused: ${JSON.stringify(reply.error)}`);
    return reply.task;
  }

  #untilAnswered<T>(what: string, ask: () => Promise<T>): Promise<T> {
    return untilHolds(what, ask, () => true, { deadlineMs: 40_000 });
  }
}

export async function givenScene(nats: TestNats, options: SceneOptions = {}): Promise<Scene> {
  const namespace = newNamespace();
  const connection = await nats.connect();
  return new Scene(nats, namespace, connection, await connectClient({ connection, namespace }), options);
}

/** How a task ended, without what differs from run to run. */
export function endOf(task: TaskView): object {
  const { taskId, state, attempt, output, error } = task;
  return { taskId, state, attempt, output, error: error?.type };
}

/** A handler that runs until the test lets it end, or it is told to stop. */
export class Held {
  readonly contexts: TaskContext[] = [];
  readonly aborted: string[] = [];
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  readonly handler: TaskHandler = async (context) => {
    this.contexts.push(context);
    const stopped = new Promise<never>((_, reject) =>
      context.signal.addEventListener("abort", () => {
        this.aborted.push(context.taskId);
        reject(context.signal.reason);
      }),
    );
    await Promise.race([this.#released, stopped]);
    return `${context.taskId} held`;
  };

  release(): void {
    this.#release();
  }
}
