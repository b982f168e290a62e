/** What the history of a run begins with that another one is reset to. */
import type { HistoryEvent, KnownReset, NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId, TaskId } from "../../protocol/ids.js";
import type { ResetPoint, ResetReapply } from "../../protocol/workflow-message.js";

export interface ResetRequest {
  /** The message that asks for it. */
  readonly requestId: string;
  /** The run that is meant, if the caller said. */
  readonly runId?: RunId | undefined;
  readonly to: ResetPoint;
  readonly reason: string;
  readonly reapply: ResetReapply;
}

export interface ResetSource {
  /** All of it, from the first event on. */
  readonly events: readonly HistoryEvent[];
  /** What has no place in it yet. */
  readonly buffered: readonly NewHistoryEvent[];
  readonly runId: RunId;
  /** Those of the chain before this one. */
  readonly resets: readonly KnownReset[];
}

/** That a request is known by when it comes again: more than this many resets later it is a new one. */
const RESETS_KNOWN_MAX = 16;

/** The event of the workflow task that is not to count, or why there is none. */
export function resetEventId(
  events: readonly HistoryEvent[],
  to: ResetPoint,
): { readonly eventId: number } | { readonly refused: string } {
  const ends = events.filter(({ type }) => type === "WorkflowTaskCompleted").map(({ eventId }) => eventId);
  const [first] = ends;
  const last = ends.at(-1);
  if (first === undefined || last === undefined) {
    return { refused: "no workflow task of it has completed, so there is no point to go back to" };
  }
  if (to === "firstWorkflowTask") return { eventId: first };
  if (to === "lastWorkflowTask") return { eventId: last };
  const event = events[to - 1];
  if (event === undefined) return { refused: `its history has ${events.length} events and no event ${to}` };
  if (event.type === "WorkflowTaskCompleted") return { eventId: to };
  const nearest = [ends.findLast((id) => id < to), ends.find((id) => id > to)].filter((id) => id !== undefined);
  return {
    refused: `its event ${to} is ${event.type}; only a WorkflowTaskCompleted can be reset to, the nearest being event ${nearest.join(" and event ")}`,
  };
}

/**
 * The events of the new run: what the old one had seen before the workflow task of `eventId`, that it was reset, and what
 * came in since. Tasks that had not ended by then get the new run's ids, for they are scheduled again. How children,
 * signals and cancellations of before that point ended since is kept: those are not sent again.
 */
export function resetHistory(
  { events, buffered, runId, resets }: ResetSource,
  { requestId, reason, reapply }: ResetRequest,
  { eventId, newRunId, at }: { readonly eventId: number; readonly newRunId: RunId; readonly at: number },
): readonly NewHistoryEvent[] {
  const copied = events.slice(0, eventId - 1);
  const pending = pendingOf(copied);
  const kept = copied.map((event) => {
    if (event.type === "WorkflowExecutionStarted") {
      return { ...event, resets: [...resets, { requestId, runId: newRunId }].slice(-RESETS_KNOWN_MAX) };
    }
    const isPending = event.type === "ActivityTaskScheduled" && pending.has(event.seq);
    return isPending ? { ...event, taskId: `${newRunId}-${event.seq}` as TaskId } : event;
  });
  const reset: NewHistoryEvent = {
    type: "WorkflowTaskFailed",
    at,
    cause: "resetWorkflow",
    baseRunId: runId,
    newRunId,
    reason,
  };
  const since = [...events.slice(eventId), ...buffered];
  const admitted = new Set(copied.flatMap((event) => ("updateId" in event ? [event.updateId] : [])));
  const reapplied = since.flatMap((event): NewHistoryEvent[] => {
    switch (event.type) {
      case "WorkflowExecutionSignaled": {
        if (reapply !== "all" && reapply !== "signals") return [];
        const { signalName, signalId, input } = event;
        return [{ type: event.type, at, signalName, signalId, input }];
      }
      case "WorkflowExecutionUpdateAdmitted":
      case "WorkflowExecutionUpdateAccepted": {
        const { updateId, updateName, input } = event;
        if ((reapply !== "all" && reapply !== "updates") || admitted.has(updateId)) return [];
        admitted.add(updateId);
        return [{ type: "WorkflowExecutionUpdateAdmitted", at, updateId, updateName, input }];
      }
      default: {
        if (!("seq" in event) || !pending.has(event.seq) || !answersOfOtherRuns.has(event.type)) return [];
        return [{ ...event, at }];
      }
    }
  });
  return [...kept, reset, ...reapplied];
}

/** Commands that nothing has answered, by `seq`. */
function pendingOf(events: readonly HistoryEvent[]): ReadonlySet<number> {
  const pending = new Set<number>();
  for (const event of events) {
    if (!("seq" in event)) continue;
    if (asks.has(event.type)) pending.add(event.seq);
    else if (!asksNothingMore.has(event.type)) pending.delete(event.seq);
  }
  return pending;
}

type Types = ReadonlySet<HistoryEvent["type"]>;

const asks: Types = new Set([
  "ActivityTaskScheduled",
  "TimerStarted",
  "StepScheduled",
  "StartChildWorkflowExecutionInitiated",
  "SignalExternalWorkflowExecutionInitiated",
  "RequestCancelExternalWorkflowExecutionInitiated",
]);

/** Behind these it is still to be answered. */
const asksNothingMore: Types = new Set(["ActivityTaskCancelRequested", "ChildWorkflowExecutionStarted"]);

const answersOfOtherRuns: Types = new Set([
  "ChildWorkflowExecutionStarted",
  "StartChildWorkflowExecutionFailed",
  "ChildWorkflowExecutionCompleted",
  "ChildWorkflowExecutionFailed",
  "ChildWorkflowExecutionCanceled",
  "ChildWorkflowExecutionTerminated",
  "ChildWorkflowExecutionTimedOut",
  "ExternalWorkflowExecutionSignaled",
  "SignalExternalWorkflowExecutionFailed",
  "ExternalWorkflowExecutionCancelRequested",
  "RequestCancelExternalWorkflowExecutionFailed",
]);
