/** What the commit loop lets go once the facts before it are on disk: the core's effects, and answers to requests. */
import type { Respond } from "../jetstream/service-endpoint.js";
import type { Effect } from "../machines/effect.js";

export type { Respond };

/** The answer to a request that the decision came from, or that read the state the decision left. */
export interface AnswerRequest {
  readonly kind: "answerRequest";
  readonly respond: Respond;
  readonly body: string;
  readonly errorCode?: string;
}

export type Release = Effect | AnswerRequest;
export type ReleaseKind = Release["kind"];
