/** Records as clients see them. */
import type { TaskAssignment } from "../protocol/agent-message.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentId } from "../protocol/ids.js";
import type { RunRecord } from "../protocol/run-record.js";
import type { AgentView } from "../protocol/system-message.js";
import type { TaskState, TaskView } from "../protocol/task-message.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { Liveness } from "../scheduler/liveness.js";
import type { Ledger } from "./ledger.js";
import type { Workflows } from "./run/workflows.js";

/** `cancelling` and `open` are words of the engine's own. */
export function visibleState(record: TaskRecord): TaskState {
  return record.state === "cancelling" || record.state === "open" ? "running" : record.state;
}

/** The state of a workflow follows from its run. */
export function shownState(record: TaskRecord, run: RunRecord | null): TaskState {
  return run?.state === "stuck" && record.state === "open" ? "stuck" : visibleState(record);
}

/** All of a task. Fields that do not apply are absent. */
export function taskView(record: TaskRecord, reason: string, run: RunRecord | null): TaskView {
  const { spec } = record;
  const view: TaskView = {
    ...taskSummary(record, reason, run),
    input: spec.input,
  };
  if (spec.metadata !== undefined) view.metadata = spec.metadata;
  if (record.state === "completed") view.output = record.output;
  return view;
}

/** A task in a list: without what it carries. */
export function taskSummary(record: TaskRecord, reason: string, run: RunRecord | null): TaskView {
  const { spec } = record;
  const view: TaskView = {
    taskId: spec.taskId,
    type: spec.type,
    state: shownState(record, run),
    priority: spec.priority,
    attempt: record.attempt,
    maximumAttempts: spec.retry.maximumAttempts,
    reason,
    dependencies: spec.dependencies,
    requiredCapabilities: spec.requiredCapabilities,
    submittedAt: record.submittedAt,
  };
  if (record.agentId !== null) view.agentId = record.agentId;
  if (record.failure !== null) view.error = record.failure;
  if (record.progress !== null) view.progress = record.progress;
  if (record.usage !== null) view.usage = record.usage;
  if (record.assignedAt !== null) view.assignedAt = record.assignedAt;
  if (record.endedAt !== null) view.endedAt = record.endedAt;
  if (spec.role?.kind === "activity") view.workflow = { workflowId: spec.role.workflowId, runId: spec.role.runId };
  if (run !== null) view.run = runView(run);
  return view;
}

function runView(run: RunRecord): NonNullable<TaskView["run"]> {
  const { runId, attempt, startedAt, lastEventId, memo, searchAttributes, spec } = run;
  const { firstExecutionRunId, parent } = spec;
  return {
    runId,
    firstExecutionRunId,
    attempt,
    startedAt,
    historyLength: lastEventId,
    memo,
    searchAttributes,
    ...(parent === null ? {} : { parent: { workflowId: parent.workflowId, runId: parent.runId } }),
    ...(run.answered === null ? {} : { workerId: run.answered.agentId }),
    ...(run.usage === null ? {} : { usage: run.usage }),
  };
}

/** @param held silent agents that are not given up, because so many of them are silent at once */
export function agentView(
  record: AgentRecord,
  ledger: Ledger,
  liveness: Liveness,
  held: ReadonlySet<AgentId>,
): AgentView {
  const view: AgentView = {
    agentId: record.agentId,
    state: record.state,
    incarnation: record.incarnation,
    capabilities: record.capabilities,
    activeTaskCount: ledger.pool.activeCountOf(record.agentId),
    maxConcurrentTasks: record.maxConcurrentTasks,
    registeredAt: record.registeredAt,
    metrics: liveness.metricsOf(record.agentId),
  };
  if (record.reason !== null) view.reason = record.reason;
  if (held.has(record.agentId)) view.reason = `${record.reason}; ${HELD}`;
  if (record.metadata !== null) view.metadata = record.metadata;
  const usage = ledger.spending.ofAgent(record.agentId);
  if (usage !== undefined) view.usage = usage;
  const seenAt = liveness.seenAt(record.agentId);
  if (seenAt !== null) view.lastSeenAt = seenAt;
  return view;
}

const HELD = "kept with its work for now (OBSERVER_SUSPECT), because most agents fell silent at once";

/** What an agent is sent; null where the attempt is no longer under way. */
export function assignmentOf(
  record: TaskRecord,
  token: string,
  ledger: Ledger,
  workflows: Workflows,
): TaskAssignment | null {
  const underWay = record.state === "assigned" || record.state === "running";
  if (!underWay || record.token !== token) return null;
  const { spec } = record;
  const assignment: TaskAssignment = {
    taskId: spec.taskId,
    type: spec.type,
    input: spec.input,
    attempt: record.attempt,
    token,
    ...(record.incarnation === null ? {} : { incarnation: record.incarnation }),
    priority: spec.priority,
    dependencyResults: Object.fromEntries(spec.dependencies.map((id) => [id, ledger.tasks.get(id)?.output ?? null])),
    metadata: spec.metadata ?? {},
  };
  if (record.attemptDeadlineAt !== null) assignment.deadlineAt = record.attemptDeadlineAt;
  if (record.progress !== null) assignment.heartbeatDetails = record.progress;
  return spec.role === undefined ? assignment : withRole(assignment, record, workflows);
}

/** What an assignment carries besides, as part of a run; null where the run is no more. */
function withRole(assignment: TaskAssignment, record: TaskRecord, workflows: Workflows): TaskAssignment | null {
  const { role } = record.spec;
  switch (role?.kind) {
    case "workflowTask": {
      const activation = workflows.dispatch.activationOf(record);
      return activation === null ? null : { ...assignment, activation };
    }
    case "step": {
      const step = workflows.dispatch.stepOf(record);
      return step === null ? null : { ...assignment, step };
    }
    case "activity": {
      const { workflowId, runId } = role;
      return runId === undefined ? assignment : { ...assignment, workflow: { workflowId, runId } };
    }
    default:
      return assignment;
  }
}
