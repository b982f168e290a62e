/** What a submission becomes. Nothing changes unless all of it is admitted. */
import type { AgentId, TaskId, WorkflowId } from "../protocol/ids.js";
import { completeRetryPolicy } from "../protocol/retry-policy.js";
import type { TaskSubmission } from "../protocol/task-message.js";
import { endedStates, type TaskRecord, type TaskSpec } from "../protocol/task-record.js";
import { type Refusal, refusalOf } from "./admission.js";
import type { Ledger } from "./ledger.js";
import { idVerdict, ownSignalIdOf } from "./run/id-policy.js";
import { WORKFLOW_TYPE_PREFIX } from "./run/member-specs.js";
import type { CoreSettings } from "./settings.js";

export type Submitted =
  | { readonly ok: true; readonly taskIds: readonly TaskId[] }
  | { readonly ok: false; readonly refusal: Refusal };

export interface SubmissionRequest {
  readonly messageId: string;
  readonly tasks: readonly TaskSubmission[];
  /** How it was asked for, which decides the ids of tasks that have none of their own. */
  readonly form: "single" | "batch";
  /** W3C trace context of the request; travels with the assignments. */
  readonly traceparent?: string | undefined;
  readonly preferredAgentId?: AgentId | undefined;
  /** Size of the message it came in, bytes. */
  readonly bytes: number;
  /** Ended tasks, no longer in memory, that the submission names as itself or as a dependency. */
  readonly ended: ReadonlyMap<TaskId, TaskRecord>;
  /** Those of them whose last run was sent the signal that came with this very request, or had taken its update. */
  readonly heard?: ReadonlySet<TaskId>;
}

/** Ids that a submission will look up; the caller fetches those of ended tasks that are no longer in memory. */
export function idsNamedBy(request: Pick<SubmissionRequest, "messageId" | "tasks" | "form">): TaskId[] {
  return request.tasks.flatMap((task, index) => [taskIdOf(request, index), ...(task.dependencies ?? [])]);
}

/** What an admitted submission changes. */
export interface Admitted {
  readonly ok: true;
  readonly taskIds: readonly TaskId[];
  /** New tasks, each behind those of them that it depends on. */
  readonly fresh: readonly TaskSpec[];
  /**
   * Ended tasks that must be live again. Each is retained by a decision of its own, before the tasks that need it are
   * taken: together they may outgrow a journal message, and one too many does no harm.
   */
  readonly retained: readonly TaskRecord[];
  /** Open workflows that make way for a new one of their id. */
  readonly terminate: readonly TaskId[];
  /** Starts of workflows that are open already, for the signal that came with them. */
  readonly signal: readonly TaskSpec[];
}

/** Holds a submission against what is there; changes nothing. */
export function admit(
  ledger: Ledger,
  settings: CoreSettings,
  request: SubmissionRequest,
): Admitted | { readonly ok: false; readonly refusal: Refusal } {
  const misplaced = misplacedField(request);
  if (misplaced !== null) return { ok: false, refusal: misplaced };
  const specs = request.tasks.map((task, index) => specOf(task, taskIdOf(request, index), request));
  const known = (id: TaskId): TaskRecord | undefined => ledger.tasks.get(id) ?? request.ended.get(id);
  const verdicts = verdictsOf(ledger, request, specs, known);
  if (verdicts.refusal !== null) return { ok: false, refusal: verdicts.refusal };
  const fresh = specs.filter((spec) => known(spec.taskId) === undefined || verdicts.replacing.has(spec.taskId));
  const { bytes } = request;
  const { pendingCount } = ledger;
  const { maxQueuedTasks } = settings;
  const refusal = refusalOf({
    specs: specs.filter((spec) => !verdicts.decided.has(spec.taskId)),
    fresh,
    bytes,
    known,
    pendingCount,
    maxQueuedTasks,
  });
  if (refusal !== null) return { ok: false, refusal };

  return {
    ok: true,
    taskIds: specs.map((spec) => spec.taskId),
    fresh: inDependencyOrder(fresh),
    retained: retainedBy(ledger, request, fresh),
    terminate: [...verdicts.terminating],
    signal: specs.filter(
      (spec) =>
        spec.run?.signal !== undefined && known(spec.taskId)?.state === "open" && verdicts.existing.has(spec.taskId),
    ),
  };
}

