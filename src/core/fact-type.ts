/** What a transition is called in the journal: a name for people, since replaying a fact sets fields and decides nothing. */
import type { AgentEvent } from "../machines/agent.machine.js";
import type { TaskEvent } from "../machines/task.machine.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentFactType, TaskFactType } from "../protocol/fact.js";
import type { StoredTaskState } from "../protocol/task-record.js";

/** Of a task, by the state in which the event left it. */
export function taskFactType(event: TaskEvent["type"], state: StoredTaskState): TaskFactType {
  switch (state) {
    case "completed":
      return "TaskCompleted";
    case "failed":
      return "TaskFailed";
    case "cancelled":
      return "TaskCancelled";
    case "timed_out":
      return "TaskTimedOut";
    case "terminated":
      return "TaskTerminated";
    case "open":
      return "TaskOpened";
    case "cancelling":
      return "TaskCancelRequested";
    case "running":
      if (event === "Begun") return "TaskBegun";
      return event === "Progressed" ? "TaskProgressed" : "TaskAccepted";
    case "assigned":
      return event === "Assigned" ? "TaskAssigned" : "TaskResent";
    default:
      break;
  }
  if (event === "Released" || event === "Undeliverable") return "TaskReleased";
  return event === "DependenciesCompleted" || event === "RetryDue" ? "TaskReady" : "TaskAttemptFailed";
}

/** The same of an agent. */
export function agentFactType(event: AgentEvent["type"], state: AgentRecord["state"]): AgentFactType {
  if (event === "RegisteredAgain" || event === "Replaced") return "AgentRegistered";
  const byState = {
    healthy: "AgentRecovered",
    unhealthy: "AgentUnhealthy",
    draining: "AgentDraining",
    lost: "AgentLost",
    gone: "AgentGone",
  } as const;
  return byState[state];
}
