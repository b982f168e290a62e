import { z } from "zod";
import { AttemptToken } from "./agent-message.js";
import { JsonValue } from "./envelope.js";
import { Failure, Usage } from "./failure.js";
import { HistoryEvent, KnownReset, type NewHistoryEvent, ParentRun } from "./history-event.js";
import { AgentId, CapabilityName, MessageName, RunId, TaskId, WorkflowId } from "./ids.js";
import { Priority } from "./priority.js";
import { RetryPolicyInput } from "./retry-policy.js";
import { NamedValues, ParentClosePolicy } from "./workflow-options.js";

export const runStates = [
  "running",
  /** Its code cannot go on until something is deployed; see `stuck`. */
  "stuck",
  "completed",
  "failed",
  "cancelled",
  "terminated",
  "timed_out",
  "continued_as_new",
] as const;
export const RunState = z.enum(runStates);
export type RunState = z.infer<typeof RunState>;

export const closedRunStates: ReadonlySet<RunState> = new Set([
  "completed",
  "failed",
  "cancelled",
  "terminated",
  "timed_out",
  "continued_as_new",
]);

/** By the `seq` of the command that asked for it, in digits. */
const bySeq = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value);

/** What a run was started with and hands on to the next run of its chain. */
export const RunSpec = z.object({
  workflowId: WorkflowId,
  workflowType: MessageName,
  requiredCapabilities: z.array(CapabilityName),
  priority: Priority,
  retry: RetryPolicyInput.nullable(),
  runTimeoutMs: z.int().nullable(),
  executionTimeoutMs: z.int().nullable(),
  /** Of the whole chain. */
  executionDeadlineAt: z.int().nullable(),
  firstExecutionRunId: RunId,
  parent: ParentRun.nullable(),
  parentClosePolicy: ParentClosePolicy.nullable(),
  metadata: z.record(z.string(), JsonValue),
  /** For the next run, if this one is retried. */
  input: JsonValue.optional(),
  /** The last resets of the chain, oldest first. */
  resets: z.array(KnownReset).optional(),
  traceparent: z.string().optional(),
});
export type RunSpec = z.infer<typeof RunSpec>;

/** An event that has no place in its history yet. It was checked when it was made. */
export const BufferedEvent = z.looseObject({ type: z.string() }) as unknown as z.ZodType<NewHistoryEvent>;

/** By the updates' ids. */
const Admitted = z.record(z.string(), z.object({ name: MessageName, input: JsonValue.optional() }));

/** Why a run does not go on, and how often it was tried. */
export const Stuck = z.object({
  failure: Failure,
  since: z.int(),
  /** Activations that failed in a row. */
  failures: z.int(),
  /** When the next one is tried; null while one is under way. */
  retryAt: z.int().nullable(),
});
export type Stuck = z.infer<typeof Stuck>;

/**
 * A run as the engine keeps it beside its history: what is pending, and where it stands. Everything that follows from
 * the events is set by applying them (core/run/apply-event.ts) and by nothing else.
 */
export const RunRecord = z.object({
  spec: RunSpec,
  runId: RunId,
  state: RunState,
  /** Which run of a retried workflow; 1 for the first. */
  attempt: z.int(),
  startedAt: z.int(),
  /** When its first activation may go out, for a retry; null where it may now. */
  notBefore: z.int().nullable(),
  runDeadlineAt: z.int().nullable(),

  // From the events.
  lastEventId: z.int(),
  /** The last `seq` that a command used. */
  lastSeq: z.int(),
  memo: NamedValues,
  searchAttributes: NamedValues,
  cancelRequested: z.boolean(),
  activities: bySeq(z.object({ taskId: TaskId, type: CapabilityName, cancelRequested: z.boolean() })),
  /** When each fires. */
  timers: bySeq(z.int()),
  steps: bySeq(MessageName),
  children: bySeq(z.object({ workflowId: WorkflowId, workflowType: MessageName, runId: RunId.nullable() })),
  /** Signals and cancellations to other runs that are on their way. */
  externals: bySeq(WorkflowId),
  /** Commands that the engine has recorded and not carried out: tasks, children and signals to start. */
  outstanding: bySeq(HistoryEvent),
  /** Accepted updates by id. How one ended is in the history: thousands of outcomes would not fit in here. */
  updates: z.record(z.string(), z.object({ state: z.enum(["accepted", "completed"]) })),
  /** Updates from before a reset that the code has not decided on yet, by id. */
  admitted: Admitted.default({}),
  signalIds: z.record(z.string(), z.literal(1)),
  signalCount: z.int(),

  // From what surrounds the events.
  /** Came in while an activation was out: gets its place behind the answer. */
  buffered: z.array(BufferedEvent),
  /** The last answer that was taken: whose, under which token, and the last event that the worker knows of. */
  answered: z.object({ token: AttemptToken, agentId: AgentId, eventId: z.int() }).nullable(),
  stuck: Stuck.nullable(),
  /** A close was refused because of what the code had not seen; nothing more is let in until it answers again. */
  closing: z.boolean(),
  /** A child that its parent knows nothing of since a reset: no close of that one concerns it. */
  abandoned: z.boolean().default(false),
  usage: Usage.nullable(),
  closedAt: z.int().nullable(),
});
export type RunRecord = z.infer<typeof RunRecord>;

/** What a fact may set besides what its events do. */
export const RunChange = RunRecord.pick({
  state: true,
  notBefore: true,
  answered: true,
  stuck: true,
  closing: true,
  usage: true,
})
  .partial()
  // Without the defaults that older records need: what a fact leaves out it does not change.
  .extend({ admitted: Admitted.optional(), abandoned: z.boolean().optional() });
export type RunChange = z.infer<typeof RunChange>;
