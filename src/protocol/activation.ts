import { z } from "zod";
import { Command } from "./command.js";
import { JsonValue } from "./envelope.js";
import { Failure } from "./failure.js";
import { HistoryEvent } from "./history-event.js";
import { MessageName, RunId, WorkflowId } from "./ids.js";
import { EpochMs } from "./time.js";

/**
 * The conversation between the orchestrator and a workflow worker: an assignment of a workflow task carries an
 * activation, its result's `activation` is the answer. A failed result (`NONDETERMINISM`, `WORKFLOW_TYPE_UNKNOWN`,
 * `WORKFLOW_TASK_FAILED`) leaves the history as it is and the run `stuck` until a later activation is answered.
 */

/** An update that the run has not accepted yet. */
export const UpdateRequest = z.object({
  /** Comes back in what is decided about it. */
  updateId: z.string().min(1).max(128),
  name: MessageName,
  input: JsonValue.optional(),
});
export type UpdateRequest = z.infer<typeof UpdateRequest>;

/** A question about the run, answered without a trace. */
export const QueryRequest = z.object({
  /** Comes back in the answer. */
  queryId: z.string(),
  name: MessageName,
  input: JsonValue.optional(),
});
export type QueryRequest = z.infer<typeof QueryRequest>;

export const Activation = z.object({
  workflowId: WorkflowId,
  runId: RunId,
  workflowType: MessageName,
  /** The workflow's `Date.now()` while it works on this. */
  startedAt: EpochMs,
  /**
   * Token of the activation whose answer was taken last. A worker goes on with a run it has in memory only if that was
   * its own last answer; otherwise it drops the run and replays its history.
   */
  previousToken: z.string().nullable(),
  /** The history's last event; a replay goes up to here. */
  lastEventId: z.int().min(0),
  /** Whether `events` is the whole history or what came in since the answer that `previousToken` names. */
  from: z.enum(["start", "previous"]),
  /** Empty, with `from: "start"`, where it would not fit: then it is read from `workflow.history`. */
  events: z.array(HistoryEvent),
  updates: z.array(UpdateRequest),
  /** To be answered when everything else was looked at. */
  queries: z.array(QueryRequest),
  /** True where there is nothing to see but queries: no command may come of it. */
  queriesOnly: z.boolean(),
  /** The history is long: the code should continue as new soon. */
  continueAsNewSuggested: z.boolean(),
});
export type Activation = z.infer<typeof Activation>;

/** How the first attempt of a step that was begun without waiting for its record went. */
export const StepOutcome = z.object({
  /** Of the command that asked for it. */
  seq: z.int().min(1),
  /** One of the two. */
  output: JsonValue.optional(),
  /** One of the two. */
  failure: Failure.optional(),
});
export type StepOutcome = z.infer<typeof StepOutcome>;

/** How a query was answered. */
export const QueryAnswer = z.object({
  /** As asked. */
  queryId: z.string(),
  /** One of the two. */
  output: JsonValue.optional(),
  /** One of the two. */
  failure: Failure.optional(),
});
export type QueryAnswer = z.infer<typeof QueryAnswer>;

/** `activation` of the result of a workflow task, in place of an output. */
export const ActivationAnswer = z.object({
  /** In the order in which the code asked. */
  commands: z.array(Command),
  /** Steps of these commands that have ended already. */
  steps: z.array(StepOutcome),
  /** Of the activation's queries. */
  queries: z.array(QueryAnswer),
});
export type ActivationAnswer = z.infer<typeof ActivationAnswer>;

/** An attempt of a step that its worker did not begin by itself: a retry, a bounded one, or one of a lost worker. */
export const StepAssignment = z.object({
  workflowId: WorkflowId,
  runId: RunId,
  workflowType: MessageName,
  /** Of the command that asked for it. */
  seq: z.int().min(1),
  name: MessageName,
  /** The run's history holds the step's `StepScheduled` at or before this event. */
  lastEventId: z.int().min(1),
});
export type StepAssignment = z.infer<typeof StepAssignment>;
