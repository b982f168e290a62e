import { z } from "zod";
import { envelopeFields, JsonValue } from "./envelope.js";
import { Failure, Usage } from "./failure.js";
import { AgentId, CapabilityName, MessageName, TaskId } from "./ids.js";
import { BATCH_TASKS_MAX, CAPABILITIES_MAX, DEPENDENCIES_MAX } from "./limits.js";
import { Priority } from "./priority.js";
import { RetryPolicyInput } from "./retry-policy.js";
import { SearchFilter } from "./search-attributes.js";
import { PositiveDurationMs } from "./time.js";
import { UpdateStanding } from "./workflow-message.js";
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
  /** What the agent's code goes by. */
  type: CapabilityName,
  /** Any JSON value, up to 131,072 bytes of JSON. */
  input: JsonValue.optional(),
  /** Of the tasks that could start, the more urgent goes first; `normal` unless given. */
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
  /** Passed on to the agent; up to 131,072 bytes of JSON. */
  metadata: z.record(z.string(), JsonValue).optional(),
  // Of workflows (`type` is `workflow:<name>`) only.
  idReusePolicy: IdReusePolicy.optional(),
  idConflictPolicy: IdConflictPolicy.optional(),
  memo: NamedValues.optional(),
  searchAttributes: NamedValues.optional(),
  /** From the start to the first look at its code. Signals and updates wait meanwhile. */
  startDelayMs: PositiveDurationMs.optional(),
  /** Signal-with-start: recorded right behind the start, or sent to the run that is open already. */
  signal: z
    .object({
      name: MessageName,
      input: JsonValue.optional(),
      /** The same one again is the same signal. Defaults to the message's id. */
      signalId: z.string().min(1).max(128).optional(),
    })
    .optional(),
  /** Update-with-start: seen by the code when it begins, or asked of the run that is open already. */
  update: z
    .object({
      name: MessageName,
      input: JsonValue.optional(),
      /** The same one again is the same update, with the same outcome. Defaults to the message's id. */
      updateId: z.string().min(1).max(128).optional(),
      /** How far the update must have come before the submission is answered; `completed` unless given. */
      waitFor: z.enum(["accepted", "completed"]).optional(),
      /** 60,000 unless given; what is above counts as that. */
      timeoutMs: z.int().min(0).optional(),
    })
    .optional(),
});
export type TaskSubmission = z.infer<typeof TaskSubmission>;

/** One task, or a batch that is accepted whole or not at all. */
export const TaskSubmissionMessage = z
  .object({
    ...envelopeFields,
    task: TaskSubmission.optional(),
    /** A batch; its members may depend on each other. */
    // Counted before they are looked at: a million wrong tasks are one mistake.
    tasks: z.array(z.unknown()).min(1).max(BATCH_TASKS_MAX).pipe(z.array(TaskSubmission)).optional(),
    /** Chosen where it can take the task at that moment, another agent otherwise. */
    preferredAgentId: AgentId.optional(),
  })
  .refine((message) => (message.task === undefined) !== (message.tasks === undefined), {
    error: "needs either `task` or `tasks`, and not both",
  });
export type TaskSubmissionMessage = z.infer<typeof TaskSubmissionMessage>;

/** The submission is on disk. */
export const TaskSubmissionResponse = z.object({
  ...envelopeFields,
  /** Of the one task that was submitted. */
  taskId: TaskId.optional(),
  /** Of the members of a batch, in their order. */
  taskIds: z.array(TaskId).optional(),
  /** Of an update that came with the start. */
  update: UpdateStanding.optional(),
});
export type TaskSubmissionResponse = z.infer<typeof TaskSubmissionResponse>;

/** Asks about one task: get, cancel, explain. */
export const TaskRequest = z.object({
  ...envelopeFields,
  /** Which task. */
  taskId: TaskId,
});
export type TaskRequest = z.infer<typeof TaskRequest>;

/** Asks for a task when it has ended, or when the time is up. */
export const TaskWaitRequest = z.object({
  ...envelopeFields,
  /** Which task. */
  taskId: TaskId,
  /** 60,000 unless given; what is above counts as that. */
  timeoutMs: z.int().min(0).optional(),
});
export type TaskWaitRequest = z.infer<typeof TaskWaitRequest>;

/** The largest page of `task.list`. */
export const LIST_LIMIT_MAX = 1_000;

