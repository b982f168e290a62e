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
import { type Logger, SampledLog } from "../logger.js";
import type { ActivationAnswer } from "../protocol/activation.js";
import { TaskResult, TaskResultMessage } from "../protocol/agent-message.js";
import { decodeMessage, decodeRequest } from "../protocol/decode.js";
import type { Failure } from "../protocol/failure.js";
import type { AgentId } from "../protocol/ids.js";
import { jsonBytes, mayExceed } from "../protocol/json-bytes.js";
import {
  ANSWER_BYTES_MAX,
  COMMAND_BYTES_MAX,
  FAILURE_MESSAGE_MAX,
  FAILURE_STACK_MAX,
  FIELD_BYTES_MAX,
} from "../protocol/limits.js";
import type { Parsed } from "../protocol/parse.js";
import type { Subjects } from "../protocol/subjects.js";
import type { CommitLoop } from "./commit-loop.js";
import { OK, type ProcessTally } from "./process-tally.js";

export interface ResultIntakeOptions {
  readonly core: Core;
  readonly loop: CommitLoop;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tally: ProcessTally;
}

export class ResultIntake {
  readonly #options: ResultIntakeOptions;
  readonly #unreadable: SampledLog;
  readonly #conflicting: SampledLog;

  constructor(options: ResultIntakeOptions) {
    this.#options = options;
    const { logger } = options;
    this.#unreadable = new SampledLog(logger, "warn", "a result that cannot be read was dropped");
    this.#conflicting = new SampledLog(logger, "warn", "two different results for one attempt; the first holds");
  }

  handle({ subject, sequence, storedAt, data }: StoredResult): void {
    const { core, loop, subjects, clock, tally } = this.#options;
    // Before the decision, so that the flush which holds it also says up to where the stream was read.
    loop.noteResult({ sequence, storedAt });
    const sender = subjects.agentIdOf(subject);
    const read = readResult(data);
    if (!read.ok || sender === null) {
      const why = read.ok ? "the agent id in the subject is not usable" : read.failure.message;
      tally.results.add("INVALID_MESSAGE");
      this.#unreadable.write({ subject, sequence, reason: why });
      core.reportError("INVALID_MESSAGE", `the result at sequence ${sequence} on ${subject} was dropped: ${why}`);
      return;
    }
    const result = read.value;
    const verdict = core.result(sender, result, { at: clock.now(), monotonicAt: clock.monotonicNow() });
    tally.results.add(verdict.kind === "refused" ? verdict.code : verdict.kind === "duplicate" ? "duplicate" : OK);
    if (verdict.kind === "refused") this.#noteRefused(verdict.code, sender, result, sequence);
  }

  /** A late result is what the loss of an agent brings with it; two that differ are somebody's mistake. */
  #noteRefused(code: string, agentId: AgentId, { taskId, attempt }: TaskResult, sequence: number): void {
    const fields = { taskId, attempt, agentId, code, sequence };
    if (code === "RESULT_CONFLICT") this.#conflicting.write(fields);
    else this.#options.logger.debug(fields, "a result was refused");
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
