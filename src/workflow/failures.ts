/**
 * What workflow code catches and throws, with Temporal's names, and how it crosses the wire. Recognised by a symbol and
 * not by class, so that two copies of this package in one process understand each other.
 */
import type { Failure } from "../protocol/failure.js";
import { FAILURE_MESSAGE_MAX, FAILURE_STACK_MAX } from "../protocol/limits.js";

const KIND = Symbol.for("perdure.workflow.failure");
type Kind = "application" | "activity" | "child" | "cancelled" | "timeout" | "terminated";

abstract class WorkflowFailure extends Error {
  readonly [KIND]: Kind;

  constructor(kind: Kind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this[KIND] = kind;
  }
}

export interface ApplicationFailureOptions {
  /** What retry policies match on. Default "ApplicationFailure". */
  readonly type?: string;
  readonly nonRetryable?: boolean;
  /** Any JSON, for whoever catches it. */
  readonly details?: unknown;
  readonly nextRetryDelayMs?: number;
  readonly cause?: unknown;
}

/** A failure of somebody's code: of a workflow, of an activity, of a step. */
export class ApplicationFailure extends WorkflowFailure {
  override readonly name = "ApplicationFailure";
  readonly type: string;
  readonly nonRetryable: boolean;
  readonly details: unknown;
  readonly nextRetryDelayMs: number | undefined;

  constructor(message: string, options: ApplicationFailureOptions = {}) {
    super("application", message, options.cause);
    this.type = options.type ?? "ApplicationFailure";
    this.nonRetryable = options.nonRetryable ?? false;
    this.details = options.details;
    this.nextRetryDelayMs = options.nextRetryDelayMs;
  }
}

/** A task or step of a workflow did not complete; `cause` says why: an application's, a time-out, a cancellation. */
export class ActivityFailure extends WorkflowFailure {
  override readonly name = "ActivityFailure";
  readonly activityType: string;
  /** Of the task; null for a step. */
  readonly taskId: string | null;
  readonly retryState: string;

  constructor(
    message: string,
    options: { activityType: string; taskId: string | null; retryState: string; cause: unknown },
  ) {
    super("activity", message, options.cause);
    this.activityType = options.activityType;
    this.taskId = options.taskId;
    this.retryState = options.retryState;
  }
}

export class ChildWorkflowFailure extends WorkflowFailure {
  override readonly name = "ChildWorkflowFailure";
  readonly workflowId: string;
  readonly workflowType: string;

  constructor(message: string, options: { workflowId: string; workflowType: string; cause: unknown }) {
    super("child", message, options.cause);
    this.workflowId = options.workflowId;
    this.workflowType = options.workflowType;
  }
}

export class CancelledFailure extends WorkflowFailure {
  override readonly name = "CancelledFailure";

  constructor(message = "cancelled") {
    super("cancelled", message);
  }
}

export class TimeoutFailure extends WorkflowFailure {
  override readonly name = "TimeoutFailure";
  readonly timeoutType: string;

  constructor(message: string, timeoutType: string) {
    super("timeout", message);
    this.timeoutType = timeoutType;
  }
}

export class TerminatedFailure extends WorkflowFailure {
  override readonly name = "TerminatedFailure";

  constructor(message: string) {
    super("terminated", message);
  }
}

/** Whether an error says that something was cancelled, itself or as the cause of an activity's or child's failure. */
export function isCancellation(error: unknown): boolean {
  const kind = kindOf(error);
  if (kind === "cancelled") return true;
  return (kind === "activity" || kind === "child") && isCancellation((error as Error).cause);
}

function kindOf(error: unknown): Kind | null {
  return typeof error === "object" && error !== null && KIND in error ? (error[KIND] as Kind) : null;
}

/** Types of failures that the engine itself found. */
const timeoutTypes: Readonly<Record<string, string>> = {
  TASK_TIMED_OUT: "startToClose",
  TASK_HEARTBEAT_TIMED_OUT: "heartbeat",
  TASK_SCHEDULE_TO_START_TIMED_OUT: "scheduleToStart",
  TASK_SCHEDULE_TO_CLOSE_TIMED_OUT: "scheduleToClose",
  WORKFLOW_TIMED_OUT: "workflow",
};

/** A failure from the wire as workflow code catches it. */
export function errorOf(failure: Failure): Error {
  const timeoutType = timeoutTypes[failure.type];
  if (timeoutType !== undefined) return new TimeoutFailure(failure.message, timeoutType);
  if (failure.type === "CANCELLED") return new CancelledFailure(failure.message);
  if (failure.type === "TERMINATED") return new TerminatedFailure(failure.message);
  const cause = failure.cause === undefined ? undefined : errorOf(failure.cause);
  const error = new ApplicationFailure(failure.message, {
    type: failure.type,
    nonRetryable: failure.nonRetryable ?? false,
    details: failure.details,
    ...(cause === undefined ? {} : { cause }),
  });
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}

const CAUSES_MAX = 10;

/** Whatever was thrown, as it crosses the wire. */
export function failureOf(thrown: unknown, depth = 0): Failure {
  if (!(thrown instanceof Error) && kindOf(thrown) === null) {
    const text = typeof thrown === "string" ? thrown : (JSON.stringify(thrown) ?? String(thrown));
    return { type: "Error", message: text.slice(0, FAILURE_MESSAGE_MAX) };
  }
  const error = thrown as Error & {
    type?: unknown;
    nonRetryable?: unknown;
    details?: unknown;
    nextRetryDelayMs?: unknown;
  };
  const failure: Failure = { type: typeOf(error), message: String(error.message).slice(0, FAILURE_MESSAGE_MAX) };
  if (error.stack !== undefined) failure.stack = error.stack.slice(0, FAILURE_STACK_MAX);
  if (error.nonRetryable === true) failure.nonRetryable = true;
  if (error.details !== undefined) failure.details = error.details;
  if (typeof error.nextRetryDelayMs === "number") failure.nextRetryDelayMs = error.nextRetryDelayMs;
  if (error.cause !== undefined && depth < CAUSES_MAX) failure.cause = failureOf(error.cause, depth + 1);
  return failure;
}

function typeOf(error: Error & { type?: unknown }): string {
  switch (kindOf(error)) {
    case "cancelled":
      return "CANCELLED";
    case "terminated":
      return "TERMINATED";
    default:
      return (typeof error.type === "string" && error.type !== "" ? error.type : error.name).slice(0, 256);
  }
}