/** Asks for tasks that match all of what is given, the newest first. */
export const TaskListRequest = z.object({
  ...envelopeFields,
  /** In any of these. */
  states: z.array(TaskState).optional(),
  /** Of this one. */
  type: CapabilityName.optional(),
  /** Whose current or last attempt is or was on this agent. */
  agentId: AgentId.optional(),
  /** That this workflow asked for. */
  workflowId: TaskId.optional(),
  /** Workflows whose search attributes are equal to all of these; one that is a list has the value among its members. */
  searchAttributes: SearchFilter.optional(),
  /** 100 unless given. */
  limit: z.int().min(1).max(LIST_LIMIT_MAX).optional(),
});
export type TaskListRequest = z.infer<typeof TaskListRequest>;

/** A task as clients see it. Absent fields do not apply (yet). */
export const TaskView = z.object({
  /** Its name for as long as its record is kept. */
  taskId: TaskId,
  /** What the agent's code goes by. */
  type: CapabilityName,
  state: TaskState,
  priority: Priority,
  /** Number of the current or last attempt; 0 before the first. */
  attempt: z.int(),
  /** 0 for no limit. */
  maximumAttempts: z.int(),
  /** Of the current or last attempt. */
  agentId: AgentId.optional(),
  /** As submitted; not in lists. */
  input: JsonValue.optional(),
  /** Of a completed task, `null` where its agent gave none; not in lists. */
  output: JsonValue.optional(),
  /** Of the last attempt while the task is unfinished, of its end afterwards. */
  error: Failure.optional(),
  /** One sentence: what an unfinished task waits for, or how it ended. */
  reason: z.string().optional(),
  /** What the last attempt reported last. */
  progress: JsonValue.optional(),
  /** Of all attempts together; `model` is the last one's. */
  usage: Usage.optional(),
  /** Tasks that must complete first. */
  dependencies: z.array(TaskId),
  /** An agent needs all of these. */
  requiredCapabilities: z.array(CapabilityName),
  /** As submitted; not in lists. */
  metadata: z.record(z.string(), JsonValue).optional(),
  /** Epoch milliseconds, as the two below. */
  submittedAt: z.int(),
  /** Of the current or last attempt. */
  assignedAt: z.int().optional(),
  /** Only of an ended task. */
  endedAt: z.int().optional(),
  /** The workflow that asked for this task. */
  workflow: z
    .object({
      /** Its id. */
      workflowId: TaskId,
      /** Which run of it. */
      runId: TaskId.optional(),
    })
    .optional(),
  /** Of a workflow: the run under way, or the last one. */
  run: z
    .object({
      /** Its id; a repetition or a continuation has another. */
      runId: TaskId,
      /** The first run of its chain. */
      firstExecutionRunId: TaskId,
      /** Which run of a retried workflow; 1 for the first. */
      attempt: z.int(),
      /** Epoch milliseconds. */
      startedAt: z.int(),
      /** Events so far. */
      historyLength: z.int(),
      memo: NamedValues,
      searchAttributes: NamedValues,
      /** Of a child: who started it. */
      parent: z
        .object({
          /** The parent's id. */
          workflowId: TaskId,
          /** Which run of the parent. */
          runId: TaskId,
        })
        .optional(),
      /** The worker that has the run in its memory. */
      workerId: AgentId.optional(),
      /** What its tasks cost so far. */
      usage: Usage.optional(),
    })
    .optional(),
});
export type TaskView = z.infer<typeof TaskView>;

/** A task as it is at the moment of the answer. */
export const TaskReply = z.object({ ...envelopeFields, task: TaskView });
export type TaskReply = z.infer<typeof TaskReply>;

/** Tasks that match. */
export const TaskListReply = z.object({
  ...envelopeFields,
  /** The newest first, without `input`, `output` and `metadata`. */
  tasks: z.array(TaskView),
  /** Tasks that matched, of which `tasks` has the first `limit`, or as many as fit into a message. */
  total: z.int(),
});
export type TaskListReply = z.infer<typeof TaskListReply>;

/** What a task waits for, or how it ended. */
export const TaskExplainReply = z.object({
  ...envelopeFields,
  /** In a sentence. */
  explanation: z.object({
    /** The one that was asked about. */
    taskId: TaskId,
    state: TaskState,
    /** One sentence for people. */
    reason: z.string(),
  }),
});
export type TaskExplainReply = z.infer<typeof TaskExplainReply>;
