/**
 * Builds the bodies of results. An output is turned into JSON once, to measure it, and spliced into the message as it
 * is: at ten thousand results a second, encoding it again would be felt.
 */
import { randomUUID } from "node:crypto";
import type { TaskResult } from "../protocol/agent-message.js";
import type { Failure } from "../protocol/failure.js";
import { AnsweredActivation } from "./answered-activation.js";
import { failureOf, TaskFailure } from "./task-failure.js";

/** A result without what it came to. */
export type ResultHead = Omit<TaskResult, "status" | "output" | "error">;

export function completedBody(head: ResultHead, output: unknown, outputBytesMax: number): string {
  if (output instanceof AnsweredActivation) return answeredBody(head, output);
  const json = jsonOf(output, outputBytesMax);
  if (typeof json === "object") return failedBody(head, json);
  const message = bodyOf({ ...head, status: "completed" });
  // `message` ends with the braces of the result and of the envelope.
  return json === undefined ? message : `${message.slice(0, -2)},"output":${json}}}`;
}

/** An answer may take most of a message: its fields have limits of their own. */
const ANSWER_BYTES_MAX = 640 * 1024;

function answeredBody(head: ResultHead, { answer }: AnsweredActivation): string {
  const body = bodyOf({ ...head, status: "completed", activation: answer });
  const bytes = Buffer.byteLength(body);
  if (bytes <= ANSWER_BYTES_MAX) return body;
  const message = `what the workflow asked for in one go takes ${bytes} bytes and at most ${ANSWER_BYTES_MAX} are taken. Start less at a time, or pass references.`;
  return failedBody(head, { type: "PAYLOAD_TOO_LARGE", message });
}

export function failedBody(head: ResultHead, error: Failure): string {
  return bodyOf({ ...head, status: "failed", error });
}

export function cancelledBody(head: ResultHead): string {
  return bodyOf({ ...head, status: "cancelled" });
}

function bodyOf(result: TaskResult): string {
  return JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), result });
}

/** The output's JSON, undefined for no output, or the failure that it is instead. Both kinds would fail again. */
function jsonOf(output: unknown, bytesMax: number): string | undefined | Failure {
  if (output === undefined) return undefined;
  let json: string | undefined;
  try {
    json = JSON.stringify(output);
  } catch (error) {
    return failureOf(
      new TaskFailure("the task returned what is not JSON", {
        type: "TASK_OUTPUT_INVALID",
        nonRetryable: true,
        cause: error,
      }),
    );
  }
  if (json === undefined) {
    return {
      type: "TASK_OUTPUT_INVALID",
      message: `the task returned a ${typeof output}, which is not JSON`,
      nonRetryable: true,
    };
  }
  // A character takes three bytes at most (a pair of surrogates four), so most outputs need no counting.
  if (json.length * 3 > bytesMax) {
    const bytes = Buffer.byteLength(json);
    if (bytes > bytesMax) {
      return {
        type: "PAYLOAD_TOO_LARGE",
        message: `the task returned ${bytes} bytes of JSON; an output may have ${bytesMax}. Store it elsewhere and return a reference.`,
        nonRetryable: true,
      };
    }
  }
  return json;
}
