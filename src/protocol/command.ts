import { z } from "zod";
import { JsonValue } from "./envelope.js";
import { Failure } from "./failure.js";
import { MessageName, WorkflowId } from "./ids.js";
import { SIGNALS_MAX } from "./limits.js";
import { PositiveDurationMs } from "./time.js";
import { activityFields, childFields, NamedValues, runFields, stepFields } from "./workflow-options.js";

/**
 * What a workflow's code asks of the engine: the answer to an activation, in the order in which it was asked. Each
 * becomes one history event (command-match: src/replay), a rejected update none.
 */
const seq = z.int().min(1);
const command = <const Type extends string, Shape extends z.core.$ZodShape>(type: Type, shape: Shape) =>
  z.object({ type: z.literal(type), ...shape });

export const Command = z.discriminatedUnion("type", [
  /** A task for an agent; it is submitted under an id that follows from run and `seq`. */
  command("ScheduleActivityTask", { seq, ...activityFields }),
  command("RequestCancelActivityTask", { seq }),
  command("StartTimer", { seq, durationMs: PositiveDurationMs }),
  command("CancelTimer", { seq }),
  /**
   * Code that runs in the worker. With `token` the worker has begun the first attempt already, under that token; without
   * it the attempt begins when it is assigned, which is after it was recorded: that is how attempts are bounded.
   */
  command("ScheduleStep", {
    seq,
    name: MessageName,
    token: z.string().min(16).max(64).optional(),
    ...stepFields,
  }),
  command("CancelStep", { seq }),
  command("RecordPatch", { patchId: z.string().min(1).max(256), deprecated: z.boolean() }),
  command("StartChildWorkflow", { seq, ...childFields }),
  command("SignalExternalWorkflow", {
    seq,
    workflowId: WorkflowId,
    signalName: MessageName,
    input: JsonValue.optional(),
    /** The target must be a child of this run. */
    childOnly: z.boolean(),
  }),
  command("RequestCancelExternalWorkflow", { seq, workflowId: WorkflowId, childOnly: z.boolean() }),
  command("UpsertSearchAttributes", { searchAttributes: NamedValues }),
  command("ModifyWorkflowProperties", { memo: NamedValues }),
  command("AcceptUpdate", { updateId: z.string().min(1).max(128) }),
  command("RejectUpdate", { updateId: z.string().min(1).max(128), failure: Failure }),
  command("CompleteUpdate", {
    updateId: z.string().min(1).max(128),
    output: JsonValue.optional(),
    failure: Failure.optional(),
  }),
  command("CompleteWorkflow", { output: JsonValue }),
  command("FailWorkflow", { failure: Failure }),
  command("CancelWorkflow", {}),
  command("ContinueAsNew", {
    workflowType: MessageName.optional(),
    /** Signals that came to this run and that its code did not take; the next one begins with them. */
    signals: z
      .array(z.object({ signalName: MessageName, input: JsonValue.optional() }))
      .max(SIGNALS_MAX)
      .optional(),
    ...runFields,
  }),
]);
export type Command = z.infer<typeof Command>;
export type CommandType = Command["type"];
export type CommandOf<Type extends CommandType> = Extract<Command, { type: Type }>;
