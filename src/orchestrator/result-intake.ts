/**
 * Results from their stream -> events of the core, in the order of the stream, each with its place recorded.
 *
 * A result is an agent's last word on an attempt. So one that cannot be taken as it is, but says whose attempt it is
 * about, fails that attempt: dropped, it would leave the task running for ever.
 */
import { z } from "zod";
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import type { StoredResult } from "../jetstream/results-reader.js";
import type { Logger } from "../logger.js";
import { TaskResult, TaskResultMessage } from "../protocol/agent-message.js";
import { decodeMessage, decodeRequest } from "../protocol/decode.js";
import type { Failure } from "../protocol/failure.js";
import { jsonBytes, mayExceed } from "../protocol/json-bytes.js";
import { FAILURE_MESSAGE_MAX, FAILURE_STACK_MAX, FIELD_BYTES_MAX } from "../protocol/limits.js";
import type { Parsed } from "../protocol/parse.js";
import type { Subjects } from "../protocol/subjects.js";
import type { CommitLoop } from "./commit-loop.js";

export interface ResultIntakeOptions {
  readonly core: Core;
  readonly loop: CommitLoop;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ResultIntake {
  readonly #options: ResultIntakeOptions;

  constructor(options: ResultIntakeOptions) {
    this.#options = options;
  }

  handle({ subject, sequence, storedAt, data }: StoredResult): void {
    const { core, loop, subjects, clock, logger } = this.#options;
    // Before the decision, so that the flush which holds it also says up to where the stream was read.
    loop.noteResult({ sequence, storedAt });
    const sender = subjects.agentIdOf(subject);
    const read = readResult(data);
    if (!read.ok || sender === null) {
      const why = read.ok ? "the agent id in the subject is not usable" : read.failure.message;
      logger.warn(
        { subject, sequence, why },
        "a result that cannot be read was dropped; its attempt goes on until it times out",
      );
      core.reportError("INVALID_MESSAGE", `the result at sequence ${sequence} on ${subject} was dropped: ${why}`);
      return;
    }
    const result = read.value;
    const verdict = core.result(sender, result, { at: clock.now(), monotonicAt: clock.monotonicNow() });
    if (verdict.kind === "refused") {
      logger.warn(
        { taskId: result.taskId, agentId: sender, attempt: result.attempt, code: verdict.code },
        verdict.message,
      );
    }
  }
}

/** Whose attempt a result is about, where the rest of it cannot be read. */
const ClaimMessage = z.object({
  result: TaskResult.pick({ taskId: true, attempt: true, token: true, agentId: true, incarnation: true }),
});

function readResult(data: Uint8Array): Parsed<TaskResult> {
  const parsed = decodeRequest(TaskResultMessage, data);
  if (parsed.ok) return { ok: true, value: bounded(parsed.value.result, data.byteLength) };
  const claim = decodeMessage(ClaimMessage, data);
  if (!claim.ok) return parsed;
  const error = { type: "INVALID_MESSAGE", message: `its result cannot be read: ${parsed.failure.message}` };
  return { ok: true, value: { ...claim.value.result, status: "failed", error } };
}

/** Keeps what an agent said within what a record can hold. */
function bounded(result: TaskResult, messageBytes: number): TaskResult {
  const { output, error, ...claim } = result;
  if (mayExceed(messageBytes, FIELD_BYTES_MAX)) {
    const bytes = jsonBytes(output);
    if (bytes > FIELD_BYTES_MAX) {
      const message = `its output has ${bytes} bytes of JSON and may have ${FIELD_BYTES_MAX}. Store it elsewhere and return a reference.`;
      return { ...claim, status: "failed", error: { type: "PAYLOAD_TOO_LARGE", message, nonRetryable: true } };
    }
  }
  return error === undefined ? result : { ...result, error: shortened(error) };
}

function shortened(error: Failure): Failure {
  const message = error.message.slice(0, FAILURE_MESSAGE_MAX);
  const stack = error.stack?.slice(0, FAILURE_STACK_MAX);
  return stack === undefined ? { ...error, message } : { ...error, message, stack };
}
