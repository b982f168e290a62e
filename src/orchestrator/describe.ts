/** The orchestrator in its own words: the status it answers, the health it answers and broadcasts. */
import type { Core } from "../core/core.js";
import type { Connection } from "../jetstream/connection.js";
import type { AgentView, Durability, HealthStatus, OrchestratorState } from "../protocol/system-message.js";
import { version } from "../version.js";
import type { AgentMonitor } from "./agent-monitor.js";
import type { CommitLog, CommitLoop } from "./commit-loop.js";
import type { DeadLetterCount } from "./dead-letter-count.js";
import { fitting } from "./fit.js";
import type { Materializer } from "./materializer.js";

export interface Described {
  readonly core: Core;
  readonly connection: Connection;
  readonly loop: CommitLoop;
  readonly journal: CommitLog;
  readonly materializer: Materializer;
  readonly monitor: AgentMonitor;
  readonly deadLetters: DeadLetterCount;
  readonly namespace: string;
  readonly durability: Durability;
  readonly leadingSince: number;
  readonly state: () => OrchestratorState;
}

export function describeSystem(described: Described): object {
  const { core, connection, journal, materializer, deadLetters, namespace, durability, leadingSince, state } =
    described;
  const status = core.status();
  return {
    orchestratorStatus: state(),
    ...status,
    ...fittingAgents(status.agentStatuses, connection.maxPayloadBytes),
    namespace,
    version,
    durability,
    journalSequence: journal.lastSequence,
    checkpointSequence: materializer.checkpointSequence,
    leadingSince,
    deadLetterCount: deadLetters.current,
  };
}

/** Thousands of agents do not fit into a message; what they say of themselves goes first, then the last of them. */
function fittingAgents(agentStatuses: readonly AgentView[], messageBytesMax: number): object {
  if (fitting(agentStatuses, messageBytesMax).length === agentStatuses.length) return { agentStatuses };
  const bare = agentStatuses.map(({ metadata: _, ...view }) => ({ ...view, metrics: {} }));
  const shown = fitting(bare, messageBytesMax);
  return { agentStatuses: shown, agentStatusesLeftOut: bare.length - shown.length };
}

interface Component {
  readonly status: HealthStatus;
  readonly detail?: string;
}

const HEALTHY: Component = { status: "healthy" };

/** As healthy as its sickest component. */
export function describeHealth(described: Described): { readonly status: HealthStatus; readonly components: object } {
  const { state, loop, monitor, connection, durability } = described;
  const components: Record<string, Component> = {
    orchestrator: state() === "leading" ? HEALTHY : { status: "degraded", detail: `is ${state()}` },
    nats: monitor.isHearing
      ? { status: "healthy", detail: connection.url }
      : { status: "unhealthy", detail: "does not hear its own messages" },
    journal: journalHealth(loop, durability),
    agents: agentsHealth(described.core),
  };
  const statuses = Object.values(components).map((component) => component.status);
  const status = statuses.includes("unhealthy") ? "unhealthy" : statuses.includes("degraded") ? "degraded" : "healthy";
  return { status, components };
}

function journalHealth(loop: CommitLoop, durability: Durability): Component {
  if (loop.isStalled)
    return { status: "unhealthy", detail: "has not acknowledged a write for a while; submissions are refused" };
  return { status: "healthy", detail: `durability: ${durability}` };
}

function agentsHealth(core: Core): Component {
  const { agentCount, unhealthyAgentCount, queuedTaskCount } = core.status();
  if (core.heldAgentCount > 0)
    return {
      status: "degraded",
      detail: `${core.heldAgentCount} of ${agentCount} fell silent at once and keep their work for now: it may be this orchestrator that is cut off (OBSERVER_SUSPECT)`,
    };
  if (agentCount === 0 && queuedTaskCount > 0)
    return { status: "degraded", detail: `none is registered and ${queuedTaskCount} tasks wait` };
  if (unhealthyAgentCount > 0)
    return { status: "degraded", detail: `${unhealthyAgentCount} of ${agentCount} are unhealthy` };
  return { status: "healthy", detail: `${agentCount} registered` };
}
