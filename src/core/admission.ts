/** Whether a submission is admitted: every reason to refuse one, in the order they are looked for. */
import { canonicalJson } from "../protocol/canonical-json.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { TaskId } from "../protocol/ids.js";
import { jsonBytes, mayExceed } from "../protocol/json-bytes.js";
import { FIELD_BYTES_MAX, FLUSH_BYTES_MAX, TASK_BYTES_MAX, WORKFLOW_BYTES_MAX } from "../protocol/limits.js";
import type { TaskRecord, TaskSpec } from "../protocol/task-record.js";
import { findCycle } from "../scheduler/dependency-graph.js";

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A submission, held against what is there. */
export interface Candidate {
  /** All that were submitted. */
  readonly specs: readonly TaskSpec[];
  /** Those of them that do not exist yet. */
  readonly fresh: readonly TaskSpec[];
  /** Of the message, bytes. */
  readonly bytes: number;
  readonly known: (id: TaskId) => TaskRecord | undefined;
  /** Unfinished tasks without an agent, now and at the most. */
  readonly pendingCount: number;
  readonly maxQueuedTasks: number;
}

const checks = [conflictRefusal, dependencyRefusal, cycleRefusal, queueRefusal, sizeRefusal];

/** The first reason not to accept it; null if there is none. Whatever is refused is refused whole. */
export function refusalOf(candidate: Candidate): Refusal | null {
  for (const check of checks) {
    const refusal = check(candidate);
    if (refusal !== null) return refusal;
  }
  return null;
}

function refuse(code: ErrorCode, message: string, details: Record<string, unknown>): Refusal {
  return { code, message, details };
}

function conflictRefusal({ specs, known }: Candidate): Refusal | null {
  const seen = new Set<TaskId>();
  for (const spec of specs) {
    const { taskId } = spec;
    if (seen.has(taskId)) {
      return refuse(
        "ID_CONFLICT",
        `task id ${taskId} occurs twice in the batch; nothing of it was accepted. Give each task its own id.`,
        { taskId },
      );
    }
    seen.add(taskId);
    const existing = known(taskId);
    if (existing !== undefined && !isSameTask(existing.spec, spec)) {
      return refuse(
        "ID_CONFLICT",
        `task ${taskId} exists already (${existing.state}, submitted ${new Date(existing.submittedAt).toISOString()}) and is a different one; nothing was accepted. Use another taskId, or submit the very same task to get its id again.`,
        { taskId, state: existing.state },
      );
    }
  }
  return null;
}

/** Preference, trace and request are part of the envelope, not of the task: asking again with others is the same task. */
export function isSameTask(a: TaskSpec, b: TaskSpec): boolean {
  return content(a) === content(b);
}

const content = (spec: TaskSpec): string =>
  canonicalJson({ ...spec, preferredAgentId: undefined, traceparent: undefined, requestId: undefined });

function dependencyRefusal({ specs, fresh, known }: Candidate): Refusal | null {
  const batch = new Set(specs.map((spec) => spec.taskId));
  for (const { taskId, dependencies } of fresh) {
    const dependency = dependencies.find((id) => !batch.has(id) && known(id) === undefined);
    if (dependency === undefined) continue;
    return refuse(
      "DEPENDENCY_UNKNOWN",
      `task ${taskId} depends on ${dependency}, which is neither a task of this orchestrator nor in the batch; nothing was accepted. Submit ${dependency} first, or both in one batch.`,
      { taskId, dependency },
    );
  }
  return null;
}

function cycleRefusal({ fresh }: Candidate): Refusal | null {
  if (fresh.every((spec) => spec.dependencies.length === 0)) return null;
  const cycle = findCycle(new Map(fresh.map((spec) => [spec.taskId, spec.dependencies])));
  if (cycle === null) return null;
  const message = `tasks depend on each other in a circle: ${cycle.join(" -> ")}; nothing was accepted.`;
  return refuse("DEPENDENCY_CYCLE", message, { cycle });
}

function queueRefusal({ fresh, pendingCount, maxQueuedTasks }: Candidate): Refusal | null {
  if (pendingCount + fresh.length <= maxQueuedTasks) return null;
  return refuse(
    "QUEUE_FULL",
    `${pendingCount} tasks wait already and ${fresh.length} more would pass maxQueuedTasks, ${maxQueuedTasks}; nothing was accepted. Ask again later with the same ids.`,
    { maxQueuedTasks, queued: pendingCount },
  );
}

function sizeRefusal({ bytes: messageBytes, fresh }: Candidate): Refusal | null {
  if (mayExceed(messageBytes, FIELD_BYTES_MAX)) {
    for (const spec of fresh) {
      const refused =
        tooLarge(spec, "input", jsonBytes(spec.input), FIELD_BYTES_MAX) ??
        tooLarge(spec, "metadata", jsonBytes(spec.metadata), FIELD_BYTES_MAX) ??
        tooLarge(spec, "memo", jsonBytes(spec.run?.memo), FIELD_BYTES_MAX) ??
        tooLarge(spec, "searchAttributes", jsonBytes(spec.run?.searchAttributes), FIELD_BYTES_MAX) ??
        tooLarge(spec, "signal", jsonBytes(spec.run?.signal), FIELD_BYTES_MAX) ??
        tooLarge(spec, "update", jsonBytes(spec.run?.update), FIELD_BYTES_MAX) ??
        tooLarge(spec, "whole", jsonBytes(spec), spec.run === undefined ? TASK_BYTES_MAX : WORKFLOW_BYTES_MAX);
      if (refused !== null) return refused;
    }
  }
  if (fresh.length <= 1) return null;
  // A batch is accepted in one piece, so its facts have to fit into one journal message.
  const factOverheadBytes = 200;
  // A workflow's first event says the same once more.
  const factBytes = (spec: TaskSpec) => (spec.run === undefined ? 1 : 2) * (jsonBytes(spec) + factOverheadBytes);
  const bytes = fresh.reduce((sum, spec) => sum + factBytes(spec), 0);
  if (bytes <= FLUSH_BYTES_MAX) return null;
  return refuse(
    "BATCH_TOO_LARGE",
    `the batch of ${fresh.length} tasks takes ${bytes} bytes in the journal and at most ${FLUSH_BYTES_MAX} are accepted in one piece; nothing was accepted. Submit it in parts, dependencies first.`,
    { bytes, maximumBytes: FLUSH_BYTES_MAX, tasks: fresh.length },
  );
}

function tooLarge(
  spec: TaskSpec,
  part: "input" | "metadata" | "memo" | "searchAttributes" | "signal" | "update" | "whole",
  bytes: number,
  maximumBytes: number,
): Refusal | null {
  if (bytes <= maximumBytes) return null;
  return refuse(
    "PAYLOAD_TOO_LARGE",
    `the ${part} of task ${spec.taskId} has ${bytes} bytes of JSON and may have ${maximumBytes}; nothing was accepted. Store it elsewhere and submit a reference.`,
    { taskId: spec.taskId, field: part, bytes, maximumBytes },
  );
}