const runOnlyFields = [
  "idReusePolicy",
  "idConflictPolicy",
  "memo",
  "searchAttributes",
  "startDelayMs",
  "signal",
  "update",
] as const;

/** What is said of runs would be lost on a task. */
function misplacedField(request: SubmissionRequest): Refusal | null {
  for (const [index, task] of request.tasks.entries()) {
    const isWorkflow = task.type.startsWith(WORKFLOW_TYPE_PREFIX);
    const taskId = taskIdOf(request, index);
    if (isWorkflow && task.type.slice(WORKFLOW_TYPE_PREFIX.length).trim() === "") {
      const message = `task ${taskId} is of type "${task.type}", which names no workflow; nothing was accepted.`;
      return { code: "INVALID_MESSAGE", message, details: { taskId, field: "type" } };
    }
    const isAlone = request.form === "single" && task.signal === undefined && !task.dependencies?.length;
    if (isWorkflow && task.update !== undefined && !isAlone) {
      const message = `workflow ${taskId} comes with an update, whose outcome is waited for, and so it may be in no batch and have neither dependencies nor a signal; nothing was accepted. Start it by itself, or update it later.`;
      return { code: "INVALID_MESSAGE", message, details: { taskId, field: "update" } };
    }
    const field = isWorkflow ? undefined : runOnlyFields.find((name) => task[name] !== undefined);
    if (field === undefined) continue;
    const message = `task ${taskId} has \`${field}\`, which only workflows have, and its type "${task.type}" is none; nothing was accepted. Leave it out, or submit the type as "${WORKFLOW_TYPE_PREFIX}<name>".`;
    return { code: "INVALID_MESSAGE", message, details: { taskId, field } };
  }
  return null;
}

/** What the ids of workflows that are known already mean. */
interface IdVerdicts {
  readonly decided: ReadonlySet<TaskId>;
  readonly existing: ReadonlySet<TaskId>;
  readonly replacing: ReadonlySet<TaskId>;
  readonly terminating: ReadonlySet<TaskId>;
  readonly refusal: Refusal | null;
}

function verdictsOf(
  ledger: Ledger,
  request: SubmissionRequest,
  specs: readonly TaskSpec[],
  known: (id: TaskId) => TaskRecord | undefined,
): IdVerdicts {
  const { tasks } = request;
  const existing = new Set<TaskId>();
  const replacing = new Set<TaskId>();
  const terminating = new Set<TaskId>();
  let refusal: Refusal | null = null;
  for (const [index, spec] of specs.entries()) {
    const { taskId, role } = spec;
    const there = known(taskId);
    if (role?.kind !== "workflow" || there?.spec.role?.kind !== "workflow") continue;
    const verdict = idVerdict(there, spec, tasks[index] ?? {}, {
      lastRunHeard: lastRunHeard(ledger, request, spec),
      isNeeded: ledger.isNeeded(there),
    });
    if (verdict.kind === "refused") refusal ??= verdict.refusal;
    else if (verdict.kind === "existing") existing.add(taskId);
    else {
      replacing.add(taskId);
      if (verdict.kind === "terminate") terminating.add(taskId);
    }
  }
  return { decided: new Set([...existing, ...replacing]), existing, replacing, terminating, refusal };
}

function lastRunHeard(ledger: Ledger, { heard }: SubmissionRequest, spec: TaskSpec): boolean {
  const updateId = spec.run?.update?.updateId;
  const signalId = ownSignalIdOf(spec);
  if (updateId === undefined && signalId === null) return false;
  const record = ledger.runs.of(spec.taskId as WorkflowId)?.record;
  if (record === undefined) return heard?.has(spec.taskId) === true;
  return signalId === null ? Object.hasOwn(record.updates, updateId ?? "") : record.signalIds[signalId] === 1;
}

