/** What a program imports: agents, clients and workers, the declarations of tasks and workflows, and what they throw. */
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
export { QueryFailedError, UpdateFailedError } from "./client/message-failed.js";
export type { ResetOptions, RunHandle, UpdateHandle } from "./client/run-handle.js";
export type { NewTask } from "./client/submission.js";
export type { SystemEvent } from "./client/system-events.js";
export { type EndedTask, type EndedTaskState, TaskFailedError } from "./client/task-outcome.js";
export type { UpdateWithStartOptions } from "./client/update-with-start.js";
export type { StartOptions } from "./client/workflow-start.js";
export { PerdureError } from "./errors.js";
export type { ConnectionOptions, TlsOptions } from "./jetstream/connection-options.js";
export { defineTopology, type TopologyDeclaration } from "./jetstream/define-topology.js";
export { createLogger, type Logger, type LogLevel, silentLogger } from "./logger.js";
export type { ErrorCode } from "./protocol/error-code.js";
export type { Failure, Usage } from "./protocol/failure.js";
export type { HistoryEvent } from "./protocol/history-event.js";
export type { TaskState, TaskView } from "./protocol/task-message.js";
export type { Duration } from "./protocol/time.js";
export type {
  BucketDeclaration,
  ConsumerDeclaration,
  DeclaredTopology,
  StreamDeclaration,
} from "./protocol/topology-declaration.js";
export type { UpdateStanding } from "./protocol/workflow-message.js";
export { type WorkerOptions, worker } from "./worker/worker.js";
export type {
  ChildHandle,
  ChildOptions,
  ContinueAsNewOptions,
  ExternalHandle,
  StepContext,
  StepOptions,
  WorkflowContext,
  WorkflowInfo,
} from "./workflow/context.js";
export { type DagBuilder, type DagDefinition, type DagTask, dag } from "./workflow/dag.js";
export {
  type AnyWorkflow,
  type TaskDefinition,
  type TaskOptions,
  task,
  type WorkflowDeclaration,
  type WorkflowDefinition,
  workflow,
} from "./workflow/definition.js";
export {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  isCancellation,
  TerminatedFailure,
  TimeoutFailure,
} from "./workflow/failures.js";
export { type MachineActor, type MachineOptions, machine } from "./workflow/machine.js";
export type { InputOf, OutputOf, Schema } from "./workflow/standard-schema.js";
