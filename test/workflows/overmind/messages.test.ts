import { expect, it } from "vitest";
import type { z } from "zod";
import { instantOf, LLMRequest, MemoryEvent, RoutingDecision } from "../../../workflows/overmind/messages.js";
import { givenConsolidated, givenDecision, givenRequest } from "./given.js";

it.each<[what: string, schema: z.ZodType, message: object]>([
  ["a decision", RoutingDecision, givenDecision()],
  [
    "a decision with an alternative whose latency nobody knows",
    RoutingDecision,
    givenDecision({ alternatives: [{ model: "small", cost: 0, latency: Number.MAX_VALUE }] }),
  ],
  ["a decision without alternatives", RoutingDecision, givenDecision({ alternatives: [] })],
  ["an event", MemoryEvent, givenConsolidated()],
  [
    "an event with everything",
    MemoryEvent,
    givenConsolidated({ importance: 0.5, accessCount: 3, metadata: { any: [1] } }),
  ],
  ["an event whose producer writes null", MemoryEvent, { ...givenConsolidated(), importance: null, metadata: null }],
  ["a request that failed", LLMRequest, givenRequest({ status: "failed", error: "overloaded" })],
])("takes %s as it is", (_what, schema, message) => {
  expect(schema.parse(JSON.parse(JSON.stringify(message)))).toEqual(message);
});

it.each<[what: string, schema: z.ZodType, message: object]>([
  ["a reason that is none", RoutingDecision, { ...givenDecision(), reason: "cost_optimized" }],
  ["a cost below zero", RoutingDecision, givenDecision({ estimatedCost: -1 })],
  ["a cost that no sum survives", RoutingDecision, givenDecision({ estimatedCost: 1e308 })],
  ["alternatives left out", RoutingDecision, { ...givenDecision(), alternatives: undefined }],
  ["a tier that is none", MemoryEvent, { ...givenConsolidated(), tier: "short_term" }],
  ["half an access", MemoryEvent, givenConsolidated({ accessCount: 0.5 })],
  ["an id that is empty", MemoryEvent, givenConsolidated({ memoryId: "" })],
  ["a status that is none", LLMRequest, { ...givenRequest(), status: "done" }],
  ["tokens without a total", LLMRequest, { ...givenRequest(), tokens: { prompt: 1, completion: 1 } }],
])("refuses %s", (_what, schema, message) => {
  expect(schema.safeParse(message).success).toBe(false);
});

it.each<[timestamp: number | string]>([
  [1_771_813_755_123],
  ["2026-02-23T02:29:15.123Z"],
  ["2026-02-23T03:29:15.123+01:00"],
  ["2026-02-23T02:29:15.123000"],
])("reads the time %s", (timestamp) => {
  const { timestamp: read } = RoutingDecision.parse(givenDecision({ timestamp }));

  expect(instantOf({ timestamp: read })).toBe(1_771_813_755_123);
});
