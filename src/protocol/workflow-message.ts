import { z } from "zod";
import { envelopeFields, JsonValue } from "./envelope.js";
import { Failure } from "./failure.js";
import { HistoryEvent } from "./history-event.js";
import { MessageName, RunId, WorkflowId } from "./ids.js";

/** What clients and workers ask about runs. `taskId` is the workflow's id; the open run, or the last one, is meant. */
const base = { ...envelopeFields, taskId: WorkflowId };

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
  taskId: WorkflowId,
  /** None where a workflow was cancelled that still waited for its dependencies. */
  runId: RunId.optional(),
});
export type WorkflowReply = z.infer<typeof WorkflowReply>;

export const WorkflowQueryRequest = z.object({ ...base, name: MessageName, input: JsonValue.optional() });
export type WorkflowQueryRequest = z.infer<typeof WorkflowQueryRequest>;

export const WorkflowQueryReply = z.object({
  ...envelopeFields,
  /** One of the two. */
  output: JsonValue.optional(),
  failure: Failure.optional(),
});
export type WorkflowQueryReply = z.infer<typeof WorkflowQueryReply>;

export const WorkflowUpdateRequest = z.object({
  ...base,
  name: MessageName,
  input: JsonValue.optional(),
  /** The same one again is the same update, with the same outcome. Defaults to the message's id. */
  updateId: z.string().min(1).max(128).optional(),
  waitFor: z.enum(["accepted", "completed"]).default("completed"),
  timeoutMs: z.int().min(0).optional(),
});
export type WorkflowUpdateRequest = z.infer<typeof WorkflowUpdateRequest>;

export const WorkflowUpdateReply = z.object({
  ...envelopeFields,
  updateId: z.string(),
  /** `admitted`: it was not accepted in the time that was given; ask again with the same id. */
  stage: z.enum(["admitted", "accepted", "rejected", "completed", "failed"]),
  output: JsonValue.optional(),
  failure: Failure.optional(),
});
export type WorkflowUpdateReply = z.infer<typeof WorkflowUpdateReply>;

export const WorkflowCancelRequest = z.object(base);
export type WorkflowCancelRequest = z.infer<typeof WorkflowCancelRequest>;

export const WorkflowTerminateRequest = z.object({ ...base, reason: z.string().max(8_192).optional() });
export type WorkflowTerminateRequest = z.infer<typeof WorkflowTerminateRequest>;

export const WorkflowHistoryRequest = z.object({
  ...base,
  /** Which run; the last one where it is left out. */
  runId: RunId.optional(),
  /** Events behind this one. */
  afterEventId: z.int().min(0).default(0),
});
export type WorkflowHistoryRequest = z.infer<typeof WorkflowHistoryRequest>;

export const WorkflowHistoryReply = z.object({
  ...envelopeFields,
  runId: RunId,
  /** As many as fit into a message. */
  events: z.array(HistoryEvent),
  /** Of the history as it is now: where it is not the last of `events`, ask for more. */
  lastEventId: z.int().min(0),
});
export type WorkflowHistoryReply = z.infer<typeof WorkflowHistoryReply>;
