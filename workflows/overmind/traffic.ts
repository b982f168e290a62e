/** What the platform's producers say in the demonstration, and what must come of it. The same each time. */
import type { ConsolidatedEvent, LLMRequest, RoutingDecision } from "./messages.js";
import type { Producers } from "./producers.js";

const models = [
  { model: "atlas-large", provider: "atlas", cost: 0.03, latency: 1_800, share: 2 },
  { model: "atlas-small", provider: "atlas", cost: 0.002, latency: 350, share: 5 },
  { model: "borealis", provider: "northern", cost: 0.012, latency: 900, share: 3 },
] as const;
type Model = (typeof models)[number];

export interface Traffic {
  readonly requests: number;
  readonly memories: number;
  /** What must come of it. */
  readonly expected: {
    readonly decisions: number;
    readonly fallbacks: number;
    readonly llmRequests: number;
    readonly cost: number;
  };
  /** Everything, as fast as the server takes it, and every tenth message twice, which must make no difference. */
  publish(producers: Producers): Promise<void>;
}

/** Publishes under way at a time. */
const WINDOW = 256;
/** Every so many requests, the model that was selected does not do. */
const FALLBACK_EVERY = 16;
/** Every so many messages are told twice, as producers do that got no answer in time. */
const AGAIN_EVERY = 10;

export function traffic(requests: number, memories: number, startAt: number): Traffic {
  const said: ((producers: Producers) => Promise<unknown>)[] = [];
  let cost = 0;
  for (let number = 0; number < requests; number += 1) {
    const model = modelOf(number);
    const decision = decisionOf(number, model, startAt + number);
    said.push(({ decided }) => decided("selected", decision));
    if (isFallback(number))
      said.push(({ decided }) => decided("fallback", decisionOf(number, models[1], startAt + number)));
    said.push(({ decided }) => decided("cost", decision));
    cost += decision.estimatedCost;
    for (const status of ["started", "completed"] as const) {
      said.push(({ requested }) => requested(requestOf(number, model, status, startAt + number)));
    }
  }
  for (let number = 0; number < memories; number += 1) {
    said.push(({ remembered }) => remembered(consolidatedOf(number, startAt + number)));
  }
  const fallbacks = Array.from({ length: requests }, (_, number) => number).filter(isFallback).length;
  return {
    requests,
    memories,
    expected: { decisions: 2 * requests + fallbacks, fallbacks, llmRequests: 2 * requests, cost },
    publish: async (producers) => {
      const all = said.flatMap((say, index) => (index % AGAIN_EVERY === 0 ? [say, say] : [say]));
      for (let from = 0; from < all.length; from += WINDOW) {
        await Promise.all(all.slice(from, from + WINDOW).map((say) => say(producers)));
      }
    },
  };
}

/** Of ten requests in a row, each model has its share. */
function modelOf(number: number): Model {
  let place = (number * 7) % models.reduce((sum, { share }) => sum + share, 0);
  for (const model of models) {
    place -= model.share;
    if (place < 0) return model;
  }
  return models[0];
}

const isFallback = (number: number): boolean => number % FALLBACK_EVERY === 3;

/** Between half and one and a half, spread evenly. */
const spread = (number: number): number => 0.5 + ((number * 37) % 100) / 100;

function decisionOf(number: number, { model, cost, latency }: Model, timestamp: number): RoutingDecision {
  return {
    requestId: `request-${number}`,
    timestamp,
    selectedModel: model,
    reason: (["cost-optimized", "performance", "balanced"] as const)[number % 3] ?? "balanced",
    estimatedCost: cost * spread(number),
    estimatedLatency: latency * spread(number),
    alternatives: models
      .filter((other) => other.model !== model)
      .map((other) => ({ model: other.model, cost: other.cost, latency: other.latency })),
  };
}

function requestOf(
  number: number,
  { model, provider, cost, latency }: Model,
  status: "started" | "completed",
  timestamp: number,
): LLMRequest {
  const requestId = `request-${number}`;
  if (status === "started") {
    return {
      requestId,
      timestamp,
      provider,
      model,
      tokens: { prompt: 0, completion: 0, total: 0 },
      cost: 0,
      latency: 0,
      status,
    };
  }
  const prompt = 200 + (number % 300);
  const completion = 50 + (number % 100);
  return {
    requestId,
    timestamp,
    provider,
    model,
    tokens: { prompt, completion, total: prompt + completion },
    cost: cost * spread(number),
    latency: latency * spread(number),
    status,
  };
}

function consolidatedOf(number: number, timestamp: number): ConsolidatedEvent {
  return {
    eventId: `event-${number}`,
    timestamp,
    memoryId: `memory-${number}`,
    eventType: "consolidated",
    tier: "short-term",
    importance: (number % 10) / 10,
    accessCount: number % 5,
  };
}