/** Takes up one task; one whose dependency has failed already is told so as if it failed now. */
export function take(ledger: Ledger, spec: TaskSpec, at: number): void {
  const stateOf = (id: TaskId) => ledger.tasks.get(id)?.state;
  const open = spec.dependencies.filter((id) => stateOf(id) !== "completed");
  ledger.addTask(spec, open.length, at);
  const broken = open.find((id) => endedStates.has(stateOf(id) ?? "waiting"));
  if (broken !== undefined) {
    ledger.addFollowUp({ kind: "settleDependent", taskId: spec.taskId, dependencyId: broken });
  }
}

function taskIdOf(request: Pick<SubmissionRequest, "messageId" | "tasks" | "form">, index: number): TaskId {
  const given = request.tasks[index]?.taskId;
  if (given !== undefined) return given;
  return (request.form === "single" ? request.messageId : `${request.messageId}-${index}`) as TaskId;
}

function specOf(task: TaskSubmission, taskId: TaskId, request: SubmissionRequest): TaskSpec {
  const { preferredAgentId, traceparent, messageId } = request;
  const spec: TaskSpec = {
    taskId,
    type: task.type,
    input: task.input,
    priority: task.priority ?? "normal",
    dependencies: task.dependencies === undefined ? [] : [...new Set(task.dependencies)],
    requiredCapabilities: task.requiredCapabilities ?? [task.type],
    retry: completeRetryPolicy(task.retry) as TaskSpec["retry"],
  };
  if (task.type.startsWith(WORKFLOW_TYPE_PREFIX)) Object.assign(spec, workflowParts(task, taskId, messageId));
  if (preferredAgentId !== undefined) spec.preferredAgentId = preferredAgentId;
  if (traceparent !== undefined) spec.traceparent = traceparent;
  if (task.timeoutMs !== undefined) spec.timeoutMs = task.timeoutMs;
  if (task.scheduleToCloseMs !== undefined) spec.scheduleToCloseMs = task.scheduleToCloseMs;
  if (task.metadata !== undefined) spec.metadata = task.metadata;
  return spec;
}

function workflowParts(
  task: TaskSubmission,
  taskId: TaskId,
  requestId: string,
): Pick<TaskSpec, "role" | "run" | "requestId"> {
  const { retry, memo, searchAttributes, startDelayMs, signal, update } = task;
  const run: TaskSpec["run"] = {};
  if (retry !== undefined) run.retry = retry;
  if (memo !== undefined) run.memo = memo;
  if (searchAttributes !== undefined) run.searchAttributes = searchAttributes;
  if (startDelayMs !== undefined) run.startDelayMs = startDelayMs;
  if (signal !== undefined) run.signal = { ...signal, signalId: signal.signalId ?? requestId };
  if (update !== undefined) {
    const { name, input, updateId = requestId } = update;
    run.update = { name, input, updateId };
  }
  return { role: { kind: "workflow", workflowId: taskId }, run, requestId };
}

/**
 * Ended tasks that must be live again, because a new one needs their output or their failure. Also those still in
 * memory: unless another task depends on them, only the bucket of ended tasks has them, and recovery loads live ones.
 */
function retainedBy(ledger: Ledger, request: SubmissionRequest, fresh: readonly TaskSpec[]): TaskRecord[] {
  const ids = new Set(fresh.flatMap((spec) => spec.dependencies));
  return [...ids].flatMap((id) => {
    const record = ledger.tasks.get(id) ?? request.ended.get(id);
    if (record === undefined || !endedStates.has(record.state)) return [];
    // A workflow that is open again holds on to dependencies that have left memory since it ended.
    return ledger.tasks.has(id) && ledger.graph.hasDependents(id) ? [] : [record];
  });
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
