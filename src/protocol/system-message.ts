import { z } from "zod";
import { envelopeFields, JsonValue } from "./envelope.js";
import { AgentId, CapabilityName } from "./ids.js";

/** What the orchestrator tells everybody: status on request, health and events as broadcasts. */

export const orchestratorStates = [
  "starting",
  "standby",
  "recovering",
  "leading",
  "stepping_down",
  "draining",
  "stopped",
] as const;
/** What an orchestrator process is at. */
export const OrchestratorState = z.enum(orchestratorStates);
export type OrchestratorState = z.infer<typeof OrchestratorState>;

export const agentStates = ["healthy", "unhealthy", "draining", "lost", "gone"] as const;
/** An agent as the orchestrator sees it. */
export const AgentState = z.enum(agentStates);
export type AgentState = z.infer<typeof AgentState>;

/** What attempts cost since the orchestrator became leader. */
export const UsageTotal = z.object({
  /** US dollars. */
  cost: z.number(),
  /** Of language models. */
  tokens: z.object({
    /** Read by models. */
    input: z.number(),
    /** Written by them. */
    output: z.number(),
  }),
});
export type UsageTotal = z.infer<typeof UsageTotal>;

export const AgentView = z.object({
  /** The name it registered under. */
  agentId: AgentId,
  state: AgentState,
  /** One sentence about a state that is not `healthy`. */
  reason: z.string().optional(),
  /** How many lives its id has had. */
  incarnation: z.int(),
  /** As registered. */
  capabilities: z.array(CapabilityName),
  /** Attempts it has in hand. */
  activeTaskCount: z.int(),
  /** As registered. */
  maxConcurrentTasks: z.int(),
  /** When this incarnation began, epoch milliseconds. */
  registeredAt: z.int(),
  /** When the orchestrator last heard of it, by the orchestrator's clock; absent if not since it started. */
  lastSeenAt: z.int().optional(),
  /** Of its last heartbeat. */
  metrics: z.record(z.string(), z.number()),
  /** Of all attempts that said what they cost, since this orchestrator became leader; absent where none did. */
  usage: UsageTotal.optional(),
  /** As registered. */
  metadata: z.record(z.string(), JsonValue).optional(),
});
export type AgentView = z.infer<typeof AgentView>;

/** How safe an acknowledged submission is, as read from the server's own settings at start-up. */
export const Durability = z.enum(["fsync", "replicated", "relaxed", "unverified"]);
export type Durability = z.infer<typeof Durability>;

/** An envelope alone: asks for the system's status, or for its health. */
export const SystemStatusRequest = z.object(envelopeFields);
/** The orchestrator, its agents and how many tasks there are. */
export const SystemStatusReply = z.object({
  ...envelopeFields,
  orchestratorStatus: OrchestratorState,
  /** Agents that are not lost and have not said goodbye. */
  agentCount: z.int(),
  /** Tasks with an agent: assigned or running. */
  activeTaskCount: z.int(),
  /** Tasks that could start as far as they themselves are concerned. */
  queuedTaskCount: z.int(),
  /** Tasks whose dependencies have not all completed. */
  waitingTaskCount: z.int(),
  /** Tasks between two attempts. */
  backoffTaskCount: z.int(),
  /** Workflows under way, stuck ones too. They take no place, and are in none of the counts above. */
  openWorkflowCount: z.int(),
  /** Of `openWorkflowCount`: those whose code cannot go on until something is deployed. */
  stuckWorkflowCount: z.int(),
  /** Messages of foreign fleets that nobody could handle, as counted within the last seconds. */
  deadLetterCount: z.int().optional(),
  /** Of `agentCount`: those in this state. */
  healthyAgentCount: z.int(),
  /** Of `agentCount`: those in this state. */
  unhealthyAgentCount: z.int(),
  /** Lost and departed ones too, for seven days. */
  agentStatuses: z.array(AgentView),
  /** Given where all agents do not fit into a message: how many are not listed. Those listed lack metadata and metrics then. */
  agentStatusesLeftOut: z.int().optional(),
  /** How many tasks ended in each way since this orchestrator became leader. */
  endedTaskCounts: z.record(z.string(), z.int()),
  /** Of all attempts since then. */
  usage: UsageTotal,
  /** First token of every subject. */
  namespace: z.string(),
  /** Of the orchestrator's package. */
  version: z.string(),
  durability: Durability,
  /** Of the last flush. */
  journalSequence: z.int(),
  /** Up to where the buckets hold what the journal says. */
  checkpointSequence: z.int(),
  /** Since when this orchestrator leads, epoch milliseconds. */
  leadingSince: z.int(),
});
export type SystemStatusReply = z.infer<typeof SystemStatusReply>;

/** How a component is. */
export const HealthStatus = z.enum(["healthy", "degraded", "unhealthy"]);
export type HealthStatus = z.infer<typeof HealthStatus>;
/** A broadcast each health-check interval, and the answer to a request on the same subject. */
export const HealthMessage = z.object({
  ...envelopeFields,
  /** That of the sickest component. */
  status: HealthStatus,
  /** By name: `orchestrator`, `nats`, `journal`, `agents`. */
  components: z.record(
    z.string(),
    z.object({
      status: HealthStatus,
      /** For people. */
      detail: z.string().optional(),
    }),
  ),
});
export type HealthMessage = z.infer<typeof HealthMessage>;

export const systemEventTypes = [
  "ORCHESTRATOR_STARTED",
  "ORCHESTRATOR_STOPPING",
  "AGENT_REGISTERED",
  "AGENT_UNHEALTHY",
  "AGENT_RECOVERED",
  "AGENT_LOST",
  "AGENT_DRAINING",
  "AGENT_GONE",
  "TASK_SUBMITTED",
  "TASK_RETRYING",
  "TASK_COMPLETED",
  "TASK_FAILED",
  "TASK_CANCELLED",
  "TASK_TIMED_OUT",
  "TASK_TERMINATED",
  "WORKFLOW_STUCK",
  "WORKFLOW_HISTORY_LARGE",
  "WORKFLOW_RESET",
  "RESULT_REFUSED",
  "SYSTEM_ERROR",
] as const;
export const SystemEventType = z.enum(systemEventTypes);
export type SystemEventType = z.infer<typeof SystemEventType>;

/** Broadcast at most once and after the fact is on disk. `payload` names what it is about: `taskId`, `agentId`. */
export const SystemEventMessage = z.object({
  ...envelopeFields,
  /** What happened; later versions may know more types. */
  eventType: SystemEventType,
  /** What it happened to: `taskId`, `agentId` and more, by type. */
  payload: z.record(z.string(), JsonValue).optional(),
});
export type SystemEventMessage = z.infer<typeof SystemEventMessage>;
