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

/** Who it is and what it can do. */
export const AgentRegistration = z.object({
  /** The agent's own name. One process at a time may have it. */
  agentId: AgentId,
  /** The same one again is the same incarnation; none means a new incarnation. */
  instanceId: z.string().min(1).max(128).optional(),
  /** A task goes to an agent that has all it requires, which is its type unless it says otherwise. */
  capabilities: z.array(CapabilityName).max(CAPABILITIES_MAX),
  /** Attempts in hand at a time. */
  maxConcurrentTasks: z.int().min(1).max(100_000).default(1),
  /** Shown with the agent in the system's status; up to 131,072 bytes of JSON. */
  metadata: z.record(z.string(), JsonValue).optional(),
});
export type AgentRegistration = z.infer<typeof AgentRegistration>;

/** An agent introduces itself, and again until it is confirmed. */
export const AgentRegistrationMessage = z.object({ ...envelopeFields, registration: AgentRegistration });
export type AgentRegistrationMessage = z.infer<typeof AgentRegistrationMessage>;

/** What an agent says of itself. `released` hands a task back without counting the attempt. */
export const AgentReport = z.object({
  /** The agent's own; the same as in the subject. */
  agentId: AgentId,
  /** `accepted`, `progress` and `released` are about one attempt, `draining` and `idle` about the agent. */
  state: z.enum(["accepted", "progress", "draining", "released", "idle"]),
  /** Of the attempt that `state` is about. */
  taskId: TaskId.optional(),
  token: AttemptToken.optional(),
  incarnation: Incarnation.optional(),
  /** With `progress`: any JSON value, up to 131,072 bytes of JSON. */
  progress: JsonValue.optional(),
});
export type AgentReport = z.infer<typeof AgentReport>;

/** What the orchestrator tells an agent, on the same subject. */
export const AgentOrder = z.object({
  /** Whom it is for. */
  agentId: AgentId,
  /** All is well; stop one attempt; another process has this id; register again. */
  state: z.enum(["registered", "cancel", "superseded", "reregister"]),
  /** The one it is about; with `superseded` the one that was replaced. */
  incarnation: Incarnation.optional(),
  /** How often to heartbeat from now on. */
  heartbeatIntervalMs: PositiveDurationMs.optional(),
  /** With `cancel`: whose attempt to stop. */
  taskId: TaskId.optional(),
  /** With `cancel`: its number. */
  attempt: z.int().optional(),
  token: AttemptToken.optional(),
});
export type AgentOrder = z.infer<typeof AgentOrder>;

export const agentReportStates: ReadonlySet<string> = new Set(AgentReport.shape.state.options);
export const agentOrderStates: ReadonlySet<string> = new Set(AgentOrder.shape.state.options);

/** A status of an agent. */
export const AgentReportMessage = z.object({ ...envelopeFields, status: AgentReport });
export type AgentReportMessage = z.infer<typeof AgentReportMessage>;
/** An order of the orchestrator; also the answer to a registration. */
export const AgentOrderMessage = z.object({ ...envelopeFields, status: AgentOrder });
export type AgentOrderMessage = z.infer<typeof AgentOrderMessage>;

/** Both sides hear each other's and their own statuses; this much tells whose a message is. */
export const AgentStatusMessage = z.object({ ...envelopeFields, status: z.looseObject({ state: z.string() }) });

/** A sign of life. */
export const HeartbeatMessage = z.object({
  ...envelopeFields,
  /** Compared with the id in the subject, which is the one that counts: permissions guard it. */
  agentId: AgentId,
  /** Shown with the agent in the system's status; up to 131,072 bytes of JSON. */
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
  /** `registered` where all is well, `reregister` or `superseded` where not. */
  status: AgentOrder,
  /** Of the tokens named in the heartbeat: those that are no longer this agent's. */
  cancel: z.array(AttemptToken).optional(),
});
export type HeartbeatReply = z.infer<typeof HeartbeatReply>;

/** What to do, and by what to answer. */
export const TaskAssignment = z.object({
  /** Comes back in the result. */
  taskId: TaskId,
  /** What to do. */
  type: CapabilityName,
  /** Any JSON value, as submitted; absent if none was. */
  input: JsonValue.optional(),
  /** Counts from 1; comes back in the result. */
  attempt: z.int().min(1),
  token: AttemptToken,
  /** The incarnation it is meant for: an older process under the same id leaves it alone. */
  incarnation: Incarnation.optional(),
  priority: Priority,
  /** When this attempt times out, by the orchestrator's clock. */
  deadlineAt: EpochMs.optional(),
  /** The output of each dependency by its task id, `null` where it gave none. */
  dependencyResults: z.record(z.string(), JsonValue),
  /** As submitted; empty if none was. */
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

/** One attempt of a task, given to one agent. */
export const TaskAssignmentMessage = z.object({ ...envelopeFields, task: TaskAssignment });
export type TaskAssignmentMessage = z.infer<typeof TaskAssignmentMessage>;

/** Whose attempt it is about, and how that ended. */
export const TaskResult = z.object({
  /** As assigned. */
  taskId: TaskId,
  /** As assigned. */
  attempt: z.int().min(1),
  /** May be left out by a hand-written agent: then agent, incarnation and attempt must match. */
  token: AttemptToken.optional(),
  /** The agent's own; the same as in the subject. */
  agentId: AgentId,
  /** Looked at where there is no token; the one registered last unless given. */
  incarnation: Incarnation.optional(),
  /** `cancelled` only where the agent was told to stop. */
  status: z.enum(["completed", "failed", "cancelled"]),
  /** With `completed`: any JSON value, up to 131,072 bytes of JSON; `null` unless given. */
  output: JsonValue.optional(),
  /** Of an activation, in place of `output`. */
  activation: ActivationAnswer.optional(),
  /** With `failed`. */
  error: Failure.optional(),
  /** Checked and not kept: the engine measures for itself. */
  durationMs: z.number().nonnegative().optional(),
  usage: Usage.optional(),
});
export type TaskResult = z.infer<typeof TaskResult>;

/** An agent's last word on an attempt. */
export const TaskResultMessage = z.object({ ...envelopeFields, result: TaskResult });
export type TaskResultMessage = z.infer<typeof TaskResultMessage>;
