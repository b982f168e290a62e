import type { Logger } from "../logger.js";
import type { Usage } from "../protocol/failure.js";
import type { Priority } from "../protocol/priority.js";

/** What a task's code is given besides its input. */
export interface TaskContext {
  readonly taskId: string;
  readonly type: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Names this attempt at this agent; useful as an idempotency key of one attempt, not of the task. */
  readonly token: string;
  readonly priority: Priority;
  /** When this attempt times out, epoch milliseconds of this machine's clock. */
  readonly deadlineAt: number | undefined;
  /** Outputs of the tasks this one depends on, by taskId. */
  readonly dependencyResults: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What the attempt before this one last passed to `progress`; undefined where there was none. */
  readonly heartbeatDetails: unknown;
  /** The workflow that asked for this task, if one did. */
  readonly workflow: { readonly workflowId: string; readonly runId: string } | undefined;
  /** W3C trace context of the submission. */
  readonly traceparent: string | undefined;
  /**
   * Aborts when this attempt should stop; its reason is an `AttemptStopped`. Code that stops because of it must throw
   * (`signal.throwIfAborted()`): what returns normally counts as completed, also after a cancellation.
   */
  readonly signal: AbortSignal;
  /**
   * Tells the orchestrator how far the task is. Frequent calls are thinned out to the latest value.
   * @throws PerdureError PAYLOAD_TOO_LARGE, or INVALID_MESSAGE for what is not JSON.
   */
  progress(value: unknown): void;
  /**
   * Adds to what this attempt has cost; `model` is that of the last call.
   * @throws PerdureError INVALID_MESSAGE for figures that are negative or not numbers.
   */
  reportUsage(usage: Usage): void;
  /** Its lines carry agentId, taskId, taskType and attempt. */
  readonly log: Logger;
}

/**
 * The code of one task type. What it returns (any JSON value; undefined is none) is the task's output, what it throws
 * its failure. Declared as a method so that a handler may name the type of its input, which nothing has checked then:
 * `withInput` checks it.
 */
export type TaskHandler = { handle(context: TaskContext, input: unknown): unknown }["handle"];
