/**
 * How a task's code says why it failed, and how whatever it threw becomes the failure that crosses the wire.
 * A TaskFailure is recognised by a symbol, not by its class: two copies of this package in one process understand
 * each other.
 */
import { PerdureError } from "../errors.js";
import type { Failure } from "../protocol/failure.js";
import { DURATION_MS_MAX } from "../protocol/limits.js";

const TASK_FAILURE = Symbol.for("perdure.TaskFailure");

export interface TaskFailureOptions {
  /** What retry policies match on (`nonRetryableErrorTypes`). Default "TaskFailure"; at most 256 characters. */
  readonly type?: string;
  /** Ends the task with this attempt, whatever its retry policy allows. */
  readonly nonRetryable?: boolean;
  /** Any JSON up to 16,384 characters, for whoever looks at the failure. */
  readonly details?: unknown;
  /** Milliseconds to the next attempt, in place of what the retry policy says. */
  readonly nextRetryDelayMs?: number;
  readonly cause?: unknown;
}

/** Thrown by a task's code to choose the failure's type and whether another attempt makes sense. */
export class TaskFailure extends Error {
  override readonly name = "TaskFailure";
  readonly type: string;
  readonly nonRetryable: boolean;
  readonly details: unknown;
  readonly nextRetryDelayMs: number | undefined;
  readonly [TASK_FAILURE] = true;

  constructor(message: string, options: TaskFailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.type = options.type ?? "TaskFailure";
    this.nonRetryable = options.nonRetryable ?? false;
    this.details = options.details;
    this.nextRetryDelayMs = options.nextRetryDelayMs;
  }
}

/** Characters. A failure is kept in the task's record and shown to people; beyond this nobody reads it. */
const TEXT_LENGTH_MAX = 8_192;
const TYPE_LENGTH_MAX = 256;
const DETAILS_LENGTH_MAX = 16_384;
const CAUSES_MAX = 5;

/** Whatever was thrown, as it crosses the wire. Never throws itself, not even for an error whose getters do. */
export function failureOf(thrown: unknown): Failure {
  try {
    return thrown instanceof Error || isTaskFailure(thrown) ? ofError(thrown) : ofValue(thrown);
  } catch {
    return { type: "Error", message: "the task threw a value that cannot be described" };
  }
}

function isTaskFailure(value: unknown): value is TaskFailure {
  return typeof value === "object" && value !== null && TASK_FAILURE in value;
}

function ofError(error: Error): Failure {
  const failure: Failure = { ...namedOf(error, 0), stack: bounded(stackOf(error)) };
  const { nextRetryDelayMs } = error as { nextRetryDelayMs?: unknown };
  if (typeof nextRetryDelayMs === "number" && nextRetryDelayMs > 0) {
    failure.nextRetryDelayMs = Math.min(Math.ceil(nextRetryDelayMs), DURATION_MS_MAX);
  }
  return failure;
}

/** Without the stack, which says of itself what caused what. */
function namedOf(error: Error, depth: number): Failure {
  const failure: Failure = {
    type: typeOf(error).slice(0, TYPE_LENGTH_MAX),
    message: bounded(String(error.message)),
  };
  const { nonRetryable, details } = error as { nonRetryable?: unknown; details?: unknown };
  if (nonRetryable === true) failure.nonRetryable = true;
  if (details !== undefined) failure.details = describable(details);
  if (error.cause instanceof Error && depth < CAUSES_MAX) failure.cause = namedOf(error.cause, depth + 1);
  return failure;
}

/** What cannot be told of is named instead: it is no reason to lose the error it came with. */
function describable(details: unknown): unknown {
  try {
    const json: string | undefined = JSON.stringify(details);
    if (json === undefined) return `(left out: a ${typeof details})`;
    return json.length <= DETAILS_LENGTH_MAX ? JSON.parse(json) : `(left out: ${json.length} characters)`;
  } catch (cause) {
    return `(left out: ${cause instanceof Error ? cause.message : "not JSON"})`;
  }
}

/** An explicit `type`, our own stable code, or the class's name. */
function typeOf(error: Error): string {
  if (error instanceof PerdureError) return error.code;
  const { type } = error as { type?: unknown };
  if (typeof type === "string" && type !== "") return type;
  return typeof error.name === "string" && error.name !== "" ? error.name : "Error";
}

function stackOf(error: Error): string {
  const stacks: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && stacks.length < CAUSES_MAX) {
    stacks.push(current.stack ?? `${current.name}: ${current.message}`);
    current = current.cause;
  }
  return stacks.join("\ncaused by: ");
}

function ofValue(value: unknown): Failure {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return { type: "Error", message: bounded(text) };
}

const bounded = (text: string): string =>
  text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)} … (${text.length} characters)`;
