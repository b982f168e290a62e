/** Every message of the protocol: its schema, and on which subject who says it to whom. docs/schemas is written from this. */
import type { z } from "zod";
import {
  AgentOrderMessage,
  AgentRegistrationMessage,
  AgentReportMessage,
  HeartbeatMessage,
  HeartbeatReply,
  TaskAssignmentMessage,
  TaskResultMessage,
} from "../../src/protocol/agent-message.js";
import { ErrorReply } from "../../src/protocol/envelope.js";
import { Flush } from "../../src/protocol/fact.js";
import {
  HealthMessage,
  SystemEventMessage,
  SystemStatusReply,
  SystemStatusRequest,
} from "../../src/protocol/system-message.js";
import {
  TaskExplainReply,
  TaskListReply,
  TaskListRequest,
  TaskReply,
  TaskRequest,
  TaskSubmissionMessage,
  TaskSubmissionResponse,
  TaskWaitRequest,
} from "../../src/protocol/task-message.js";

import {
  WorkflowCancelRequest,
  WorkflowHistoryReply,
  WorkflowHistoryRequest,
  WorkflowQueryReply,
  WorkflowQueryRequest,
  WorkflowReply,
  WorkflowResetRequest,
  WorkflowSignalRequest,
  WorkflowTerminateRequest,
  WorkflowUpdateReply,
  WorkflowUpdateRequest,
} from "../../src/protocol/workflow-message.js";

export interface WireMessage {
  /** Of its file, and the end of its `$id`. */
  readonly name: string;
  /** As src/protocol exports it. */
  readonly constant: string;
  readonly schema: z.ZodType;
  /** What a refinement says that zod cannot put into a JSON Schema by itself. */
  readonly alsoHolds?: Readonly<Record<string, unknown>>;
}

/** Written so that validators which want every required property declared beside it take it too. */
const has = (name: string) => ({ properties: { [name]: true }, required: [name] });
const eitherTaskOrTasks = { type: "object", oneOf: [has("task"), has("tasks")] };

export const wireMessages = {
  "task-submission": {
    constant: "TaskSubmissionMessage",
    schema: TaskSubmissionMessage,
    alsoHolds: eitherTaskOrTasks,
  },
  "task-submission-reply": { constant: "TaskSubmissionResponse", schema: TaskSubmissionResponse },
  "task-request": { constant: "TaskRequest", schema: TaskRequest },
  "task-wait-request": { constant: "TaskWaitRequest", schema: TaskWaitRequest },
  "task-reply": { constant: "TaskReply", schema: TaskReply },
  "task-explain-reply": { constant: "TaskExplainReply", schema: TaskExplainReply },
  "task-list-request": { constant: "TaskListRequest", schema: TaskListRequest },
  "task-list-reply": { constant: "TaskListReply", schema: TaskListReply },
  "workflow-signal-request": { constant: "WorkflowSignalRequest", schema: WorkflowSignalRequest },
  "workflow-query-request": { constant: "WorkflowQueryRequest", schema: WorkflowQueryRequest },
  "workflow-update-request": { constant: "WorkflowUpdateRequest", schema: WorkflowUpdateRequest },
  "workflow-cancel-request": { constant: "WorkflowCancelRequest", schema: WorkflowCancelRequest },
  "workflow-terminate-request": { constant: "WorkflowTerminateRequest", schema: WorkflowTerminateRequest },
  "workflow-reset-request": { constant: "WorkflowResetRequest", schema: WorkflowResetRequest },
  "workflow-history-request": { constant: "WorkflowHistoryRequest", schema: WorkflowHistoryRequest },
  "workflow-reply": { constant: "WorkflowReply", schema: WorkflowReply },
  "workflow-query-reply": { constant: "WorkflowQueryReply", schema: WorkflowQueryReply },
  "workflow-update-reply": { constant: "WorkflowUpdateReply", schema: WorkflowUpdateReply },
  "workflow-history-reply": { constant: "WorkflowHistoryReply", schema: WorkflowHistoryReply },
  "envelope-request": { constant: "SystemStatusRequest", schema: SystemStatusRequest },
  "system-status-reply": { constant: "SystemStatusReply", schema: SystemStatusReply },
  health: { constant: "HealthMessage", schema: HealthMessage },
  "system-event": { constant: "SystemEventMessage", schema: SystemEventMessage },
  "error-reply": { constant: "ErrorReply", schema: ErrorReply },
  "agent-registration": { constant: "AgentRegistrationMessage", schema: AgentRegistrationMessage },
  "agent-order": { constant: "AgentOrderMessage", schema: AgentOrderMessage },
  "agent-report": { constant: "AgentReportMessage", schema: AgentReportMessage },
  heartbeat: { constant: "HeartbeatMessage", schema: HeartbeatMessage },
  "heartbeat-reply": { constant: "HeartbeatReply", schema: HeartbeatReply },
  "task-assignment": { constant: "TaskAssignmentMessage", schema: TaskAssignmentMessage },
  "task-result": { constant: "TaskResultMessage", schema: TaskResultMessage },
  "journal-flush": { constant: "Flush", schema: Flush },
} as const satisfies Readonly<Record<string, Omit<WireMessage, "name">>>;

