import { z } from "zod";

/**
 * Every stable error code of the engine. A code is a contract: it crosses the wire, ends up in
 * scripts and alerts, and each has a heading in docs/errors.md (test/tidy.test.ts holds that).
 */
export const errorCodes = [
  // What a client's message was refused for.
  "INVALID_MESSAGE",
  "INVALID_ID",
  "INVALID_PRIORITY",
  "PAYLOAD_TOO_LARGE",
  "ID_CONFLICT",
  "DEPENDENCY_UNKNOWN",
  "DEPENDENCY_CYCLE",
  "QUEUE_FULL",
  "BATCH_TOO_LARGE",
  "NOT_FOUND",
  "NOT_READY",
  "RESET_REFUSED",
  // What happened to a task.
  "DEPENDENCY_FAILED",
  "AGENT_LOST",
  "AGENT_SUPERSEDED",
  "ATTEMPT_LOST",
  "CANCELLED_BY_AGENT",
  "TASK_NOT_ACCEPTED",
  "TASK_TIMED_OUT",
  "TASK_HEARTBEAT_TIMED_OUT",
  "TASK_SCHEDULE_TO_START_TIMED_OUT",
  "TASK_SCHEDULE_TO_CLOSE_TIMED_OUT",
  "TASK_TYPE_UNKNOWN",
  "TASK_INPUT_INVALID",
  "TASK_OUTPUT_INVALID",
  // What happened to a run of a workflow.
  "CANCELLED",
  "HISTORY_INCOMPLETE",
  "INVALID_INPUT",
  "NONDETERMINISM",
  "QUERY_NOT_REGISTERED",
  "REFUSED_BY_WORKFLOW",
  "TERMINATED",
  "UPDATE_NOT_REGISTERED",
  "WORKFLOW_ALREADY_STARTED",
  "WORKFLOW_TASK_FAILED",
  "WORKFLOW_TIMED_OUT",
  "WORKFLOW_TYPE_UNKNOWN",
  // What happened to an agent's message.
  "RESULT_STALE",
  "RESULT_CONFLICT",
  "RESULT_UNKNOWN_TASK",
  // What the leader sees of its agents and of itself.
  "AGENT_ID_FLAPPING",
  "OBSERVER_SUSPECT",
  // What an HTTP request was refused for, before it was looked at as a message.
  "UNAUTHENTICATED",
  "HTTP_HOST_REFUSED",
  "HTTP_ORIGIN_REFUSED",
  "HTTP_ROUTE_UNKNOWN",
  "HTTP_METHOD_REFUSED",
  "HTTP_CONTENT_TYPE_REFUSED",
  "HTTP_HEADERS_TOO_LARGE",
  "HTTP_REQUEST_MALFORMED",
  "HTTP_REQUEST_TIMED_OUT",
  // Storage, leadership and connection.
  "JOURNAL_FENCED",
  "STORAGE_UNAVAILABLE",
  "STORAGE_FULL",
  "STORE_DAMAGED",
  "STORAGE_MISCONFIGURED",
  "CONNECTION_FAILED",
  "PERMISSION_DENIED",
  "REQUEST_TIMED_OUT",
  "NO_RESPONDERS",
  // A topology that somebody declared.
  "INVALID_TOPOLOGY",
  "TOPOLOGY_LOSES_DATA",
  // nats-server started by us.
  "NATS_SERVER_NOT_FOUND",
  "NATS_SERVER_TOO_OLD",
  "NATS_SERVER_DOWNLOAD_FAILED",
  "NATS_SERVER_CHECKSUM_MISMATCH",
  "NATS_SERVER_START_FAILED",
  "NATS_SERVER_PORT_BUSY",
  "NATS_SERVER_STORE_UNUSABLE",
  // What the person at the command line did.
  "USAGE",
  "INTERNAL",
] as const;

export const ErrorCode = z.enum(errorCodes);
export type ErrorCode = z.infer<typeof ErrorCode>;
