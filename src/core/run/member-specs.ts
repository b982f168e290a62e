/** The tasks that belong to a run: its activations, the steps that its worker runs, and what it asks agents for. */
import type { HistoryEventOf } from "../../protocol/history-event.js";
import type { TaskId } from "../../protocol/ids.js";
import { ACTIVATION_TIMEOUT_MS } from "../../protocol/limits.js";
import { completeRetryPolicy, type RetryPolicyInput } from "../../protocol/retry-policy.js";
import type { RunRecord } from "../../protocol/run-record.js";
import type { TaskSpec } from "../../protocol/task-record.js";

/** Workers are agents with this capability, and only they understand activations. */
export const WORKFLOW_TYPE_PREFIX = "workflow:";

/** An activation whose worker was lost moves on at once; one that takes three workers down with it holds the run. */
const ACTIVATION_RETRY: RetryPolicyInput = { maximumAttempts: 0, initialIntervalMs: 100, maximumIntervalMs: 10_000 };

/** Its id is the run's, since there is never more than one. */
export function workflowTaskSpec({ spec, runId }: RunRecord): TaskSpec {
  const { workflowId, workflowType, requiredCapabilities, priority, traceparent } = spec;
  return withTrace(traceparent, {
    taskId: runId,
    type: `${WORKFLOW_TYPE_PREFIX}${workflowType}`,
    priority,
    dependencies: [],
    requiredCapabilities,
    retry: retryOf(ACTIVATION_RETRY),
    role: { kind: "workflowTask", workflowId, runId },
    timeoutMs: ACTIVATION_TIMEOUT_MS,
  });
}

export function stepTaskId(run: RunRecord, seq: number): TaskId {
  return `${run.runId}-s${seq}` as TaskId;
}

export function stepSpec(run: RunRecord, event: HistoryEventOf<"StepScheduled">): TaskSpec {
  const { workflowId, workflowType, requiredCapabilities, priority, traceparent } = run.spec;
  const { seq, startToCloseMs } = event;
  return withTrace(traceparent, {
    taskId: stepTaskId(run, seq),
    type: `${WORKFLOW_TYPE_PREFIX}${workflowType}`,
    priority,
    dependencies: [],
    requiredCapabilities,
    retry: retryOf(event.retry),
    role: { kind: "step", workflowId, runId: run.runId, seq },
    ...(startToCloseMs === undefined ? {} : { timeoutMs: startToCloseMs }),
  });
}

export function activityTaskId(run: RunRecord, seq: number): TaskId {
  return `${run.runId}-${seq}` as TaskId;
}

export function activitySpec(run: RunRecord, event: HistoryEventOf<"ActivityTaskScheduled">): TaskSpec {
  const { workflowId, priority, traceparent } = run.spec;
  const spec: TaskSpec = {
    taskId: event.taskId,
    type: event.activityType,
    input: event.input,
    priority: event.priority ?? priority,
    dependencies: [],
    requiredCapabilities: event.requiredCapabilities ?? [event.activityType],
    retry: retryOf(event.retry),
    role: { kind: "activity", workflowId, runId: run.runId, seq: event.seq },
  };
  if (event.preferredAgentId !== undefined) spec.preferredAgentId = event.preferredAgentId;
  if (event.startToCloseMs !== undefined) spec.timeoutMs = event.startToCloseMs;
  if (event.scheduleToCloseMs !== undefined) spec.scheduleToCloseMs = event.scheduleToCloseMs;
  const scheduleToStartMs = smaller(event.scheduleToStartMs, event.scheduleToCloseMs);
  if (scheduleToStartMs !== undefined) spec.scheduleToStartMs = scheduleToStartMs;
  const heartbeatTimeoutMs = event.heartbeatTimeoutMs;
  if (heartbeatTimeoutMs !== undefined)
    spec.heartbeatTimeoutMs = smaller(heartbeatTimeoutMs, event.startToCloseMs) ?? heartbeatTimeoutMs;
  if (event.metadata !== undefined) spec.metadata = event.metadata;
  return withTrace(traceparent, spec);
}

/** What runs on behalf of a workflow is tried for ever unless it says otherwise. */
function retryOf(policy: RetryPolicyInput | undefined): TaskSpec["retry"] {
  return completeRetryPolicy({ maximumAttempts: 0, ...policy }) as TaskSpec["retry"];
}

function withTrace(traceparent: string | undefined, spec: TaskSpec): TaskSpec {
  return traceparent === undefined ? spec : { ...spec, traceparent };
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
