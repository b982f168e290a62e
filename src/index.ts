export { type Agent, agent } from "./agent/agent.js";
export type { AgentOptions } from "./agent/agent-options.js";
export { AttemptStopped, type StopKind } from "./agent/attempt-stop.js";
export { drainOnSignals } from "./agent/drain-on-signals.js";
export { TaskFailure, type TaskFailureOptions } from "./agent/task-failure.js";
export type { TaskContext, TaskHandler } from "./agent/task-handler.js";
export { type InputSchema, withInput } from "./agent/with-input.js";
export { PerdureError } from "./errors.js";
