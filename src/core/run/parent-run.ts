/** The run that a child belongs to: the one that started it, or one that this was reset to. */
import type { WorkflowId } from "../../protocol/ids.js";
import type { RunRecord } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import { isClosed, type OpenRun, type RunBook } from "./run-book.js";

/** Undefined where it is closed, or knows nothing of the child since a reset. */
export function parentRunOf(runs: RunBook, child: TaskRecord): OpenRun | undefined {
  const parent = child.spec.run?.parent;
  if (parent === undefined) return undefined;
  const run = runs.of(parent.workflowId);
  if (run === undefined || isClosed(run.record)) return undefined;
  if (run.record.runId === parent.runId) return run;
  const started = runs.of(child.spec.taskId as WorkflowId);
  return started !== undefined && hasChild(run.record, started.record) ? run : undefined;
}

/** Whether a run is still to be told how a child of it ended; what waits for its place in the history it has been told. */
export function awaitsChild({ children, buffered }: RunRecord, seq: number): boolean {
  return (
    children[seq] !== undefined &&
    !buffered.some((event) => "seq" in event && event.seq === seq && event.type !== "ChildWorkflowExecutionStarted")
  );
}

/** Whether a run's history says that it started this very chain of runs. */
export function hasChild({ spec, runId, children }: RunRecord, child: RunRecord): boolean {
  const { parent, firstExecutionRunId } = child.spec;
  if (parent === null || parent.workflowId !== spec.workflowId) return false;
  return parent.runId === runId || children[parent.seq]?.runId === firstExecutionRunId;
}
