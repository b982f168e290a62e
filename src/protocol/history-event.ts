import { z } from "zod";
import { JsonValue } from "./envelope.js";
import { Failure } from "./failure.js";
import { AgentId, MessageName, RunId, TaskId, WorkflowId } from "./ids.js";
import { Priority } from "./priority.js";
import { RetryPolicyInput } from "./retry-policy.js";
import { EpochMs, PositiveDurationMs } from "./time.js";
import { activityFields, childFields, NamedValues, stepFields } from "./workflow-options.js";

/**
 * What happened to a run, in order: its history. Names are Temporal's; a local activity is a `step` here. `eventId`
 * counts from 1 without gaps. `seq` names the command of the workflow that an event answers: commands that have one
 * are numbered from 1 in the order in which the code gave them, so both sides know it without asking.
 *
 * A history reads in groups: what came in, one `WorkflowTaskCompleted`, what the code asked for when it saw that.
 */
const common = { eventId: z.int().min(1), at: EpochMs };
const seq = z.int().min(1);
const event = <const Type extends string, Shape extends z.core.$ZodShape>(type: Type, shape: Shape) =>
  z.object({ ...common, type: z.literal(type), ...shape });

/**
 * Why no further attempt was made (https://docs.temporal.io/encyclopedia/retry-policies); `inProgress`: of a run that
 * is followed by another attempt.
 */
export const RetryState = z.enum([
  "inProgress",
  "nonRetryableFailure",
  "timeout",
  "maximumAttemptsReached",
  "retryPolicyNotSet",
  "cancelRequested",
]);
export type RetryState = z.infer<typeof RetryState>;

/** The parent of a child: the run that asked for it, and by which command. */
export const ParentRun = z.object({ workflowId: WorkflowId, runId: RunId, seq });
export type ParentRun = z.infer<typeof ParentRun>;

/** The message that asked for a reset, and the run that came of it. */
export const KnownReset = z.object({ requestId: z.string(), runId: RunId });
export type KnownReset = z.infer<typeof KnownReset>;

/** How the workflow's code closed its run. */
const codeCloseEvents = [
  event("WorkflowExecutionCompleted", { output: JsonValue }),
  event("WorkflowExecutionFailed", { failure: Failure, retryState: RetryState, newRunId: RunId.optional() }),
  event("WorkflowExecutionCanceled", {}),
  event("WorkflowExecutionContinuedAsNew", { newRunId: RunId, input: JsonValue.optional() }),
] as const;

/** Closed from outside, without the code. */
const outerCloseEvents = [
  /** `newRunId`: of a run that was reset. */
  event("WorkflowExecutionTerminated", { reason: z.string(), newRunId: RunId.optional() }),
  event("WorkflowExecutionTimedOut", { timeoutType: z.enum(["run", "execution"]), newRunId: RunId.optional() }),
] as const;

/** What the workflow's code asked for, recorded when the answer to its activation was taken. */
const commandEvents = [
  event("ActivityTaskScheduled", { seq, taskId: TaskId, ...activityFields }),
  event("ActivityTaskCancelRequested", { seq }),
  event("TimerStarted", { seq, durationMs: PositiveDurationMs, fireAt: EpochMs }),
  event("TimerCanceled", { seq }),
  event("StepScheduled", { seq, name: MessageName, ...stepFields }),
  event("StepCanceled", { seq }),
  event("PatchRecorded", { patchId: z.string().min(1).max(256), deprecated: z.boolean() }),
  event("StartChildWorkflowExecutionInitiated", { seq, ...childFields }),
  event("SignalExternalWorkflowExecutionInitiated", {
    seq,
    workflowId: WorkflowId,
    signalName: MessageName,
    input: JsonValue.optional(),
    childOnly: z.boolean(),
  }),
  event("RequestCancelExternalWorkflowExecutionInitiated", { seq, workflowId: WorkflowId, childOnly: z.boolean() }),
  event("UpsertWorkflowSearchAttributes", { searchAttributes: NamedValues }),
  event("WorkflowPropertiesModified", { memo: NamedValues }),
  event("WorkflowExecutionUpdateAccepted", {
    updateId: z.string().min(1).max(128),
    updateName: MessageName,
    input: JsonValue.optional(),
  }),
  event("WorkflowExecutionUpdateCompleted", {
    updateId: z.string().min(1).max(128),
    /** One of the two. */
    output: JsonValue.optional(),
    failure: Failure.optional(),
  }),
] as const;

