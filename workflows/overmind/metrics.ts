/** The metrics consumer: every request to a language model into the tally that Prometheus is shown. */
import type { Consumption, Fleet } from "perdure/bridges";
import type { LlmTally } from "./llm-tally.js";
import { LLMRequest } from "./messages.js";

export function startMetrics(fleet: Fleet, tally: LlmTally): Promise<Consumption> {
  return fleet.consume({
    stream: "llm-requests",
    consumer: "metrics-consumer",
    schema: LLMRequest,
    ack: "onHandled",
    maxConcurrent: 100,
    handle: ({ body }) => tally.count(body),
  });
}
