/** Each state and its colour. The keys double as what an option takes, so that `--help` needs no schema library. */

import type { Priority } from "../protocol/priority.js";
import type { AgentState, OrchestratorState } from "../protocol/system-message.js";
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