/** What came in from outside the code, and what the code sees. */
const inputEvents = [
  event("WorkflowExecutionStarted", {
    workflowId: WorkflowId,
    /** The run that began with it; a reset copies it. */
    runId: RunId,
    workflowType: MessageName,
    input: JsonValue.optional(),
    /** The first run of the chain that continue-as-new and retries make. */
    firstExecutionRunId: RunId,
    continuedFromRunId: RunId.optional(),
    parent: ParentRun.optional(),
    /** Which run of a retried workflow this is; continue-as-new starts again at 1. */
    attempt: z.int().min(1),
    lastFailure: Failure.optional(),
    runTimeoutMs: PositiveDurationMs.optional(),
    executionTimeoutMs: PositiveDurationMs.optional(),
    executionDeadlineAt: EpochMs.optional(),
    /** Of the run, after failures. */
    retry: RetryPolicyInput.optional(),
    /** The last resets of the chain, oldest first: each request is answered the same however often it comes. */
    resets: z.array(KnownReset).optional(),
    priority: Priority,
    memo: NamedValues,
    searchAttributes: NamedValues,
    metadata: z.record(z.string(), JsonValue),
  }),
  event("WorkflowExecutionSignaled", {
    signalName: MessageName,
    signalId: z.string().min(1).max(128),
    input: JsonValue.optional(),
  }),
  event("WorkflowExecutionCancelRequested", { reason: z.string().optional() }),
  /** Of a reset: an update that the run before had accepted behind that point, and that its code decides on anew. */
  event("WorkflowExecutionUpdateAdmitted", {
    updateId: z.string().min(1).max(128),
    updateName: MessageName,
    input: JsonValue.optional(),
  }),
  /**
   * The run was reset: what is before this is copied from another run, whose workflow task behind it does not count.
   * From here on the code draws its random numbers by `newRunId`.
   */
  event("WorkflowTaskFailed", {
    cause: z.literal("resetWorkflow"),
    /** The run that the history was copied from. */
    baseRunId: RunId,
    /** The run that this history is of, unless it was copied again. */
    newRunId: RunId,
    reason: z.string(),
  }),
  event("ActivityTaskCompleted", { seq, output: JsonValue }),
  event("ActivityTaskFailed", { seq, failure: Failure, retryState: RetryState }),
  event("ActivityTaskTimedOut", { seq, failure: Failure, retryState: RetryState }),
  event("ActivityTaskCanceled", { seq }),
  event("TimerFired", { seq }),
  event("StepCompleted", { seq, output: JsonValue }),
  event("StepFailed", { seq, failure: Failure, retryState: RetryState }),
  event("ChildWorkflowExecutionStarted", { seq, runId: RunId }),
  event("StartChildWorkflowExecutionFailed", { seq, failure: Failure }),
  event("ChildWorkflowExecutionCompleted", { seq, output: JsonValue }),
  event("ChildWorkflowExecutionFailed", { seq, failure: Failure, retryState: RetryState }),
  event("ChildWorkflowExecutionCanceled", { seq }),
  event("ChildWorkflowExecutionTerminated", { seq, reason: z.string() }),
  event("ChildWorkflowExecutionTimedOut", { seq }),
  event("ExternalWorkflowExecutionSignaled", { seq }),
  event("SignalExternalWorkflowExecutionFailed", { seq, failure: Failure }),
  event("ExternalWorkflowExecutionCancelRequested", { seq }),
  event("RequestCancelExternalWorkflowExecutionFailed", { seq, failure: Failure }),
] as const;

/** The code saw everything before it and answered; what it asked for follows. */
const WorkflowTaskCompleted = event("WorkflowTaskCompleted", {
  /** The workflow's `Date.now()` while it worked on it. */
  startedAt: EpochMs,
  agentId: AgentId,
  /** What it was told then. */
  continueAsNewSuggested: z.literal(true).optional(),
});

export const HistoryEvent = z.discriminatedUnion("type", [
  ...inputEvents,
  WorkflowTaskCompleted,
  ...commandEvents,
  ...codeCloseEvents,
  ...outerCloseEvents,
]);
export type HistoryEvent = z.infer<typeof HistoryEvent>;
export type HistoryEventType = HistoryEvent["type"];
export type HistoryEventOf<Type extends HistoryEventType> = Extract<HistoryEvent, { type: Type }>;

/** An event that has no place in the history yet. */
export type NewHistoryEvent = HistoryEvent extends infer Each
  ? Each extends HistoryEvent
    ? Omit<Each, "eventId">
    : never
  : never;

const typesOf = (events: readonly { shape: { type: z.ZodLiteral<string> } }[]): ReadonlySet<string> =>
  new Set(events.map(({ shape }) => shape.type.value));

/** Events that are the record of a command: between the `WorkflowTaskCompleted` they follow and the next event that is none. */
export const commandEventTypes = typesOf([...commandEvents, ...codeCloseEvents]);
export const closeEventTypes = typesOf([...codeCloseEvents, ...outerCloseEvents]);
