import { z } from "zod";
import { envelopeFields, JsonValue } from "./envelope.js";
import { Failure } from "./failure.js";
import { HistoryEvent } from "./history-event.js";
import { MessageName, RunId, WorkflowId } from "./ids.js";

/** What clients and workers ask about runs. `taskId` is the workflow's id; the open run, or the last one, is meant. */
const base = {
  ...envelopeFields,
  /** The workflow's id. */
  taskId: WorkflowId,
};

/** Sends a signal to the open run. */
export const WorkflowSignalRequest = z.object({
  ...base,
  name: MessageName,
  input: JsonValue.optional(),
  /** The same one again is the same signal. Defaults to the message's id. */
  signalId: z.string().min(1).max(128).optional(),
});
export type WorkflowSignalRequest = z.infer<typeof WorkflowSignalRequest>;

/** Signals and cancellations are durable when they are answered with this. */
export const WorkflowReply = z.object({
  ...envelopeFields,
  /** As asked. */
  taskId: WorkflowId,
  /** None where a workflow was cancelled that still waited for its dependencies. */
  runId: RunId.optional(),
});
export type WorkflowReply = z.infer<typeof WorkflowReply>;

/** Asks the code of the run that is open, or of the last one. */
export const WorkflowQueryRequest = z.object({
  ...base,
  name: MessageName,
  input: JsonValue.optional(),
});
export type WorkflowQueryRequest = z.infer<typeof WorkflowQueryRequest>;

/** What the code said, or why it could not. */
export const WorkflowQueryReply = z.object({
  ...envelopeFields,
  /** One of the two. */
  output: JsonValue.optional(),
  /** One of the two. */
  failure: Failure.optional(),
});
export type WorkflowQueryReply = z.infer<typeof WorkflowQueryReply>;

/** Asks the open run for a change, and waits for the answer. */
export const WorkflowUpdateRequest = z.object({
  ...base,
  name: MessageName,
  input: JsonValue.optional(),
  /** The same one again is the same update, with the same outcome. Defaults to the message's id. */
  updateId: z.string().min(1).max(128).optional(),
  /** How far the update must have come before it is answered. */
  waitFor: z.enum(["accepted", "completed"]).default("completed"),
  /** 60,000 unless given; what is above counts as that. */
  timeoutMs: z.int().min(0).optional(),
});
export type WorkflowUpdateRequest = z.infer<typeof WorkflowUpdateRequest>;

const standing = {
  /** To ask again with. */
  updateId: z.string(),
  /** `admitted`: it was not accepted in the time that was given; ask again with the same id. */
  stage: z.enum(["admitted", "accepted", "rejected", "completed", "failed"]),
  /** Of one that is `completed`. */
  output: JsonValue.optional(),
  /** Of one that was `rejected` or `failed`. */
  failure: Failure.optional(),
};

/** How far an update has come. */
export const UpdateStanding = z.object({ ...standing });
export type UpdateStanding = z.infer<typeof UpdateStanding>;

/** How far the update has come. */
export const WorkflowUpdateReply = z.object({ ...envelopeFields, ...standing });
export type WorkflowUpdateReply = z.infer<typeof WorkflowUpdateReply>;

/** Asks the code of the open run to stop. */
export const WorkflowCancelRequest = z.object({ ...base });
export type WorkflowCancelRequest = z.infer<typeof WorkflowCancelRequest>;

/** Ends the open run; none of its code runs any more. */
export const WorkflowTerminateRequest = z.object({
  ...base,
  /** For people. */
  reason: z.string().max(8_192).optional(),
});
export type WorkflowTerminateRequest = z.infer<typeof WorkflowTerminateRequest>;

export const ResetPoint = z.union([
  z.enum(["firstWorkflowTask", "lastWorkflowTask"]),
  /** The id of a `WorkflowTaskCompleted` in the history of the last run. */
  z.int().min(1),
]);
export type ResetPoint = z.infer<typeof ResetPoint>;

/** What came behind the point of a reset and is given to the new run again. */
export const ResetReapply = z.enum(["all", "signals", "updates", "none"]);
export type ResetReapply = z.infer<typeof ResetReapply>;

/**
 * Starts a new run of the workflow, open or closed, from a point in the history of its last one. The same `messageId`
 * again is the same reset.
 */
export const WorkflowResetRequest = z.object({
  ...base,
  /** The last run, where no other is to be reset by mistake. */
  runId: RunId.optional(),
  /** The workflow task that does not count any more, nor what came of it: what it had seen is decided on anew. */
  to: ResetPoint,
  /** For people. */
  reason: z.string().max(8_192).optional(),
  /** What came in behind that point and is not lost: signals, updates, both or neither. */
  reapply: ResetReapply.default("all"),
});
export type WorkflowResetRequest = z.infer<typeof WorkflowResetRequest>;

/** Asks for a page of a run's history. */
export const WorkflowHistoryRequest = z.object({
  ...base,
  /** Which run; the last one where it is left out. */
  runId: RunId.optional(),
  /** Events behind this one. */
  afterEventId: z.int().min(0).default(0),
});
export type WorkflowHistoryRequest = z.infer<typeof WorkflowHistoryRequest>;

/** A page of a run's history. */
export const WorkflowHistoryReply = z.object({
  ...envelopeFields,
  /** Of which run. */
  runId: RunId,
  /** As many as fit into a message. */
  events: z.array(HistoryEvent),
  /** Of the history as it is now: where it is not the last of `events`, ask for more. */
  lastEventId: z.int().min(0),
});
export type WorkflowHistoryReply = z.infer<typeof WorkflowHistoryReply>;
