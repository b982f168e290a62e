/** Valid messages of the platform; each test says what matters to it. */
import type { ConsolidatedEvent, LLMRequest, RoutingDecision } from "../../../workflows/overmind/messages.js";

const at = 1_771_813_755_000;

export function givenDecision(given: Partial<RoutingDecision> = {}): RoutingDecision {
  return {
    requestId: "r-1",
    timestamp: at,
    selectedModel: "large",
    reason: "balanced",
    estimatedCost: 0.25,
    estimatedLatency: 800,
    alternatives: [{ model: "small", cost: 0.125, latency: 300 }],
    ...given,
  };
}

export function givenConsolidated(given: Partial<ConsolidatedEvent> = {}): ConsolidatedEvent {
  return { eventId: "e-1", timestamp: at, memoryId: "m-1", eventType: "consolidated", tier: "short-term", ...given };
}

export function givenRequest(given: Partial<LLMRequest> = {}): LLMRequest {
  return {
    requestId: "l-1",
    timestamp: at,
    provider: "acme",
    model: "large",
    tokens: { prompt: 100, completion: 20, total: 120 },
    cost: 0.5,
    latency: 750,
    status: "completed",
    ...given,
  };
}
