import { z } from "zod";
import { AttemptToken, Incarnation } from "./agent-message.js";
import { JsonValue } from "./envelope.js";
import { Failure, Usage } from "./failure.js";
import { ParentRun } from "./history-event.js";
import { AgentId, CapabilityName, MessageName, TaskId } from "./ids.js";
import { Priority } from "./priority.js";
import { RetryPolicyInput } from "./retry-policy.js";
import { PositiveDurationMs } from "./time.js";
import { NamedValues, ParentClosePolicy } from "./workflow-options.js";

/**
 * What a task is to the run of a workflow. `workflow`: the workflow itself, as it was submitted. `activity`: a task that
 * its code asked for. The other two are the engine's own and never shown: `workflowTask` is an activation, `step` an
 * attempt of code that runs in the worker.
 */
export const TaskRole = z.object({
  kind: z.enum(["workflow", "workflowTask", "activity", "step"]),
  /** Of a `workflow` its own id, of the others that of the workflow they belong to. */
  workflowId: TaskId,
  /** The run that asked for it; none for `workflow`, which has several in turn. */
  runId: TaskId.optional(),
  seq: z.int().optional(),
});
export type TaskRole = z.infer<typeof TaskRole>;

/** What a workflow has beyond other tasks. */
export const WorkflowFields = z.object({
  /** Of a failed run: none means that it is not repeated. Attempts of activations are the engine's own affair. */
  retry: RetryPolicyInput.optional(),
  memo: NamedValues.optional(),
  searchAttributes: NamedValues.optional(),
  startDelayMs: PositiveDurationMs.optional(),
  parent: ParentRun.optional(),
  parentClosePolicy: ParentClosePolicy.optional(),
  /** Goes into the history right behind the start. */
  signal: z.object({ name: MessageName, input: JsonValue.optional(), signalId: z.string() }).optional(),
  /** Asked of its first run until that has answered for the first time. */
  update: z.object({ name: MessageName, input: JsonValue.optional(), updateId: z.string() }).optional(),
});
export type WorkflowFields = z.infer<typeof WorkflowFields>;

/** What was asked for: fixed from submission on, with every default filled in. */
export const TaskSpec = z.object({
  taskId: TaskId,
  type: CapabilityName,
  input: JsonValue.optional(),
  priority: Priority,
  dependencies: z.array(TaskId),
  requiredCapabilities: z.array(CapabilityName),
  preferredAgentId: AgentId.optional(),
  timeoutMs: z.int().optional(),
  scheduleToCloseMs: z.int().optional(),
  retry: z.object({
    maximumAttempts: z.int(),
    initialIntervalMs: z.number(),
    backoffCoefficient: z.number(),
    maximumIntervalMs: z.number(),
    nonRetryableErrorTypes: z.array(z.string()),
  }),
  metadata: z.record(z.string(), JsonValue).optional(),
  /** W3C trace context that came with the submission. */
  traceparent: z.string().optional(),
  role: TaskRole.optional(),
  run: WorkflowFields.optional(),
  /** Of a workflow: the message that asked for it, by which it is known again whatever became of it. */
  requestId: z.string().optional(),
  /** Until the first attempt is assigned. */
  scheduleToStartMs: z.int().optional(),
  /** Between two signs of progress of an attempt. */
  heartbeatTimeoutMs: z.int().optional(),
});
export type TaskSpec = z.infer<typeof TaskSpec>;

/**
 * `cancelling` is `running` to clients: its agent was told to stop and has not answered yet. So is `open`: a workflow
 * with a run under way.
 */
export const storedTaskStates = [
  "waiting",
  "queued",
  "assigned",
  "running",
  "cancelling",
  "backoff",
  "open",
  "completed",
  "failed",
  "cancelled",
  "timed_out",
  "terminated",
] as const;
export const StoredTaskState = z.enum(storedTaskStates);
export type StoredTaskState = z.infer<typeof StoredTaskState>;

/**
 * A task as the engine keeps it: in memory, in the journal's facts and in the bucket of tasks. `null` means "not
 * applicable now"; instants are epoch milliseconds of the orchestrator's wall clock.
 */
export const TaskRecord = z.object({
  spec: TaskSpec,
  state: StoredTaskState,
  submittedAt: z.int(),
  /** Place in line among tasks of the same age; grows with each submission, never reused. */
  order: z.int(),
  /** When it first could start (its dependencies had completed); its age in the queue counts from here. */
  readyAt: z.int().nullable(),
  /** Number of the current or last attempt, 0 before the first. */
  attempt: z.int(),
  /** The agent of the current or last attempt; kept in `backoff` and `queued` so that a late result can be recognised. */
  agentId: AgentId.nullable(),
  incarnation: Incarnation.nullable(),
  token: AttemptToken.nullable(),
  assignedAt: z.int().nullable(),
  /** How often the current attempt was sent to its agent. */
  sends: z.int(),
  /** When the next step is due if its agent has not answered: the assignment's acceptance, or a cancellation's. */
  answerBy: z.int().nullable(),
  /** When the current attempt times out. */
  attemptDeadlineAt: z.int().nullable(),
  /** When the current attempt times out unless its agent reports progress. */
  heartbeatDeadlineAt: z.int().nullable().default(null),
  /** When all attempts together time out. */
  closeDeadlineAt: z.int().nullable(),
  /** When the next attempt may start; set in `backoff` only. */
  retryAt: z.int().nullable(),
  /** Incarnations that were lost while they had this task: three make it poison. */
  lostIncarnations: z.int(),
  progress: JsonValue.nullable(),
  output: JsonValue.nullable(),
  /** Of the last attempt while unfinished; the reason of the end afterwards. */
  failure: Failure.nullable(),
  usage: Usage.nullable(),
  endedAt: z.int().nullable(),
  /** Of a workflow that ended: its last run. */
  lastRunId: TaskId.nullable().default(null),
});
export type TaskRecord = z.infer<typeof TaskRecord>;

/** What a fact may change of a task. */
export type TaskChange = Partial<Omit<TaskRecord, "spec" | "submittedAt" | "order">>;

export const endedStates: ReadonlySet<StoredTaskState> = new Set([
  "completed",
  "failed",
  "cancelled",
  "timed_out",
  "terminated",
]);
/** States in which a task takes one of its agent's places. */
export const occupyingStates: ReadonlySet<StoredTaskState> = new Set(["assigned", "running", "cancelling"]);

/** A task as it begins. */
export function newTaskRecord(
  spec: TaskSpec,
  state: "waiting" | "queued" | "open",
  order: number,
  at: number,
): TaskRecord {
  return {
    spec,
    state,
    submittedAt: at,
    order,
    readyAt: state === "queued" ? at : null,
    attempt: 0,
    agentId: null,
    incarnation: null,
    token: null,
    assignedAt: null,
    sends: 0,
    answerBy: null,
    attemptDeadlineAt: null,
    heartbeatDeadlineAt: null,
    closeDeadlineAt: spec.scheduleToCloseMs === undefined ? null : at + spec.scheduleToCloseMs,
    retryAt: null,
    lostIncarnations: 0,
    progress: null,
    output: null,
    failure: null,
    usage: null,
    endedAt: null,
    lastRunId: null,
  };
}
