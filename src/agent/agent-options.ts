import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import type { ConnectionOptions } from "../jetstream/connection-options.js";
import { createLogger, type Logger } from "../logger.js";
import { AgentRegistration } from "../protocol/agent-message.js";
import { DEFAULT_NAMESPACE, Namespace } from "../protocol/ids.js";
import { parseMessage } from "../protocol/parse.js";
import type { TaskHandler } from "./task-handler.js";

/** `servers` is nats://localhost:4222 by default, and `inboxPrefix` `_INBOX_a_` with the agent's id behind it. */
export interface AgentOptions extends ConnectionOptions {
  /** The code of each task type this agent runs. */
  readonly tasks: Readonly<Record<string, TaskHandler>>;
  /** What tasks may require of this agent. Default: the types of `tasks`. */
  readonly capabilities?: readonly string[];
  /**
   * Tasks in hand at a time, 1 to 100,000. Default 1, as for any agent that does not say: a camera or a model does one
   * thing at a time, and code that was never run beside itself is not surprised. Code that mostly waits takes 100.
   */
  readonly maxConcurrentTasks?: number;
  /** Shown with the agent in the system's status. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /**
   * The agent's own figures, read for each heartbeat and shown in the system's status beside those of the process, whose
   * names win. At most 100 finite numbers; what is none is left out, and the log says so.
   */
  readonly metrics?: () => Readonly<Record<string, number>>;
  /** Default "mcp". */
  readonly namespace?: string;
  /** Used instead of a connection of the agent's own, and left open when the agent ends. */
  readonly connection?: Connection;
  /** How long `drain` lets tasks in hand finish before they are handed back. Default 30,000. */
  readonly drainTimeoutMs?: number;
  /** Default: JSON lines on stderr, level "info". */
  readonly logger?: Logger;
}

const DRAIN_TIMEOUT_MS_DEFAULT = 30_000;
const SERVER_DEFAULT = "nats://localhost:4222";

/** The options with every default filled in, checked. */
export interface AgentSettings {
  readonly namespace: Namespace;
  readonly registration: AgentRegistration;
  readonly handlers: ReadonlyMap<string, TaskHandler>;
  readonly metrics: () => Readonly<Record<string, number>>;
  readonly servers: string | readonly string[];
  readonly drainTimeoutMs: number;
  readonly logger: Logger;
}

/** @throws PerdureError INVALID_ID or INVALID_MESSAGE for what an orchestrator would refuse. */
export function agentSettings(agentId: string, options: AgentOptions, instanceId: string): AgentSettings {
  const namespace = Namespace.safeParse(options.namespace ?? DEFAULT_NAMESPACE);
  if (!namespace.success) {
    throw new PerdureError(
      "INVALID_ID",
      `namespace "${options.namespace}" of agent ${agentId} must match [a-z0-9][a-z0-9-]{0,31}`,
      {
        details: { namespace: options.namespace },
      },
    );
  }
  const handlers = new Map(Object.entries(options.tasks));
  const registration = parseMessage(AgentRegistration, {
    agentId,
    instanceId,
    capabilities: [...(options.capabilities ?? handlers.keys())],
    maxConcurrentTasks: options.maxConcurrentTasks,
    metadata: options.metadata,
  });
  if (!registration.ok) {
    const { code, message, fields } = registration.failure;
    throw new PerdureError(code, `agent "${agentId}" cannot be registered: ${message}`, {
      details: { agentId, fields },
    });
  }
  return {
    namespace: namespace.data,
    registration: registration.value,
    handlers,
    metrics: options.metrics ?? (() => ({})),
    servers: options.servers ?? SERVER_DEFAULT,
    drainTimeoutMs: options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS_DEFAULT,
    logger: (options.logger ?? createLogger("info")).child({ agentId }),
  };
}
