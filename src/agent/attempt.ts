/**
 * One attempt at one task while it runs here, and the context its code is given. Ten thousand short ones a second come
 * and go, so whatever few of them need (abort controller, timers, child logger) is made when it is first asked for.
 */
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { TaskAssignment } from "../protocol/agent-message.js";
import { addAmounts, Usage } from "../protocol/failure.js";
import { DURATION_MS_MAX, FIELD_BYTES_MAX } from "../protocol/limits.js";
import { parseMessage } from "../protocol/parse.js";
import type { Priority } from "../protocol/priority.js";
import type { AttemptStopped } from "./attempt-stop.js";
import { ProgressReports } from "./progress-reports.js";
import type { TaskContext, TaskHandler } from "./task-handler.js";

/** `setTimeout` overflows at 24.8 days; a longer wait is made of days. */
const TIMER_MS_MAX = 86_400_000;

export interface AttemptSurroundings {
  readonly logger: Logger;
  /** Tells the orchestrator how far this attempt is. */
  readonly sendProgress: (attempt: Attempt, progress: unknown) => void;
  /** Takes an attempt into hand that this agent began by itself. */
  readonly adopt: (assignment: TaskAssignment, handler: TaskHandler) => void;
}

export class Attempt {
  readonly assignment: TaskAssignment;
  readonly traceparent: string | undefined;
  /** Monotonic. */
  readonly startedAt: number;
  /** Milliseconds from its arrival here until its time is up, null for no limit. */
  readonly remainingMs: number | null;
  readonly #surroundings: AttemptSurroundings;
  #stopped: AttemptStopped | null = null;
  #settled = false;
  #controller: AbortController | null = null;
  #deadlineTimer: NodeJS.Timeout | null = null;
  #progress: ProgressReports | null = null;
  #usage: Usage | undefined;

  constructor(
    assignment: TaskAssignment,
    given: { readonly sentAt: number; readonly startedAt: number; readonly traceparent: string | undefined },
    surroundings: AttemptSurroundings,
  ) {
    this.assignment = assignment;
    this.traceparent = given.traceparent;
    this.startedAt = given.startedAt;
    this.remainingMs = remainingMs(assignment.deadlineAt, given.sentAt);
    this.#surroundings = surroundings;
  }

  get stopped(): AttemptStopped | null {
    return this.#stopped;
  }

  get settled(): boolean {
    return this.#settled;
  }

  get usage(): Usage | undefined {
    return this.#usage;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#stopped !== null) this.#controller.abort(this.#stopped);
    }
    return this.#controller.signal;
  }

  /** The first reason stays: what followed from it is no reason of its own. */
  stop(reason: AttemptStopped): void {
    if (this.#stopped !== null || this.#settled) return;
    this.#stopped = reason;
    this.#clearDeadline();
    this.#controller?.abort(reason);
  }

  settle(): void {
    this.#settled = true;
    this.#clearDeadline();
    this.#progress?.stop();
  }

  /** Calls back once its time is up, `elapsedMs` of which have passed already. */
  watchDeadline(elapsedMs: number, onDeadline: () => void): void {
    if (this.remainingMs === null || this.#deadlineTimer !== null || this.#stopped !== null || this.#settled) return;
    this.#armDeadline(this.remainingMs - elapsedMs, onDeadline);
  }

  reportProgress(progress: unknown): void {
    if (this.#settled || this.#stopped !== null) return;
    this.#progress ??= new ProgressReports((value) => this.#surroundings.sendProgress(this, value));
    this.#progress.report(progress);
  }

  /** Ahead of an end that may be followed by another attempt. */
  flushProgress(): void {
    this.#progress?.flush();
  }

  addUsage(usage: Usage): void {
    const before = this.#usage;
    this.#usage = before === undefined ? usage : { ...addAmounts(before, usage), model: usage.model };
  }

  adopt(assignment: TaskAssignment, handler: TaskHandler): void {
    this.#surroundings.adopt(assignment, handler);
  }

  childLogger(): Logger {
    const { taskId, type, attempt } = this.assignment;
    return this.#surroundings.logger.child({ taskId, taskType: type, attempt });
  }

  #armDeadline(waitMs: number, onDeadline: () => void): void {
    const partMs = Math.min(Math.max(waitMs, 0), TIMER_MS_MAX);
    this.#deadlineTimer = setTimeout(() => {
      if (waitMs > partMs) this.#armDeadline(waitMs - partMs, onDeadline);
      else onDeadline();
    }, partMs);
  }

  #clearDeadline(): void {
    if (this.#deadlineTimer !== null) clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = null;
  }
}

