import { z } from "zod";
import { envelopeFields, JsonValue } from "./envelope.js";
import { Failure, Usage } from "./failure.js";
import { AgentId, CapabilityName, MessageName, TaskId } from "./ids.js";
import { BATCH_TASKS_MAX, CAPABILITIES_MAX, DEPENDENCIES_MAX } from "./limits.js";
import { Priority } from "./priority.js";
import { RetryPolicyInput } from "./retry-policy.js";
import { PositiveDurationMs } from "./time.js";
import { IdConflictPolicy, IdReusePolicy, NamedValues } from "./workflow-options.js";

/** The conversation between clients and the orchestrator about tasks. */

export const taskStates = [
  "waiting",
  "queued",
  "assigned",
  "running",
  "backoff",
  "completed",
  "failed",
  "cancelled",
  "timed_out",
  // Workflows only.
  "stuck",
  "terminated",
] as const;
/** A task's state as clients see it. */
export const TaskState = z.enum(taskStates);
export type TaskState = z.infer<typeof TaskState>;

/** A task as a client asks for it. */
export const TaskSubmission = z.object({
  /** Defaults to the message's id (in a batch: `<messageId>-<index>`), so asking again is safe. */
  taskId: TaskId.optional(),
  type: CapabilityName,
  input: JsonValue.optional(),
  priority: Priority.optional(),
  /** Tasks that must complete first; their outputs travel with this one's assignment. */
  dependencies: z.array(TaskId).max(DEPENDENCIES_MAX).optional(),
  /** An agent needs all of these. Defaults to `[type]`; an empty list means any agent will do. */
  requiredCapabilities: z.array(CapabilityName).max(CAPABILITIES_MAX).optional(),
  /** Bounds one attempt, from dispatch. */
  timeoutMs: PositiveDurationMs.optional(),
  /** Bounds all attempts together, from submission. */
  scheduleToCloseMs: PositiveDurationMs.optional(),
  retry: RetryPolicyInput.optional(),
  metadata: z.record(z.string(), JsonValue).optional(),
  // Of workflows (`type` is `workflow:<name>`) only.
  idReusePolicy: IdReusePolicy.optional(),
  idConflictPolicy: IdConflictPolicy.optional(),
  memo: NamedValues.optional(),
  searchAttributes: NamedValues.optional(),
  /** Signal-with-start: recorded right behind the start, or sent to the run that is open already. */
  signal: z
    .object({ name: MessageName, input: JsonValue.optional(), signalId: z.string().min(1).max(128).optional() })
    .optional(),
});
export type TaskSubmission = z.infer<typeof TaskSubmission>;

/** One task, or a batch that is accepted whole or not at all. */
export const TaskSubmissionMessage = z
  .object({
    ...envelopeFields,
    task: TaskSubmission.optional(),
    /** Counted before they are looked at: a million wrong tasks are one mistake. */
    tasks: z.array(z.unknown()).min(1).max(BATCH_TASKS_MAX).pipe(z.array(TaskSubmission)).optional(),
    preferredAgentId: AgentId.optional(),
  })
  .refine((message) => (message.task === undefined) !== (message.tasks === undefined), {
    error: "needs either `task` or `tasks`, and not both",
  });
export type TaskSubmissionMessage = z.infer<typeof TaskSubmissionMessage>;

export const TaskSubmissionResponse = z.object({
  ...envelopeFields,
  taskId: TaskId.optional(),
  taskIds: z.array(TaskId).optional(),
});
export type TaskSubmissionResponse = z.infer<typeof TaskSubmissionResponse>;

/** Asks about one task: get, cancel, explain. */
export const TaskRequest = z.object({ ...envelopeFields, taskId: TaskId });
export type TaskRequest = z.infer<typeof TaskRequest>;

export const TaskWaitRequest = z.object({
  ...envelopeFields,
  taskId: TaskId,
  /** WAIT_TIMEOUT_MS_MAX at most; what is above counts as that. */
  timeoutMs: z.int().min(0).optional(),
});
export type TaskWaitRequest = z.infer<typeof TaskWaitRequest>;

/** The largest page of `task.list`. */
export const LIST_LIMIT_MAX = 1_000;

export const TaskListRequest = z.object({
  ...envelopeFields,
  states: z.array(TaskState).optional(),
  type: CapabilityName.optional(),
  agentId: AgentId.optional(),
  limit: z.int().min(1).max(LIST_LIMIT_MAX).optional(),
});
export type TaskListRequest = z.infer<typeof TaskListRequest>;

/** A task as clients see it. Absent fields do not apply (yet). */
export const TaskView = z.object({
  taskId: TaskId,
  type: CapabilityName,
  state: TaskState,
  priority: Priority,
  /** Number of the current or last attempt; 0 before the first. */
  attempt: z.int(),
  maximumAttempts: z.int(),
  agentId: AgentId.optional(),
  input: JsonValue.optional(),
  output: JsonValue.optional(),
  error: Failure.optional(),
  /** One sentence: what an unfinished task waits for, or how it ended. */
  reason: z.string().optional(),
  progress: JsonValue.optional(),
  usage: Usage.optional(),
  dependencies: z.array(TaskId),
  requiredCapabilities: z.array(CapabilityName),
  metadata: z.record(z.string(), JsonValue).optional(),
  submittedAt: z.int(),
  assignedAt: z.int().optional(),
  endedAt: z.int().optional(),
  /** The workflow that asked for this task. */
  workflow: z.object({ workflowId: TaskId, runId: TaskId.optional() }).optional(),
  /** Of a workflow: the run under way, or the last one. */
  run: z
    .object({
      runId: TaskId,
      firstExecutionRunId: TaskId,
      /** Which run of a retried workflow; 1 for the first. */
      attempt: z.int(),
      startedAt: z.int(),
      /** Events so far. */
      historyLength: z.int(),
      memo: NamedValues,
      searchAttributes: NamedValues,
      parent: z.object({ workflowId: TaskId, runId: TaskId }).optional(),
      /** The worker that has the run in its memory. */
      workerId: AgentId.optional(),
      /** What its tasks cost so far. */
      usage: Usage.optional(),
    })
    .optional(),
});
export type TaskView = z.infer<typeof TaskView>;

export const TaskReply = z.object({ ...envelopeFields, task: TaskView });
export type TaskReply = z.infer<typeof TaskReply>;

export const TaskListReply = z.object({
  ...envelopeFields,
  tasks: z.array(TaskView),
  /** Tasks that matched, of which `tasks` has the first `limit`. Inputs and outputs are left out of lists. */
  total: z.int(),
});
export type TaskListReply = z.infer<typeof TaskListReply>;

export const TaskExplainReply = z.object({
  ...envelopeFields,
  explanation: z.object({ taskId: TaskId, state: TaskState, reason: z.string() }),
});
export type TaskExplainReply = z.infer<typeof TaskExplainReply>;
