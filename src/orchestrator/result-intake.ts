/** Results from their stream -> events of the core, in the order of the stream, each with its place recorded. */
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import type { Logger } from "../logger.js";
import { TaskResultMessage } from "../protocol/agent-message.js";
import { decodeMessage } from "../protocol/decode.js";
import type { Subjects } from "../protocol/subjects.js";
import type { CommitLoop } from "./commit-loop.js";

/** A result as the stream delivers it. */
export interface StoredResult {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
}

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

  handle({ subject, sequence, data }: StoredResult): void {
    const { core, loop, subjects, clock, logger } = this.#options;
    // Before the decision, so that the flush which holds it also says up to where the stream was read.
    loop.noteResult(sequence);
    const sender = subjects.agentIdOf(subject);
    const parsed = decodeMessage(TaskResultMessage, data);
    if (!parsed.ok || sender === null) {
      const why = parsed.ok ? "the agent id in the subject is not usable" : parsed.failure.message;
      logger.warn({ subject, sequence, why }, "a result that cannot be read was dropped; its attempt goes on until it times out");
      core.reportError("INVALID_MESSAGE", `the result at sequence ${sequence} on ${subject} was dropped: ${why}`);
      return;
    }
    const { result } = parsed.value;
    const verdict = core.result(sender, result, { at: clock.now(), monotonicAt: clock.monotonicNow() });
    if (verdict.kind === "refused") {
      logger.warn({ taskId: result.taskId, agentId: sender, attempt: result.attempt, code: verdict.code }, verdict.message);
    }
  }
}