/**
 * Both instants are readings of the orchestrator's clock, taken when it sent the assignment, so their difference holds
 * whatever this machine's clock says. The time of travel is not counted: the agent gives up a moment after the
 * orchestrator does, never before it.
 */
function remainingMs(deadlineAt: number | undefined, sentAt: number): number | null {
  return deadlineAt === undefined ? null : Math.min(Math.max(deadlineAt - sentAt, 0), DURATION_MS_MAX);
}

/** Methods are arrow functions, so that a handler may take the context apart: `({ signal, progress }, input) => …`. */
export class AttemptContext implements TaskContext {
  readonly taskId: string;
  readonly type: string;
  readonly attempt: number;
  readonly token: string;
  readonly priority: Priority;
  readonly deadlineAt: number | undefined;
  readonly dependencyResults: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly traceparent: string | undefined;
  readonly heartbeatDetails: unknown;
  readonly workflow: TaskContext["workflow"];
  readonly #attempt: Attempt;
  #log: Logger | undefined;

  constructor(attempt: Attempt, now: number) {
    const { assignment } = attempt;
    this.taskId = assignment.taskId;
    this.type = assignment.type;
    this.attempt = assignment.attempt;
    this.token = assignment.token;
    this.priority = assignment.priority;
    this.deadlineAt = attempt.remainingMs === null ? undefined : now + attempt.remainingMs;
    this.dependencyResults = assignment.dependencyResults;
    this.metadata = assignment.metadata;
    this.traceparent = attempt.traceparent;
    this.heartbeatDetails = assignment.heartbeatDetails;
    this.workflow = assignment.workflow;
    this.#attempt = attempt;
  }

  /** For workflow workers: what was assigned, as it came. */
  get assignment(): TaskAssignment {
    return this.#attempt.assignment;
  }

  /** For workflow workers: an attempt of a step that was begun without being assigned. */
  adopt(assignment: TaskAssignment, handler: TaskHandler): void {
    this.#attempt.adopt(assignment, handler);
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  get log(): Logger {
    this.#log ??= this.#attempt.childLogger();
    return this.#log;
  }

  readonly progress = (value: unknown): void => {
    assertProgress(this.taskId, value);
    this.#attempt.reportProgress(value);
  };

  readonly reportUsage = (usage: Usage): void => {
    const parsed = parseMessage(Usage, usage);
    if (!parsed.ok) {
      throw new PerdureError(
        "INVALID_MESSAGE",
        `the usage reported for task ${this.taskId} is not one: ${parsed.failure.message}`,
        {
          details: { taskId: this.taskId, fields: parsed.failure.fields },
        },
      );
    }
    this.#attempt.addUsage(parsed.value);
  };
}

function assertProgress(taskId: string, value: unknown): void {
  const bytes = jsonBytes(value);
  if (bytes === null) {
    throw new PerdureError("INVALID_MESSAGE", `the progress reported for task ${taskId} is not JSON`, {
      details: { taskId },
    });
  }
  if (bytes > FIELD_BYTES_MAX) {
    throw new PerdureError(
      "PAYLOAD_TOO_LARGE",
      `the progress reported for task ${taskId} has ${bytes} bytes of JSON; it may have ${FIELD_BYTES_MAX}. Report less, or a reference.`,
      { details: { taskId, bytes, bytesMax: FIELD_BYTES_MAX } },
    );
  }
}

/** Null for what has no JSON. */
function jsonBytes(value: unknown): number | null {
  try {
    const json: string | undefined = JSON.stringify(value);
    return json === undefined ? null : Buffer.byteLength(json);
  } catch {
    return null;
  }
}
