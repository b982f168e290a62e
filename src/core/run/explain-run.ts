/** What an open run waits for, in one sentence for people. */
import type { TaskId } from "../../protocol/ids.js";
import type { RunRecord } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import { lasting } from "../time-phrase.js";

const NAMED_MAX = 3;

export function explainRun(
  record: RunRecord,
  now: number,
  explainTask: (task: TaskRecord) => string,
  taskOf: (taskId: TaskId) => TaskRecord | undefined,
): string {
  const { stuck, notBefore, runId } = record;
  if (stuck !== null) {
    const next =
      stuck.retryAt === null ? "it is being tried again" : `it is tried again in ${lasting(stuck.retryAt - now)}`;
    return `is stuck since ${lasting(now - stuck.since)} (${stuck.failure.type}: ${stuck.failure.message}); ${next}, and at once when a worker registers`;
  }
  if (notBefore !== null) {
    const what = record.attempt === 1 ? "starts" : `starts run ${record.attempt} of its retry policy`;
    return `${what} in ${lasting(notBefore - now)}`;
  }
  const activation = taskOf(runId);
  if (activation !== undefined) return `has news for its code${standing(activation, explainTask)}`;
  const waits = waitsOf(record, now, explainTask, taskOf);
  if (waits.length === 0) return "waits for a signal, an update or a cancellation";
  const named = waits.slice(0, NAMED_MAX).join("; ");
  const more = waits.length - NAMED_MAX;
  return `waits for ${named}${more > 0 ? `; and ${more} more` : ""}`;
}

function waitsOf(
  { activities, steps, timers, children, externals, runId }: RunRecord,
  now: number,
  explainTask: (task: TaskRecord) => string,
  taskOf: (taskId: TaskId) => TaskRecord | undefined,
): string[] {
  const about = (what: string, taskId: TaskId): string => {
    const task = taskOf(taskId);
    return task === undefined ? what : `${what}${standing(task, explainTask)}`;
  };
  const soonest = Object.values(timers).sort((a, b) => a - b);
  return [
    ...Object.values(activities).map(({ type, taskId }) => about(`task ${taskId} (${type})`, taskId)),
    ...Object.entries(steps).map(([seq, name]) => about(`step "${name}"`, `${runId}-s${seq}` as TaskId)),
    ...Object.values(children).map(({ workflowId, workflowType }) => `child ${workflowId} (${workflowType})`),
    ...Object.values(externals).map((workflowId) => `the answer of workflow ${workflowId}`),
    ...soonest.map((fireAt) => `a timer that fires in ${lasting(fireAt - now)}`),
  ];
}

/** Of what waits for an agent, the sentence is about the agents. */
function standing(task: TaskRecord, explainTask: (task: TaskRecord) => string): string {
  return `${task.state === "queued" ? ": " : ", which "}${explainTask(task)}`;
}
