/** Turns what a program submits into the bytes of a request, or says at once what an orchestrator would refuse. */
import { PerdureError } from "../errors.js";
import { FIELD_BYTES_MAX } from "../protocol/limits.js";
import { type ParseFailure, parseMessage } from "../protocol/parse.js";
import type { Priority } from "../protocol/priority.js";
import type { RetryPolicyInput } from "../protocol/retry-policy.js";
import { TaskSubmissionMessage } from "../protocol/task-message.js";

/** A task as a program asks for it. */
export interface NewTask {
  /** Default: the submission's message id. The same id with the same task is the same task, however often submitted. */
  readonly taskId?: string | undefined;
  readonly type: string;
  /** Any JSON value, up to 128 KiB. */
  readonly input?: unknown;
  /** Default "normal". */
  readonly priority?: Priority | undefined;
  /** Ids of tasks that must complete first; their outputs travel with this one. */
  readonly dependencies?: readonly string[] | undefined;
  /** An agent needs all of these. Default: the task's type. */
  readonly requiredCapabilities?: readonly string[] | undefined;
  /** Bounds one attempt. */
  readonly timeoutMs?: number | undefined;
  /** Bounds all attempts together. */
  readonly scheduleToCloseMs?: number | undefined;
  readonly retry?: RetryPolicyInput | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

export interface Submission {
  /** One task; a batch has `tasks`. */
  readonly task?: NewTask;
  readonly tasks?: readonly NewTask[];
  readonly messageId: string;
  readonly preferredAgentId?: string | undefined;
}

/** @throws PerdureError INVALID_ID, INVALID_PRIORITY, INVALID_MESSAGE or PAYLOAD_TOO_LARGE. Nothing was sent then. */
export function encodeSubmission(submission: Submission, timestamp: number, messageBytesMax: number): string {
  const parsed = parseMessage(TaskSubmissionMessage, { ...submission, timestamp });
  if (!parsed.ok) throw refused(parsed.failure);
  const message = parsed.value;
  const tasks = message.tasks ?? (message.task === undefined ? [] : [message.task]);
  for (const task of tasks) {
    if (typeof task.input === "function" || typeof task.input === "symbol") {
      throw new PerdureError(
        "INVALID_MESSAGE",
        `the input of a task of type "${task.type}" is a ${typeof task.input}, which is not JSON; nothing was sent`,
      );
    }
  }
  const body = jsonOf(message);
  // A character takes three bytes at most, so the fields of most submissions need no measuring.
  if (body.length * 3 > FIELD_BYTES_MAX) {
    for (const task of tasks) {
      assertFieldFits("input", task.input, task.taskId ?? message.messageId);
      assertFieldFits("metadata", task.metadata, task.taskId ?? message.messageId);
      assertFieldFits("update", task.update, task.taskId ?? message.messageId);
    }
    assertMessageFits(Buffer.byteLength(body), messageBytesMax, tasks.length);
  }
  return body;
}

function refused(failure: ParseFailure): PerdureError {
  const priority = failure.fields.some((field) => /^tasks?\.(\d+\.)?priority$/.test(field));
  const code = failure.code === "INVALID_MESSAGE" && priority ? "INVALID_PRIORITY" : failure.code;
  return new PerdureError(code, `the submission would be refused and was not sent: ${failure.message}`, {
    details: { fields: failure.fields },
  });
}

function jsonOf(message: unknown): string {
  try {
    return JSON.stringify(message);
  } catch (cause) {
    throw new PerdureError(
      "INVALID_MESSAGE",
      "the submission holds what is not JSON (a circle, or a bigint); nothing was sent",
      { cause },
    );
  }
}

function assertFieldFits(field: string, value: unknown, taskId: string): void {
  if (value === undefined) return;
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes <= FIELD_BYTES_MAX) return;
  throw new PerdureError(
    "PAYLOAD_TOO_LARGE",
    `the ${field} of task ${taskId} has ${bytes} bytes of JSON and may have ${FIELD_BYTES_MAX}; nothing was sent. Store it elsewhere and submit a reference.`,
    { details: { taskId, field, bytes, bytesMax: FIELD_BYTES_MAX } },
  );
}

function assertMessageFits(bytes: number, bytesMax: number, taskCount: number): void {
  if (bytes <= bytesMax) return;
  throw new PerdureError(
    "PAYLOAD_TOO_LARGE",
    `a submission of ${taskCount} tasks has ${bytes} bytes and the server takes ${bytesMax}; nothing was sent. Submit fewer at once, or smaller inputs.`,
    { details: { bytes, bytesMax, taskCount } },
  );
}
