/**
 * Results from their stream -> events of the core, in the order of the stream, each with its place recorded.
 *
 * A result is an agent's last word on an attempt. So one that cannot be taken as it is, but says whose attempt it is
 * about, fails that attempt: dropped, it would leave the task running for ever.
 */
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import type { StoredResult } from "../jetstream/results-reader.js";
import { type Logger, SampledLog } from "../logger.js";
import type { TaskResult } from "../protocol/agent-message.js";
import type { AgentId } from "../protocol/ids.js";
import type { Subjects } from "../protocol/subjects.js";
import type { CommitLoop } from "./commit-loop.js";
import { OK, type ProcessTally } from "./process-tally.js";
import { readResult } from "./read-result.js";

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
