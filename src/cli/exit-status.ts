import type { ErrorCode } from "../protocol/error-code.js";

/** What a command's end tells the shell. Scripts branch on these numbers, so they never change. */
export const exitStatus = {
  ok: 0,
  taskFailed: 1,
  /** A server is not as declared. */
  drifted: 1,
  usage: 2,
  notFound: 3,
  /** No server, or none that anybody answers on. */
  noNats: 4,
  timedOut: 5,
  refused: 6,
  /** A fault of the program itself, sysexits' EX_SOFTWARE. */
  internal: 70,
} as const;
export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

const { taskFailed, usage, notFound, noNats, timedOut, refused } = exitStatus;

const statusByCode: Readonly<Record<ErrorCode, ExitStatus>> = {
  INVALID_MESSAGE: refused,
  INVALID_ID: refused,
  INVALID_PRIORITY: refused,
  PAYLOAD_TOO_LARGE: refused,
  ID_CONFLICT: refused,
  DEPENDENCY_UNKNOWN: refused,
  DEPENDENCY_CYCLE: refused,
  QUEUE_FULL: refused,
  BATCH_TOO_LARGE: refused,
  NOT_FOUND: notFound,
  NOT_READY: refused,
  RESET_REFUSED: refused,

  DEPENDENCY_FAILED: taskFailed,
  AGENT_LOST: taskFailed,
  AGENT_SUPERSEDED: taskFailed,
  ATTEMPT_LOST: taskFailed,
  CANCELLED_BY_AGENT: taskFailed,
  TASK_NOT_ACCEPTED: taskFailed,
  TASK_TIMED_OUT: taskFailed,
  TASK_HEARTBEAT_TIMED_OUT: taskFailed,
  TASK_SCHEDULE_TO_START_TIMED_OUT: taskFailed,
  TASK_SCHEDULE_TO_CLOSE_TIMED_OUT: taskFailed,
  TASK_TYPE_UNKNOWN: taskFailed,
  TASK_INPUT_INVALID: taskFailed,
  TASK_OUTPUT_INVALID: taskFailed,

  CANCELLED: taskFailed,
  HISTORY_INCOMPLETE: taskFailed,
  INVALID_INPUT: refused,
  NONDETERMINISM: taskFailed,
  QUERY_NOT_REGISTERED: refused,
  REFUSED_BY_WORKFLOW: refused,
  TERMINATED: taskFailed,
  UPDATE_NOT_REGISTERED: refused,
  WORKFLOW_ALREADY_STARTED: taskFailed,
  WORKFLOW_TASK_FAILED: taskFailed,
  WORKFLOW_TIMED_OUT: taskFailed,
  WORKFLOW_TYPE_UNKNOWN: taskFailed,

  RESULT_STALE: refused,
  RESULT_CONFLICT: refused,
  RESULT_UNKNOWN_TASK: refused,

  AGENT_ID_FLAPPING: refused,
  OBSERVER_SUSPECT: refused,

  UNAUTHENTICATED: refused,
  HTTP_HOST_REFUSED: refused,
  HTTP_ORIGIN_REFUSED: refused,
  HTTP_ROUTE_UNKNOWN: refused,
  HTTP_METHOD_REFUSED: refused,
  HTTP_CONTENT_TYPE_REFUSED: refused,
  HTTP_HEADERS_TOO_LARGE: refused,
  HTTP_REQUEST_MALFORMED: refused,
  HTTP_REQUEST_TIMED_OUT: refused,

  JOURNAL_FENCED: refused,
  STORAGE_UNAVAILABLE: noNats,
  STORAGE_FULL: refused,
  STORE_DAMAGED: refused,
  STORAGE_MISCONFIGURED: refused,
  CONNECTION_FAILED: noNats,
  PERMISSION_DENIED: refused,
  REQUEST_TIMED_OUT: timedOut,
  // The server is there and nobody serves on it: to whoever asked, as good as no server.
  NO_RESPONDERS: noNats,

  INVALID_TOPOLOGY: usage,
  TOPOLOGY_LOSES_DATA: refused,

  NATS_SERVER_NOT_FOUND: noNats,
  NATS_SERVER_TOO_OLD: noNats,
  NATS_SERVER_DOWNLOAD_FAILED: noNats,
  NATS_SERVER_CHECKSUM_MISMATCH: noNats,
  NATS_SERVER_START_FAILED: noNats,
  // Somebody else has the port or the store: not missing but refused.
  NATS_SERVER_PORT_BUSY: refused,
  NATS_SERVER_STORE_UNUSABLE: refused,

  USAGE: usage,
  INTERNAL: refused,
};

export function exitStatusOf(code: ErrorCode): ExitStatus {
  return statusByCode[code];
}
