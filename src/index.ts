export { type Agent, agent } from "./agent/agent.js";
export type { AgentOptions } from "./agent/agent-options.js";
export { AttemptStopped, type StopKind } from "./agent/attempt-stop.js";
export { drainOnSignals } from "./agent/drain-on-signals.js";
export { TaskFailure, type TaskFailureOptions } from "./agent/task-failure.js";
export type { TaskContext, TaskHandler } from "./agent/task-handler.js";
export { type InputSchema, withInput } from "./agent/with-input.js";
export {
  type Client,
  connectClient,
  type SubmitOptions,
  type TaskFilter,
  type TaskHandle,
  type TaskList,
  type WaitOptions,
} from "./client/client.js";
export type { ClientOptions } from "./client/client-options.js";
export type { NewTask } from "./client/submission.js";
export type { SystemEvent } from "./client/system-events.js";
export { type EndedTask, type EndedTaskState, TaskFailedError } from "./client/task-outcome.js";
export { PerdureError } from "./errors.js";
export type { ConnectionOptions, TlsOptions } from "./jetstream/connection-options.js";
export type { ErrorCode } from "./protocol/error-code.js";
export type { Failure, Usage } from "./protocol/failure.js";
export type { TaskState, TaskView } from "./protocol/task-message.js";
