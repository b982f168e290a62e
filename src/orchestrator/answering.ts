/**
 * How requests are answered. Every answer is let go through the commit loop, so it never speaks of what is not on disk.
 * Only a leader with a fresh lease answers: others let the client ask again.
 */
import type { z } from "zod";
import type { Refusal } from "../core/admission.js";
import type { Message } from "../jetstream/connection.js";
import type { Endpoint, Respond } from "../jetstream/service-endpoint.js";
import { type Logger, SampledLog } from "../logger.js";
import { decodeRequest } from "../protocol/decode.js";
import type { CommitLoop } from "./commit-loop.js";
import type { ProcessTally } from "./process-tally.js";
import type { Stamp } from "./run-effects.js";

export interface AnsweringOptions {
  readonly loop: CommitLoop;
  readonly stamp: Stamp;
  readonly logger: Logger;
  readonly tally: ProcessTally;
  /** Whether this process may still speak as the leader. */
  readonly mayAnswer: () => boolean;
}

export class Answering {
  readonly #options: AnsweringOptions;

  readonly #failed: SampledLog;

  constructor(options: AnsweringOptions) {
    this.#options = options;
    this.#failed = new SampledLog(options.logger, "error", "a request could not be handled");
  }

  /** An endpoint that refuses what the schema does not take, and answers what `handle` throws. */
  endpoint<S extends z.ZodType>(
    name: string,
    subject: string,
    schema: S,
    handle: (request: z.infer<S>, respond: Respond, message: Message) => void | Promise<void>,
  ): Endpoint {
    return {
      name,
      subject,
      handle: (message, send) => {
        const respond: Respond = (body, errorCode) => {
          this.#options.tally.countAnswer(name, errorCode);
          send(body, errorCode);
        };
        if (!this.#options.mayAnswer()) {
          refuseNotReady(respond, this.#options.stamp);
          return;
        }
        const parsed = decodeRequest(schema, message.data);
        if (!parsed.ok) {
          const { code, message: why, fields } = parsed.failure;
          this.refuse(respond, { code, message: `request on ${subject} refused: ${why}`, details: { fields } });
          return;
        }
        const failed = (cause: unknown): void => {
          this.#failed.write({ err: cause, request: name });
          this.refuse(respond, {
            code: "INTERNAL",
            message: `the orchestrator could not handle the request on ${subject}; whether it took effect is unknown. Ask again with the same ids.`,
          });
        };
        try {
          handle(parsed.value, respond, message)?.catch(failed);
        } catch (cause) {
          failed(cause);
        }
      },
    };
  }

  answer(respond: Respond, fields: object): void {
    this.#options.loop.releaseAfter({ kind: "answerRequest", respond, body: this.#options.stamp(fields) });
  }

  refuse(respond: Respond, error: Refusal): void {
    const body = this.#options.stamp({ error });
    this.#options.loop.releaseAfter({ kind: "answerRequest", respond, body, errorCode: error.code });
  }
}

/** Said at once and not through the loop: it speaks of no state, and the loop of one who does not lead may not move. */
export function refuseNotReady(respond: Respond, stamp: Stamp): void {
  const code = "NOT_READY";
  const message = "this orchestrator does not lead any more, or is not sure to; it answered nothing. Ask again.";
  respond(stamp({ error: { code, message } }), code);
}
