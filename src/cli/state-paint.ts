/** Each state and its colour. The keys double as what an option takes, so that `--help` needs no schema library. */
import type { Priority } from "../protocol/priority.js";
import type { AgentState, OrchestratorState, SystemEventType } from "../protocol/system-message.js";
import type { TaskState } from "../protocol/task-message.js";
import type { Paint } from "./style.js";

type PaintOf<S extends string> = Readonly<Record<S, Paint | undefined>>;

export const taskStatePaint: PaintOf<TaskState> = {
  waiting: "dim",
  queued: "yellow",
  assigned: "cyan",
  running: "cyan",
  backoff: "yellow",
  completed: "green",
  failed: "red",
  cancelled: "dim",
  timed_out: "red",
  stuck: "red",
  terminated: "red",
};

export const priorityPaint: PaintOf<Priority> = { critical: "red", high: "yellow", normal: undefined, low: "dim" };

export const agentStatePaint: PaintOf<AgentState> = {
  healthy: "green",
  unhealthy: "yellow",
  draining: "cyan",
  lost: "red",
  gone: "dim",
};

export const orchestratorStatePaint: PaintOf<OrchestratorState> = {
  starting: "yellow",
  standby: "yellow",
  recovering: "yellow",
  leading: "green",
  stepping_down: "yellow",
  draining: "yellow",
  stopped: "red",
};

export const eventPaint: PaintOf<SystemEventType> = {
  ORCHESTRATOR_STARTED: "green",
  ORCHESTRATOR_STOPPING: "yellow",
  AGENT_REGISTERED: "green",
  AGENT_UNHEALTHY: "yellow",
  AGENT_RECOVERED: "green",
  AGENT_LOST: "red",
  AGENT_DRAINING: "cyan",
  AGENT_GONE: "dim",
  TASK_SUBMITTED: undefined,
  TASK_RETRYING: "yellow",
  TASK_COMPLETED: "green",
  TASK_FAILED: "red",
  TASK_CANCELLED: "dim",
  TASK_TIMED_OUT: "red",
  TASK_TERMINATED: "red",
  WORKFLOW_STUCK: "red",
  WORKFLOW_HISTORY_LARGE: "yellow",
  WORKFLOW_RESET: "yellow",
  RESULT_REFUSED: "yellow",
  SYSTEM_ERROR: "red",
};
