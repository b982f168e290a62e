/**
 * What is said on the platform's subjects. Field names and enum values are contracts with members that are not ours.
 * Costs are US dollars and latencies milliseconds. Producers are in many languages: `timestamp` is epoch milliseconds or
 * ISO 8601, with or without an offset, and what may be left out may be null as well.
 */
import { z } from "zod";

const Timestamp = z.union([z.number().min(0), z.iso.datetime({ offset: true, local: true })]);
/** What one message says is added up, and figures must outlive a producer that writes its largest number for "unknown". */
const Amount = z.number().min(0).max(1e12);
const Count = z.int().min(0);
const Name = z.string().min(1);

export const RoutingDecision = z.object({
  requestId: Name,
  timestamp: Timestamp,
  selectedModel: Name,
  reason: z.enum(["cost-optimized", "performance", "balanced"]),
  estimatedCost: Amount,
  estimatedLatency: Amount,
  alternatives: z.array(z.object({ model: Name, cost: z.number().min(0), latency: z.number().min(0) })),
});
export type RoutingDecision = z.infer<typeof RoutingDecision>;

export const Tier = z.enum(["short-term", "working", "long-term"]);
export type Tier = z.infer<typeof Tier>;

export const MemoryEvent = z.object({
  eventId: Name,
  timestamp: Timestamp,
  memoryId: Name,
  eventType: z.enum(["added", "consolidated", "retrieved", "expired"]),
  tier: Tier,
  importance: z.number().nullish(),
  accessCount: Count.nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});
export type MemoryEvent = z.infer<typeof MemoryEvent>;

/** What the consolidation consumer takes; another kind on that subject is somebody's mistake. */
export const ConsolidatedEvent = MemoryEvent.extend({ eventType: z.literal("consolidated") });
export type ConsolidatedEvent = z.infer<typeof ConsolidatedEvent>;

export const LLMRequest = z.object({
  requestId: Name,
  timestamp: Timestamp,
  provider: Name,
  model: Name,
  tokens: z.object({ prompt: Count, completion: Count, total: Count }),
  cost: Amount,
  latency: Amount,
  status: z.enum(["started", "completed", "failed"]),
  error: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
});
export type LLMRequest = z.infer<typeof LLMRequest>;

/** The kinds of routing decisions: each has its subject, and the message does not repeat it. */
export const routingSubjects = {
  selected: "routing.model.selected",
  fallback: "routing.fallback.triggered",
  cost: "routing.cost.calculated",
} as const;
export type RoutingKind = keyof typeof routingSubjects;

export function memorySubject(eventType: MemoryEvent["eventType"]): string {
  return `memory.${eventType}`;
}

export function llmSubject(status: LLMRequest["status"]): string {
  return `llm.request.${status}`;
}

/** Epoch milliseconds. A time without an offset is UTC. */
export function instantOf({ timestamp }: { readonly timestamp: z.infer<typeof Timestamp> }): number {
  if (typeof timestamp === "number") return timestamp;
  return Date.parse(/(Z|[+-]\d\d:\d\d)$/.test(timestamp) ? timestamp : `${timestamp}Z`);
}
