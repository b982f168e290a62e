/** A closed run from its history, for those who ask about it after it left memory. */
import type { HistoryEvent } from "../../protocol/history-event.js";
import type { RunRecord, RunState } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import { applyEvent } from "./apply-event.js";
import { WORKFLOW_TYPE_PREFIX } from "./member-specs.js";
import { firstSpec, newRun } from "./run-starts.js";

/** Null where the history is not that of a run of this workflow. */
export function revivedRun(workflow: TaskRecord, events: readonly HistoryEvent[]): RunRecord | null {
  const [started] = events;
  const { lastRunId } = workflow;
  if (started?.type !== "WorkflowExecutionStarted" || lastRunId === null) return null;
  const { at, input, memo, searchAttributes, attempt, workflowType, priority } = started;
  const first = firstSpec(workflow, started.firstExecutionRunId);
  const requiredCapabilities =
    workflowType === first.workflowType ? first.requiredCapabilities : [`${WORKFLOW_TYPE_PREFIX}${workflowType}`];
  const runTimeoutMs = started.runTimeoutMs ?? null;
  // Histories written by earlier versions do not say it.
  const retry = started.retry ?? first.retry;
  const spec = { ...first, workflowType, requiredCapabilities, priority, runTimeoutMs, retry };
  const { record } = newRun({ spec, runId: lastRunId, at, input, memo, searchAttributes, attempt });
  for (const event of events) applyEvent(record, event);
  record.state = workflow.state as RunState;
  return record;
}
