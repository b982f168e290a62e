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
export const OrchestratorState = z.enum(orchestratorStates);
export type OrchestratorState = z.infer<typeof OrchestratorState>;

export const agentStates = ["healthy", "unhealthy", "draining", "lost", "gone"] as const;
export const AgentState = z.enum(agentStates);
export type AgentState = z.infer<typeof AgentState>;

export const AgentView = z.object({
  agentId: AgentId,
  state: AgentState,
  /** One sentence about a state that is not `healthy`. */
  reason: z.string().optional(),
  incarnation: z.int(),
  capabilities: z.array(CapabilityName),
  activeTaskCount: z.int(),
  maxConcurrentTasks: z.int(),
  registeredAt: z.int(),
  /** When the orchestrator last heard of it, by the orchestrator's clock; absent if not since it started. */
  lastSeenAt: z.int().optional(),
  metrics: z.record(z.string(), z.number()),
  metadata: z.record(z.string(), JsonValue).optional(),
});
export type AgentView = z.infer<typeof AgentView>;

/** How safe an acknowledged submission is, as read from the server's own settings at start-up. */
export const Durability = z.enum(["fsync", "replicated", "relaxed", "unverified"]);
export type Durability = z.infer<typeof Durability>;

export const SystemStatusRequest = z.object(envelopeFields);
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
  healthyAgentCount: z.int(),
  unhealthyAgentCount: z.int(),
  agentStatuses: z.array(AgentView),
  /** Given where all agents do not fit into a message: how many are not listed. Those listed lack metadata and metrics then. */
  agentStatusesLeftOut: z.int().optional(),
  /** How many tasks ended in each way since this orchestrator became leader. */
  endedTaskCounts: z.record(z.string(), z.int()),
  usage: z.object({ cost: z.number(), tokens: z.object({ input: z.number(), output: z.number() }) }),
  namespace: z.string(),
  version: z.string(),
  durability: Durability,
  journalSequence: z.int(),
  checkpointSequence: z.int(),
  leadingSince: z.int(),
});
export type SystemStatusReply = z.infer<typeof SystemStatusReply>;

export const HealthStatus = z.enum(["healthy", "degraded", "unhealthy"]);
export type HealthStatus = z.infer<typeof HealthStatus>;
/** A broadcast each health-check interval, and the answer to a request on the same subject. */
export const HealthMessage = z.object({
  ...envelopeFields,
  status: HealthStatus,
  components: z.record(z.string(), z.object({ status: HealthStatus, detail: z.string().optional() })),
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
  "RESULT_REFUSED",
  "SYSTEM_ERROR",
] as const;
export const SystemEventType = z.enum(systemEventTypes);
export type SystemEventType = z.infer<typeof SystemEventType>;

/** Broadcast at most once and after the fact is on disk. `payload` names what it is about: `taskId`, `agentId`. */
export const SystemEventMessage = z.object({
  ...envelopeFields,
  eventType: SystemEventType,
  payload: z.record(z.string(), JsonValue).optional(),
});
export type SystemEventMessage = z.infer<typeof SystemEventMessage>;
