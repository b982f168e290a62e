/** Why a task stands where it stands, in one sentence for people. */
import type { AgentRecord } from "../protocol/agent-record.js";
import type { TaskId } from "../protocol/ids.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { Ledger } from "./ledger.js";
import { explainRun } from "./run/explain-run.js";
import type { CoreSettings } from "./settings.js";
import { lasting } from "./time-phrase.js";
import { visibleState } from "./views.js";

/** What an unfinished task waits for, or how an ended one ended. */
export function explain(ledger: Ledger, settings: CoreSettings, record: TaskRecord, now: number): string {
  switch (record.state) {
    case "waiting":
      return explainWaiting(ledger, record);
    case "queued":
      return explainQueued(ledger, settings, record);
    case "backoff":
      return `${whyBackoff(record)}; the next attempt starts in ${lasting((record.retryAt ?? now) - now)}`;
    case "assigned":
      return `was sent to ${record.agentId} ${lasting(now - (record.assignedAt ?? now))} ago and waits for its answer`;
    case "running":
      return `has been running on ${record.agentId} for ${lasting(now - (record.assignedAt ?? now))}`;
    case "cancelling":
      return `runs on ${record.agentId}, which was told to stop and has ${lasting((record.answerBy ?? now) - now)} to answer`;
    case "open": {
      const run = ledger.runs.of(record.spec.taskId);
      if (run === undefined) return "its run is under way";
      return explainRun(
        run.record,
        now,
        (task) => explain(ledger, settings, task, now),
        (taskId) => ledger.tasks.get(taskId),
      );
    }
    case "completed":
      if (record.spec.role?.kind === "workflow") return "completed";
      return `completed on ${record.agentId} with ${attemptOf(record)}`;
    case "failed":
    case "terminated":
    case "timed_out":
      return record.failure?.message ?? record.state;
    case "cancelled":
      return "was cancelled on request";
  }
}

/** An attempt that was handed back has no token and does not count, whatever an earlier one failed with. */
function whyBackoff(record: TaskRecord): string {
  if (record.token === null || record.failure === null) return `was handed back by ${record.agentId}`;
  return `${attemptOf(record)} failed (${record.failure.message})`;
}

const NAMED_DEPENDENCIES_MAX = 3;

function explainWaiting(ledger: Ledger, record: TaskRecord): string {
  const open = record.spec.dependencies.filter((id) => ledger.tasks.get(id)?.state !== "completed");
  const named = open.slice(0, NAMED_DEPENDENCIES_MAX).map((id) => `${id} (${standing(ledger, id)})`);
  const more = open.length - named.length;
  return `waits for ${named.join(", ")}${more > 0 ? ` and ${more} more of its ${record.spec.dependencies.length} dependencies` : ""}`;
}

function standing(ledger: Ledger, taskId: TaskId): string {
  const record = ledger.tasks.get(taskId);
  if (record === undefined) return "unknown";
  if (record.state === "assigned") return `assigned to ${record.agentId}`;
  return visibleState(record) === "running" ? `running on ${record.agentId}` : record.state;
}

function explainQueued(ledger: Ledger, settings: CoreSettings, record: TaskRecord): string {
  const needed = record.spec.requiredCapabilities;
  const present = [...ledger.agents.values()].filter((agent) => agent.state !== "lost" && agent.state !== "gone");
  const able = present.filter((agent) => needed.every((name) => agent.capabilities.includes(name)));
  const who = needed.length === 0 ? "" : ` with ${needed.join(" and ")}`;
  if (able.length === 0) return explainNobodyAble(present, needed);
  const healthy = able.filter((agent) => agent.state === "healthy");
  if (healthy.length === 0) {
    return `${all(able.length)}${who} ${able.length === 1 ? "is" : "are"} ${statesOf(able)}`;
  }
  const active = healthy.reduce((sum, agent) => sum + ledger.pool.activeCountOf(agent.agentId), 0);
  const places = healthy.reduce((sum, agent) => sum + agent.maxConcurrentTasks, 0);
  // Not by the sums: an agent that registered again with fewer places may hold more than it has.
  if (healthy.every((agent) => ledger.pool.activeCountOf(agent.agentId) >= agent.maxConcurrentTasks)) {
    return `${all(healthy.length)}${who} ${healthy.length === 1 ? "is" : "are"} full: ${active}/${places}`;
  }
  if (settings.maxConcurrentTasks !== 0 && ledger.activeCount >= settings.maxConcurrentTasks) {
    return `the orchestrator runs ${ledger.activeCount} tasks at once and maxConcurrentTasks is ${settings.maxConcurrentTasks}`;
  }
  return "is next in line";
}

function explainNobodyAble(present: readonly AgentRecord[], needed: readonly string[]): string {
  if (present.length === 0) return `no agent is registered${needed.length === 0 ? "" : `; it needs ${list(needed)}`}`;
  const missing = needed.filter((name) => !present.some((agent) => agent.capabilities.includes(name)));
  if (missing.length === 1) return `no agent has capability ${missing[0]}`;
  if (missing.length > 1) return `no agent has any of the capabilities ${list(missing)}`;
  return `no single agent has all of the capabilities ${list(needed)}`;
}

function statesOf(agents: readonly AgentRecord[]): string {
  const states = [...new Set(agents.map((agent) => agent.state))];
  return states.join(" or ");
}

const all = (count: number): string => (count === 1 ? "the only agent" : `all ${count} agents`);
const list = (names: readonly string[]): string => names.join(", ");
const attemptOf = (record: TaskRecord): string =>
  `attempt ${record.attempt}${record.spec.retry.maximumAttempts === 0 ? "" : ` of ${record.spec.retry.maximumAttempts}`}`;
