/** Whether a submission is accepted, and what it becomes. Nothing changes unless all of it is accepted. */
import { canonicalJson } from "../protocol/canonical-json.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import { jsonBytes, mayExceed } from "../protocol/json-bytes.js";
import { BATCH_TASKS_MAX, FIELD_BYTES_MAX, FLUSH_BYTES_MAX, TASK_BYTES_MAX } from "../protocol/limits.js";
import { completeRetryPolicy } from "../protocol/retry-policy.js";
import type { TaskSubmission } from "../protocol/task-message.js";
import { endedStates, type TaskRecord, type TaskSpec } from "../protocol/task-record.js";
import { findCycle } from "../scheduler/dependency-graph.js";
import type { Ledger } from "./ledger.js";
import type { CoreSettings } from "./settings.js";

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export type Submitted =
  | { readonly ok: true; readonly taskIds: readonly TaskId[] }
  | { readonly ok: false; readonly refusal: Refusal };

export interface SubmissionRequest {
  readonly messageId: string;
  /** One, or a batch. */
  readonly tasks: readonly TaskSubmission[];
  readonly preferredAgentId?: AgentId | undefined;
  /** Size of the message it came in, bytes. */
  readonly bytes: number;
  /** Ended tasks, no longer in memory, that the submission names as itself or as a dependency. */
  readonly ended: ReadonlyMap<TaskId, TaskRecord>;
}

const refuse = (code: ErrorCode, message: string, details?: Record<string, unknown>): Submitted => ({
  ok: false,
  refusal: details === undefined ? { code, message } : { code, message, details },
});

/** Ids that a submission will look up; the caller fetches those of ended tasks that are no longer in memory. */
export function idsNamedBy(request: Pick<SubmissionRequest, "messageId" | "tasks">): TaskId[] {
  return request.tasks.flatMap((task, index) => [taskIdOf(request, index), ...(task.dependencies ?? [])]);
}

export function submit(ledger: Ledger, settings: CoreSettings, request: SubmissionRequest, at: number): Submitted {
  if (request.tasks.length > BATCH_TASKS_MAX) {
    return refuse(
      "BATCH_TOO_LARGE",
      `the batch has ${request.tasks.length} tasks and at most ${BATCH_TASKS_MAX} are accepted in one piece; nothing was accepted. Submit it in parts, dependencies first.`,
      { tasks: request.tasks.length, maximumTasks: BATCH_TASKS_MAX },
    );
  }
  const specs = request.tasks.map((task, index) => specOf(task, taskIdOf(request, index), request.preferredAgentId));
  const known = (id: TaskId): TaskRecord | undefined => ledger.tasks.get(id) ?? request.ended.get(id);

  const batch = new Map<TaskId, TaskSpec>();
  for (const spec of specs) {
    if (batch.has(spec.taskId)) {
      return refuse(
        "ID_CONFLICT",
        `task id ${spec.taskId} occurs twice in the batch; nothing of it was accepted. Give each task its own id.`,
        { taskId: spec.taskId },
      );
    }
    batch.set(spec.taskId, spec);
    const existing = known(spec.taskId);
    if (existing !== undefined && !isSameTask(existing.spec, spec)) {
      return refuse(
        "ID_CONFLICT",
        `task ${spec.taskId} exists already (${existing.state}, submitted ${new Date(existing.submittedAt).toISOString()}) and is a different one; nothing was accepted. Use another taskId, or submit the very same task to get its id again.`,
        { taskId: spec.taskId, state: existing.state },
      );
    }
  }
  const fresh = specs.filter((spec) => known(spec.taskId) === undefined);
  const taskIds = specs.map((spec) => spec.taskId);
  if (fresh.length === 0) return { ok: true, taskIds };

  for (const spec of fresh) {
    for (const dependency of spec.dependencies) {
      if (batch.has(dependency) || known(dependency) !== undefined) continue;
      return refuse(
        "DEPENDENCY_UNKNOWN",
        `task ${spec.taskId} depends on ${dependency}, which is neither a task of this orchestrator nor in the batch; nothing was accepted. Submit ${dependency} first, or both in one batch.`,
        { taskId: spec.taskId, dependency },
      );
    }
  }
  const cycle = findCycle(new Map(fresh.map((spec) => [spec.taskId, spec.dependencies])));
  if (cycle !== null) {
    return refuse(
      "DEPENDENCY_CYCLE",
      `tasks depend on each other in a circle: ${cycle.join(" -> ")}; nothing was accepted.`,
      { cycle },
    );
  }
  if (ledger.pendingCount + fresh.length > settings.maxQueuedTasks) {
    return refuse(
      "QUEUE_FULL",
      `${ledger.pendingCount} tasks wait already and ${fresh.length} more would pass maxQueuedTasks, ${settings.maxQueuedTasks}; nothing was accepted. Ask again later with the same ids.`,
      { maxQueuedTasks: settings.maxQueuedTasks, queued: ledger.pendingCount },
    );
  }
  const retained = retainedBy(ledger, request, fresh);
  const refusedForSize = sizeRefusal(request, fresh, retained);
  if (refusedForSize !== null) return refusedForSize;

  for (const record of retained) ledger.retainTask(record, at);
  // Members first that others depend on, so that every dependency is known when its dependent is added.
  for (const spec of inDependencyOrder(fresh)) {
    const open = spec.dependencies.filter((id) => ledger.tasks.get(id)?.state !== "completed");
    ledger.addTask(spec, open.length, at);
    for (const dependency of open) {
      const state = ledger.tasks.get(dependency)?.state;
      if (state === "failed" || state === "cancelled" || state === "timed_out") {
        ledger.addFollowUp({ kind: "settleDependent", taskId: spec.taskId, dependencyId: dependency });
        break;
      }
    }
  }
  return { ok: true, taskIds };
}

