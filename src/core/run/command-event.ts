/** The history event that records a command, or why the command is refused. */

import type { UpdateRequest } from "../../protocol/activation.js";
import type { Command } from "../../protocol/command.js";
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId } from "../../protocol/ids.js";
import type { RunRecord } from "../../protocol/run-record.js";
import { activityTaskId } from "./member-specs.js";

export type Recorded =
  | { readonly kind: "event"; readonly event: NewHistoryEvent }
  /** A rejected update leaves no trace. */
  | { readonly kind: "nothing" }
  /** It accepts an update that was sent by an earlier leader and is not known any more: the caller asks again. */
  | { readonly kind: "forgotten" }
  /** The worker broke the protocol; `message` says how. */
  | { readonly kind: "refused"; readonly message: string };

export interface Recording {
  readonly run: RunRecord;
  readonly at: number;
  /** What the clock said in the code that gave the command: its timers count from there, not from when this was heard of. */
  readonly askedAt: number;
  /** The last `seq` used so far, also by earlier commands of the same answer. */
  readonly lastSeq: number;
  readonly updates: ReadonlyMap<string, UpdateRequest>;
  /** Of the run that would follow. */
  readonly nextRunId: RunId;
}

export function recordCommand(command: Command, recording: Recording): Recorded {
  const { run, at, askedAt, lastSeq, updates, nextRunId } = recording;
  if ("seq" in command && startsSomething.has(command.type) && command.seq <= lastSeq) {
    return { kind: "refused", message: `${command.type} has seq ${command.seq} and the last one used was ${lastSeq}` };
  }
  if ("seq" in command && !startsSomething.has(command.type) && command.seq > lastSeq) {
    return { kind: "refused", message: `${command.type} has seq ${command.seq} and the last one used was ${lastSeq}` };
  }
  switch (command.type) {
    case "ScheduleActivityTask": {
      const { type: _, ...fields } = command;
      return event({ type: "ActivityTaskScheduled", at, taskId: activityTaskId(run, command.seq), ...fields });
    }
    case "RequestCancelActivityTask":
      return event({ type: "ActivityTaskCancelRequested", at, seq: command.seq });
    case "StartTimer": {
      const { seq, durationMs } = command;
      return event({ type: "TimerStarted", at, seq, durationMs, fireAt: askedAt + durationMs });
    }
    case "CancelTimer":
      return event({ type: "TimerCanceled", at, seq: command.seq });
    case "ScheduleStep": {
      const { type: _, token: __, ...fields } = command;
      return event({ type: "StepScheduled", at, ...fields });
    }
    case "CancelStep":
      return event({ type: "StepCanceled", at, seq: command.seq });
    case "RecordPatch":
      return event({ type: "PatchRecorded", at, patchId: command.patchId, deprecated: command.deprecated });
    case "StartChildWorkflow": {
      const { type: _, ...fields } = command;
      return event({ type: "StartChildWorkflowExecutionInitiated", at, ...fields });
    }
    case "SignalExternalWorkflow": {
      const { type: _, ...fields } = command;
      return event({ type: "SignalExternalWorkflowExecutionInitiated", at, ...fields });
    }
    case "RequestCancelExternalWorkflow": {
      const { type: _, ...fields } = command;
      return event({ type: "RequestCancelExternalWorkflowExecutionInitiated", at, ...fields });
    }
    case "UpsertSearchAttributes":
      return event({ type: "UpsertWorkflowSearchAttributes", at, searchAttributes: command.searchAttributes });
    case "ModifyWorkflowProperties":
      return event({ type: "WorkflowPropertiesModified", at, memo: command.memo });
    case "AcceptUpdate": {
      const request = updates.get(command.updateId);
      if (request === undefined) return { kind: "forgotten" };
      const { updateId, name: updateName, input } = request;
      return event({ type: "WorkflowExecutionUpdateAccepted", at, updateId, updateName, input });
    }
    case "RejectUpdate":
      return { kind: "nothing" };
    case "CompleteUpdate": {
      const { type: _, ...fields } = command;
      return event({ type: "WorkflowExecutionUpdateCompleted", at, ...fields });
    }
    case "CompleteWorkflow":
      return event({ type: "WorkflowExecutionCompleted", at, output: command.output });
    case "FailWorkflow":
      return event({ type: "WorkflowExecutionFailed", at, failure: command.failure, retryState: "retryPolicyNotSet" });
    case "CancelWorkflow":
      return event({ type: "WorkflowExecutionCanceled", at });
    case "ContinueAsNew":
      return event({ type: "WorkflowExecutionContinuedAsNew", at, newRunId: nextRunId, input: command.input });
  }
}

const startsSomething: ReadonlySet<Command["type"]> = new Set([
  "ScheduleActivityTask",
  "StartTimer",
  "ScheduleStep",
  "StartChildWorkflow",
  "SignalExternalWorkflow",
  "RequestCancelExternalWorkflow",
]);

function event(recorded: NewHistoryEvent): Recorded {
  return { kind: "event", event: recorded };
}
