import { z } from "zod";
import { Activation, ActivationAnswer, StepAssignment } from "./activation.js";
import { envelopeFields, JsonValue } from "./envelope.js";
import { Failure, Usage } from "./failure.js";
import { AgentId, CapabilityName, RunId, TaskId, WorkflowId } from "./ids.js";
import { CAPABILITIES_MAX } from "./limits.js";
import { Priority } from "./priority.js";
import { EpochMs, PositiveDurationMs } from "./time.js";

/** The conversation between agents and the orchestrator. */

/** Numbers each life of an agent id: a new process is a new incarnation, and results of an older one are refused. */
export const Incarnation = z.int().min(1);

/** 128 random bits that name one attempt at one agent; only its holder can hand in a result for it. */
export const AttemptToken = z.string().min(1).max(64);

export const AgentRegistration = z.object({
  agentId: AgentId,
  /** The same one again is the same incarnation; none means a new incarnation. */
  instanceId: z.string().min(1).max(128).optional(),
  capabilities: z.array(CapabilityName).max(CAPABILITIES_MAX),
  maxConcurrentTasks: z.int().min(1).max(100_000).default(1),
  metadata: z.record(z.string(), JsonValue).optional(),
});
export type AgentRegistration = z.infer<typeof AgentRegistration>;

export const AgentRegistrationMessage = z.object({ ...envelopeFields, registration: AgentRegistration });
export type AgentRegistrationMessage = z.infer<typeof AgentRegistrationMessage>;

/** What an agent says of itself. `released` hands a task back without counting the attempt. */
export const AgentReport = z.object({
  agentId: AgentId,
  state: z.enum(["accepted", "progress", "draining", "released", "idle"]),
  taskId: TaskId.optional(),
  token: AttemptToken.optional(),
  incarnation: Incarnation.optional(),
  progress: JsonValue.optional(),
});
export type AgentReport = z.infer<typeof AgentReport>;

/** What the orchestrator tells an agent, on the same subject. */
export const AgentOrder = z.object({
  agentId: AgentId,
  state: z.enum(["registered", "cancel", "superseded", "reregister"]),
  incarnation: Incarnation.optional(),
  heartbeatIntervalMs: PositiveDurationMs.optional(),
  taskId: TaskId.optional(),
  attempt: z.int().optional(),
  token: AttemptToken.optional(),
});
export type AgentOrder = z.infer<typeof AgentOrder>;

export const agentReportStates: ReadonlySet<string> = new Set(AgentReport.shape.state.options);
export const agentOrderStates: ReadonlySet<string> = new Set(AgentOrder.shape.state.options);

export const AgentReportMessage = z.object({ ...envelopeFields, status: AgentReport });
export type AgentReportMessage = z.infer<typeof AgentReportMessage>;
export const AgentOrderMessage = z.object({ ...envelopeFields, status: AgentOrder });
export type AgentOrderMessage = z.infer<typeof AgentOrderMessage>;

/** Both sides hear each other's and their own statuses; this much tells whose a message is. */
export const AgentStatusMessage = z.object({ ...envelopeFields, status: z.looseObject({ state: z.string() }) });

export const HeartbeatMessage = z.object({
  ...envelopeFields,
  /** Compared with the id in the subject, which is the one that counts: permissions guard it. */
  agentId: AgentId,
  metrics: z.record(z.string(), z.number()).default({}),
  incarnation: Incarnation.optional(),
  /**
   * Tokens of all attempts this agent has in hand, so that the reply can name those it should stop. An accepted attempt
   * that is missing here for the unhealthy threshold is given to another agent.
   */
  tokens: z.array(AttemptToken).max(100_000).optional(),
});
export type HeartbeatMessage = z.infer<typeof HeartbeatMessage>;

/** Answer to a heartbeat that was sent as a request. An agent that gets none for the lost threshold stops its work. */
export const HeartbeatReply = z.object({
  ...envelopeFields,
  status: AgentOrder,
  /** Of the tokens named in the heartbeat: those that are no longer this agent's. */
  cancel: z.array(AttemptToken).optional(),
});
export type HeartbeatReply = z.infer<typeof HeartbeatReply>;

export const TaskAssignment = z.object({
  taskId: TaskId,
  type: CapabilityName,
  input: JsonValue.optional(),
  attempt: z.int().min(1),
  token: AttemptToken,
  /** The incarnation it is meant for: an older process under the same id leaves it alone. */
  incarnation: Incarnation.optional(),
  priority: Priority,
  /** When this attempt times out, by the orchestrator's clock. */
  deadlineAt: EpochMs.optional(),
  dependencyResults: z.record(z.string(), JsonValue),
  metadata: z.record(z.string(), JsonValue),
  /** What the attempt before this one last reported as progress. */
  heartbeatDetails: JsonValue.optional(),
  /** The workflow that asked for it. */
  workflow: z.object({ workflowId: WorkflowId, runId: RunId }).optional(),
  /** Of an activation, for workers. */
  activation: Activation.optional(),
  /** Of a step, for workers. */
  step: StepAssignment.optional(),
});
export type TaskAssignment = z.infer<typeof TaskAssignment>;

export const TaskAssignmentMessage = z.object({ ...envelopeFields, task: TaskAssignment });
export type TaskAssignmentMessage = z.infer<typeof TaskAssignmentMessage>;

export const TaskResult = z.object({
  taskId: TaskId,
  attempt: z.int().min(1),
  /** May be left out by a hand-written agent: then agent, incarnation and attempt must match. */
  token: AttemptToken.optional(),
  agentId: AgentId,
  incarnation: Incarnation.optional(),
  status: z.enum(["completed", "failed", "cancelled"]),
  output: JsonValue.optional(),
  /** Of an activation, in place of `output`. */
  activation: ActivationAnswer.optional(),
  error: Failure.optional(),
  durationMs: z.number().nonnegative().optional(),
  usage: Usage.optional(),
});
export type TaskResult = z.infer<typeof TaskResult>;

export const TaskResultMessage = z.object({ ...envelopeFields, result: TaskResult });
export type TaskResultMessage = z.infer<typeof TaskResultMessage>;