export type WireMessageName = keyof typeof wireMessages;

export const wireMessageNames = Object.keys(wireMessages) as readonly WireMessageName[];

export interface Conversation {
  /** With `mcp`, the default namespace. */
  readonly subject: string;
  readonly from: "client" | "agent" | "orchestrator";
  readonly to: "client" | "agent" | "orchestrator" | "everybody" | "nobody";
  readonly message: WireMessageName;
  /** What answers it where it is sent as a request; a refusal is an `error-reply` everywhere. */
  readonly reply?: WireMessageName | "NATS PubAck";
}

const asks = (verb: string, message: WireMessageName, reply: WireMessageName): Conversation => ({
  subject: `mcp.orchestrator.${verb}`,
  from: "client",
  to: "orchestrator",
  message,
  reply,
});

export const conversations: readonly Conversation[] = [
  {
    subject: "mcp.agent.register",
    from: "agent",
    to: "orchestrator",
    message: "agent-registration",
    reply: "agent-order",
  },
  {
    subject: "mcp.agent.{agentId}.heartbeat",
    from: "agent",
    to: "orchestrator",
    message: "heartbeat",
    reply: "heartbeat-reply",
  },
  { subject: "mcp.agent.{agentId}.status", from: "agent", to: "orchestrator", message: "agent-report" },
  { subject: "mcp.agent.{agentId}.status", from: "orchestrator", to: "agent", message: "agent-order" },
  { subject: "mcp.agent.{agentId}.task", from: "orchestrator", to: "agent", message: "task-assignment" },
  {
    subject: "mcp.agent.{agentId}.result",
    from: "agent",
    to: "orchestrator",
    message: "task-result",
    reply: "NATS PubAck",
  },
  asks("task.submit", "task-submission", "task-submission-reply"),
  asks("task.get", "task-request", "task-reply"),
  asks("task.wait", "task-wait-request", "task-reply"),
  asks("task.cancel", "task-request", "task-reply"),
  asks("task.explain", "task-request", "task-explain-reply"),
  asks("task.list", "task-list-request", "task-list-reply"),
  asks("workflow.signal", "workflow-signal-request", "workflow-reply"),
  asks("workflow.query", "workflow-query-request", "workflow-query-reply"),
  asks("workflow.update", "workflow-update-request", "workflow-update-reply"),
  asks("workflow.cancel", "workflow-cancel-request", "workflow-reply"),
  asks("workflow.terminate", "workflow-terminate-request", "workflow-reply"),
  asks("workflow.reset", "workflow-reset-request", "workflow-reply"),
  asks("workflow.history", "workflow-history-request", "workflow-history-reply"),
  asks("system.status", "envelope-request", "system-status-reply"),
  asks("health", "envelope-request", "health"),
  { subject: "mcp.orchestrator.health", from: "orchestrator", to: "everybody", message: "health" },
  { subject: "mcp.orchestrator.system.event", from: "orchestrator", to: "everybody", message: "system-event" },
  { subject: "mcp.journal", from: "orchestrator", to: "nobody", message: "journal-flush" },
];