function taskIdOf(request: Pick<SubmissionRequest, "messageId" | "tasks">, index: number): TaskId {
  const given = request.tasks[index]?.taskId;
  if (given !== undefined) return given;
  return (request.tasks.length === 1 ? request.messageId : `${request.messageId}-${index}`) as TaskId;
}

function specOf(task: TaskSubmission, taskId: TaskId, preferredAgentId: AgentId | undefined): TaskSpec {
  const spec: TaskSpec = {
    taskId,
    type: task.type,
    input: task.input,
    priority: task.priority ?? "normal",
    dependencies: task.dependencies === undefined ? [] : [...new Set(task.dependencies)],
    requiredCapabilities: task.requiredCapabilities ?? [task.type],
    retry: completeRetryPolicy(task.retry) as TaskSpec["retry"],
  };
  if (preferredAgentId !== undefined) spec.preferredAgentId = preferredAgentId;
  if (task.timeoutMs !== undefined) spec.timeoutMs = task.timeoutMs;
  if (task.scheduleToCloseMs !== undefined) spec.scheduleToCloseMs = task.scheduleToCloseMs;
  if (task.metadata !== undefined) spec.metadata = task.metadata;
  return spec;
}

/** The preference is part of the envelope, not of the task: asking again through another one is the same task. */
function isSameTask(a: TaskSpec, b: TaskSpec): boolean {
  return canonicalJson({ ...a, preferredAgentId: undefined }) === canonicalJson({ ...b, preferredAgentId: undefined });
}

/**
 * Ended tasks that must be live again, because a new one needs their output or their failure. Also those still in
 * memory: unless another task depends on them, only the bucket of ended tasks has them, and recovery loads live ones.
 */
function retainedBy(ledger: Ledger, request: SubmissionRequest, fresh: readonly TaskSpec[]): TaskRecord[] {
  const ids = new Set(fresh.flatMap((spec) => spec.dependencies));
  return [...ids].flatMap((id) => {
    const record = ledger.tasks.get(id) ?? request.ended.get(id);
    return record !== undefined && endedStates.has(record.state) && !ledger.graph.hasDependents(id) ? [record] : [];
  });
}

function sizeRefusal(
  request: SubmissionRequest,
  fresh: readonly TaskSpec[],
  retained: readonly TaskRecord[],
): Submitted | null {
  if (mayExceed(request.bytes, FIELD_BYTES_MAX)) {
    for (const spec of fresh) {
      const refused =
        tooLarge(spec, "input", jsonBytes(spec.input), FIELD_BYTES_MAX) ??
        tooLarge(spec, "metadata", jsonBytes(spec.metadata), FIELD_BYTES_MAX) ??
        tooLarge(spec, "whole", jsonBytes(spec), TASK_BYTES_MAX);
      if (refused !== null) return refused;
    }
  }
  if (fresh.length === 1 && retained.length === 0) return null;
  // A batch is accepted in one piece, so its facts have to fit into one journal message.
  const factOverheadBytes = 200;
  const bytes = [...fresh, ...retained].reduce((sum, item) => sum + jsonBytes(item) + factOverheadBytes, 0);
  if (bytes <= FLUSH_BYTES_MAX) return null;
  return refuse(
    "BATCH_TOO_LARGE",
    `the batch of ${fresh.length} tasks takes ${bytes} bytes in the journal and at most ${FLUSH_BYTES_MAX} are accepted in one piece; nothing was accepted. Submit it in parts, dependencies first.`,
    { bytes, maximumBytes: FLUSH_BYTES_MAX, tasks: fresh.length },
  );
}

function tooLarge(
  spec: TaskSpec,
  part: "input" | "metadata" | "whole",
  bytes: number,
  maximumBytes: number,
): Submitted | null {
  if (bytes <= maximumBytes) return null;
  return refuse(
    "PAYLOAD_TOO_LARGE",
    `the ${part} of task ${spec.taskId} has ${bytes} bytes of JSON and may have ${maximumBytes}; nothing was accepted. Store it elsewhere and submit a reference.`,
    { taskId: spec.taskId, field: part, bytes, maximumBytes },
  );
}

function inDependencyOrder(specs: readonly TaskSpec[]): readonly TaskSpec[] {
  if (specs.length === 1) return specs;
  const members = new Map(specs.map((spec) => [spec.taskId, spec]));
  const openCount = new Map<TaskId, number>();
  const dependents = new Map<TaskId, TaskSpec[]>();
  for (const spec of specs) {
    const inside = spec.dependencies.filter((id) => members.has(id));
    openCount.set(spec.taskId, inside.length);
    for (const id of inside) {
      const known = dependents.get(id);
      if (known === undefined) dependents.set(id, [spec]);
      else known.push(spec);
    }
  }
  const ordered = specs.filter((spec) => openCount.get(spec.taskId) === 0);
  for (const spec of ordered) {
    for (const dependent of dependents.get(spec.taskId) ?? []) {
      const open = (openCount.get(dependent.taskId) ?? 0) - 1;
      openCount.set(dependent.taskId, open);
      if (open === 0) ordered.push(dependent);
    }
  }
  return ordered;
}
