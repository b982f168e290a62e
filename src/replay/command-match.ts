/** Holds what the code asks for now against what its history says it asked for then. */
import type { Command, CommandType } from "../protocol/command.js";
import type { HistoryEvent, HistoryEventType } from "../protocol/history-event.js";
import { NondeterminismError } from "./errors.js";

const eventTypeOf: Readonly<Partial<Record<CommandType, HistoryEventType>>> = {
  ScheduleActivityTask: "ActivityTaskScheduled",
  RequestCancelActivityTask: "ActivityTaskCancelRequested",
  StartTimer: "TimerStarted",
  CancelTimer: "TimerCanceled",
  ScheduleStep: "StepScheduled",
  CancelStep: "StepCanceled",
  RecordPatch: "PatchRecorded",
  StartChildWorkflow: "StartChildWorkflowExecutionInitiated",
  SignalExternalWorkflow: "SignalExternalWorkflowExecutionInitiated",
  RequestCancelExternalWorkflow: "RequestCancelExternalWorkflowExecutionInitiated",
  UpsertSearchAttributes: "UpsertWorkflowSearchAttributes",
  ModifyWorkflowProperties: "WorkflowPropertiesModified",
  AcceptUpdate: "WorkflowExecutionUpdateAccepted",
  CompleteUpdate: "WorkflowExecutionUpdateCompleted",
  CompleteWorkflow: "WorkflowExecutionCompleted",
  FailWorkflow: "WorkflowExecutionFailed",
  CancelWorkflow: "WorkflowExecutionCanceled",
  ContinueAsNew: "WorkflowExecutionContinuedAsNew",
};

/** What tells two commands of a type apart. Inputs may change with a deployment; these may not. */
const identifying = [
  "seq",
  "activityType",
  "name",
  "workflowType",
  "workflowId",
  "patchId",
  "signalName",
  "updateId",
] as const;

type Described = Readonly<Record<string, unknown>>;

/**
 * @param turn the event behind which `recorded` stands
 * @throws NondeterminismError that names both sides
 */
export function matchCommands(
  produced: readonly Command[],
  recorded: readonly HistoryEvent[],
  turn: { readonly eventId: number },
): void {
  const asked = produced.filter((command) => command.type !== "RejectUpdate");
  let index = 0;
  for (const event of recorded) {
    const command = asked[index];
    if (command !== undefined && isMatch(command, event)) {
      index += 1;
      continue;
    }
    // Code that no longer mentions a deprecated patch is what deprecating it was for.
    if (event.type === "PatchRecorded" && event.deprecated) continue;
    throw new NondeterminismError(
      `at event ${event.eventId} the history has ${describe(event.type, event)}, but the code asked for ${
        command === undefined ? "nothing" : describe(eventTypeOf[command.type] ?? command.type, command)
      }. ${USUAL_CAUSES}`,
      event.eventId,
    );
  }
  const extra = asked[index];
  if (extra === undefined) return;
  const { eventId } = recorded.at(-1) ?? turn;
  throw new NondeterminismError(
    `behind event ${eventId}, where the history has nothing more, the code asked for ${describe(
      eventTypeOf[extra.type] ?? extra.type,
      extra,
    )}. ${USUAL_CAUSES}`,
    eventId,
  );
}

const USUAL_CAUSES =
  "Usual causes: the workflow's code was changed without ctx.patched(), or it depends on something that is not in its history (network, files, process.env, other runs' variables). Deploy the code that wrote this history, or code that still does what it says.";

function isMatch(command: Command, event: HistoryEvent): boolean {
  if (eventTypeOf[command.type] !== event.type) return false;
  const wanted = command as Described;
  const had = event as Described;
  return identifying.every((field) => !(field in wanted) || !(field in had) || wanted[field] === had[field]);
}

function describe(type: string, what: object): string {
  const fields = identifying.flatMap((field) => {
    const value = (what as Described)[field];
    return value === undefined ? [] : [`${field} ${JSON.stringify(value)}`];
  });
  return fields.length === 0 ? type : `${type} (${fields.join(", ")})`;
}
