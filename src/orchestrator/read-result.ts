/** What an agent handed in, kept within what a record and the journal can hold. */
import { z } from "zod";
import type { ActivationAnswer } from "../protocol/activation.js";
import { TaskResult, TaskResultMessage } from "../protocol/agent-message.js";
import { decodeMessage, decodeRequest } from "../protocol/decode.js";
import type { Failure } from "../protocol/failure.js";
import { jsonBytes, mayExceed } from "../protocol/json-bytes.js";
import {
  ANSWER_BYTES_MAX,
  COMMAND_BYTES_MAX,
  FAILURE_MESSAGE_MAX,
  FAILURE_STACK_MAX,
  FIELD_BYTES_MAX,
} from "../protocol/limits.js";
import type { Parsed } from "../protocol/parse.js";

/** Whose attempt a result is about, where the rest of it cannot be read. */
const ClaimMessage = z.object({
  result: TaskResult.pick({ taskId: true, attempt: true, token: true, agentId: true, incarnation: true }),
});

/** A result as it came in. One that cannot be read, but says whose attempt it is about, is that attempt's failure. */
export function readResult(data: Uint8Array): Parsed<TaskResult> {
  const parsed = decodeRequest(TaskResultMessage, data);
  if (parsed.ok) return { ok: true, value: bounded(parsed.value.result, data.byteLength) };
  const claim = decodeMessage(ClaimMessage, data);
  if (!claim.ok) return parsed;
  const error = { type: "INVALID_MESSAGE", message: `its result cannot be read: ${parsed.failure.message}` };
  return { ok: true, value: { ...claim.value.result, status: "failed", error } };
}

/** Keeps what an agent said within what a record can hold. */
function bounded(result: TaskResult, messageBytes: number): TaskResult {
  const { output, error, activation, ...claim } = result;
  const tooLarge = activation === undefined ? null : answerTooLarge(activation, messageBytes);
  if (tooLarge !== null) return { ...claim, status: "failed", error: { type: "PAYLOAD_TOO_LARGE", message: tooLarge } };
  if (mayExceed(messageBytes, FIELD_BYTES_MAX)) {
    const bytes = jsonBytes(output);
    if (bytes > FIELD_BYTES_MAX) {
      const message = `its output has ${bytes} bytes of JSON and may have ${FIELD_BYTES_MAX}. Store it elsewhere and return a reference.`;
      return { ...claim, status: "failed", error: { type: "PAYLOAD_TOO_LARGE", message, nonRetryable: true } };
    }
  }
  return error === undefined ? result : { ...result, error: shortened(error) };
}

/** What a worker asks for has to fit into the journal, each command with what follows from it. */
function answerTooLarge(answer: ActivationAnswer, messageBytes: number): string | null {
  if (!mayExceed(messageBytes, COMMAND_BYTES_MAX)) return null;
  const bytes = jsonBytes(answer);
  // The next run begins in the same journal message.
  const continues = answer.commands.some(({ type }) => type === "ContinueAsNew");
  const maximum = continues ? COMMAND_BYTES_MAX : ANSWER_BYTES_MAX;
  if (bytes > maximum) {
    return `the workflow's code asked for ${bytes} bytes of JSON at once and may ask for ${maximum}. Start less at a time, or store large values elsewhere and pass references.`;
  }
  const large = answer.commands.find((command) => jsonBytes(command) > COMMAND_BYTES_MAX);
  if (large === undefined) return null;
  return `a ${large.type} of the workflow's code has ${jsonBytes(large)} bytes of JSON and may have ${COMMAND_BYTES_MAX}. Store large values elsewhere and pass references.`;
}

function shortened(error: Failure): Failure {
  const message = error.message.slice(0, FAILURE_MESSAGE_MAX);
  const stack = error.stack?.slice(0, FAILURE_STACK_MAX);
  return stack === undefined ? { ...error, message } : { ...error, message, stack };
}
