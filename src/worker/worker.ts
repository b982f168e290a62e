/**
 * A workflow worker: an agent whose capabilities are `workflow:<type>`. It replays workflow code and answers each
 * activation with commands; selection, loss and reassignment are those of any agent.
 */
import { randomUUID } from "node:crypto";
import { type Agent, agent } from "../agent/agent.js";
import type { AgentOptions } from "../agent/agent-options.js";
import type { AttemptContext } from "../agent/attempt.js";
import type { TaskHandler } from "../agent/task-handler.js";
import { PerdureError } from "../errors.js";
import { connect } from "../jetstream/connection.js";
import { connectionOptionsOf } from "../jetstream/connection-options.js";
import { createLogger } from "../logger.js";
import { DEFAULT_NAMESPACE, Namespace } from "../protocol/ids.js";
import { subjectsOf } from "../protocol/subjects.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import { Activations } from "./activations.js";
import { historySource } from "./history-source.js";
import { installSandbox } from "./sandbox.js";
import { WorkflowCache } from "./workflow-cache.js";

export interface WorkerOptions extends Omit<AgentOptions, "tasks" | "capabilities" | "connection"> {
  /** The workflows whose code is here. */
  readonly workflows: readonly AnyWorkflow[];
  /** Default: `worker-` and a random part. */
  readonly id?: string;
  /** Activations and steps at a time. Default 200: most of them wait. */
  readonly maxConcurrentTasks?: number;
  /** Runs kept in memory between activations; others are replayed from their histories. Default 1,000. */
  readonly maxCachedRuns?: number;
}

const CONCURRENT_TASKS_DEFAULT = 200;
const CACHED_RUNS_DEFAULT = 1_000;
const SERVER_DEFAULT = "nats://localhost:4222";

/**
 * Connects and registers. From here on `Date`, timers, `Math.random` and `crypto` follow the history inside workflow
 * code, and only there.
 * @throws PerdureError USAGE for workflows that share a name; what `agent().start()` throws
 */
export async function worker(options: WorkerOptions): Promise<Agent> {
  const { workflows, id = `worker-${randomUUID()}`, maxCachedRuns = CACHED_RUNS_DEFAULT, ...rest } = options;
  installSandbox();
  const byName = new Map(workflows.map((definition) => [definition.name, definition]));
  if (byName.size !== workflows.length) {
    const names = workflows.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    throw new PerdureError("USAGE", `worker ${id} was given two workflows named "${twice}"; give each its own name`);
  }
  const logger = rest.logger ?? createLogger("info");
  const connectionOptions = connectionOptionsOf(rest);
  const connection = await connect({
    ...connectionOptions,
    servers: rest.servers ?? SERVER_DEFAULT,
    name: `perdure worker ${id}`,
    // As any agent's: permissions can keep others from reading its replies.
    inboxPrefix: connectionOptions.inboxPrefix ?? `_INBOX_a_${id}`,
    logger,
  });
  const closing = new AbortController();
  const subjects = subjectsOf(Namespace.parse(rest.namespace ?? DEFAULT_NAMESPACE));
  const activations = new Activations({
    workflows: byName,
    histories: historySource(connection, subjects.workflowHistory, closing.signal),
    cache: new WorkflowCache(maxCachedRuns),
    logger,
  });
  const handler: TaskHandler = (context) => activations.handle(context as AttemptContext);
  const member = agent(id, {
    ...rest,
    logger,
    connection,
    maxConcurrentTasks: rest.maxConcurrentTasks ?? CONCURRENT_TASKS_DEFAULT,
    tasks: Object.fromEntries([...byName.keys()].map((name) => [`workflow:${name}`, handler])),
  });
  const close = async (): Promise<void> => {
    closing.abort();
    await connection.close();
  };
  member.closed.then(close, close);
  try {
    await member.start();
  } catch (fault) {
    await close();
    throw fault;
  }
  return member;
}
