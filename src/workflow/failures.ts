/**
 * What workflow code catches and throws, with Temporal's names, and how it crosses the wire. Recognised by a symbol and
 * not by class, so that two copies of this package in one process understand each other.
 */
import type { Failure } from "../protocol/failure.js";
import { RetryState } from "../protocol/history-event.js";
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
  /** Why there was no further attempt. */
  readonly retryState: RetryState;

  constructor(message: string, options: { activityType: string; retryState: RetryState; cause: unknown }) {
    super("activity", message, options.cause);
    this.activityType = options.activityType;
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

export type TimeoutType = "startToClose" | "heartbeat" | "scheduleToStart" | "scheduleToClose" | "workflow";

export class TimeoutFailure extends WorkflowFailure {
  override readonly name = "TimeoutFailure";
  /** Of a task which of its time-outs; `workflow` is a child's. */
  readonly timeoutType: TimeoutType;

  constructor(message: string, timeoutType: TimeoutType) {
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

/** Types of failures that the engine itself found, and what timed out. */
const timeoutTypes: Readonly<Record<string, TimeoutType>> = {
  TASK_TIMED_OUT: "startToClose",
  TASK_HEARTBEAT_TIMED_OUT: "heartbeat",
  TASK_SCHEDULE_TO_START_TIMED_OUT: "scheduleToStart",
  TASK_SCHEDULE_TO_CLOSE_TIMED_OUT: "scheduleToClose",
  WORKFLOW_TIMED_OUT: "workflow",
};

/** A failure from the wire as workflow code catches it. */
export function errorOf(failure: Failure): Error {
  const { type, message } = failure;
  const timeoutType = timeoutTypes[type];
  if (timeoutType !== undefined) return new TimeoutFailure(message, timeoutType);
  if (type === "CANCELLED") return new CancelledFailure(message);
  if (type === "TERMINATED") return new TerminatedFailure(message);
  const cause = failure.cause === undefined ? undefined : errorOf(failure.cause);
  const error = withPlace(failure, cause) ?? applicationFailure(failure, cause);
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}

function applicationFailure(failure: Failure, cause: Error | undefined): ApplicationFailure {
  return new ApplicationFailure(failure.message, {
    type: failure.type,
    nonRetryable: failure.nonRetryable ?? false,
    details: failure.details,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What failed in the run that the failure came from: a task, a step, a child. */
function withPlace({ type, message, details }: Failure, cause: Error | undefined): Error | null {
  const place = (details ?? {}) as Readonly<Record<string, unknown>>;
  const { activityType, workflowId, workflowType } = place;
  const retryState = RetryState.safeParse(place["retryState"]);
  if (type === "ActivityFailure" && typeof activityType === "string" && retryState.success) {
    return new ActivityFailure(message, { activityType, retryState: retryState.data, cause });
  }
  if (type === "ChildWorkflowFailure" && typeof workflowId === "string" && typeof workflowType === "string") {
    return new ChildWorkflowFailure(message, { workflowId, workflowType, cause });
  }
  return null;
}

const CAUSES_MAX = 10;

/** Whatever was thrown, as it crosses the wire. */
export function failureOf(thrown: unknown, depth = 0): Failure {
  if (!(thrown instanceof Error) && kindOf(thrown) === null) {
    const text = typeof thrown === "string" ? thrown : (jsonText(thrown) ?? String(thrown));
    return { type: "Error", message: text.slice(0, FAILURE_MESSAGE_MAX) };
  }
  const error = thrown as Error & { nonRetryable?: unknown; nextRetryDelayMs?: unknown };
  const failure: Failure = { type: typeOf(error), message: String(error.message).slice(0, FAILURE_MESSAGE_MAX) };
  if (error.stack !== undefined) failure.stack = error.stack.slice(0, FAILURE_STACK_MAX);
  if (error.nonRetryable === true) failure.nonRetryable = true;
  const details = detailsOf(error);
  if (details !== undefined) failure.details = details;
  const { nextRetryDelayMs } = error;
  if (typeof nextRetryDelayMs === "number") failure.nextRetryDelayMs = Math.max(1, Math.ceil(nextRetryDelayMs));
  if (error.cause !== undefined && depth < CAUSES_MAX) failure.cause = failureOf(error.cause, depth + 1);
  return failure;
}

function typeOf(error: Error & { type?: unknown; timeoutType?: unknown }): string {
  switch (kindOf(error)) {
    case "cancelled":
      return "CANCELLED";
    case "terminated":
      return "TERMINATED";
    case "timeout":
      return Object.keys(timeoutTypes).find((type) => timeoutTypes[type] === error.timeoutType) ?? error.name;
    default:
      return (typeof error.type === "string" && error.type !== "" ? error.type : error.name).slice(0, 256);
  }
}

function detailsOf(error: Error & { details?: unknown }): unknown {
  const kind = kindOf(error);
  if (kind === "activity") {
    const { activityType, retryState } = error as ActivityFailure;
    return { activityType, retryState };
  }
  if (kind === "child") {
    const { workflowId, workflowType } = error as ChildWorkflowFailure;
    return { workflowId, workflowType };
  }
  const json = error.details === undefined ? undefined : jsonText(error.details);
  return json === undefined ? undefined : JSON.parse(json);
}

/** Undefined for what is not JSON: an error is told of, even where its details cannot be. */
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
