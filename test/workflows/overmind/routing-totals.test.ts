import { expect, it } from "vitest";
import { routingSubjects } from "../../../workflows/overmind/messages.js";
import {
  type CountedMessage,
  noTotals,
  RoutingTotals,
  reportOf,
  withMessages,
  withStream,
} from "../../../workflows/overmind/routing-totals.js";
import { givenDecision } from "./given.js";

const { selected, fallback, cost } = routingSubjects;
const messages: readonly CountedMessage[] = [
  { sequence: 1, subject: selected, body: givenDecision() },
  {
    sequence: 2,
    subject: selected,
    body: givenDecision({ requestId: "r-2", reason: "performance", estimatedLatency: 400 }),
  },
  { sequence: 3, subject: fallback, body: givenDecision({ selectedModel: "small", estimatedLatency: 300 }) },
  { sequence: 4, subject: cost, body: givenDecision() },
  { sequence: 5, subject: "routing.model.retired", body: givenDecision() },
];

it("takes each figure from the subject that is about it", () => {
  const report = reportOf(withMessages(noTotals, messages));

  expect(report).toMatchObject({ messages: 5, fallbackRate: 0.5, cost: 0.25 });
  expect(report.models).toMatchObject([
    { model: "large", selected: 2, fallbacks: 0, cost: 0.25, byReason: { balanced: 1, performance: 1 } },
    { model: "small", selected: 0, fallbacks: 1, cost: 0, byReason: {} },
  ]);
  expect(report.models[0]?.latency.p95).toBeCloseTo(800, -2);
  expect(reportOf(noTotals)).toEqual({ messages: 0, duplicates: 0, fallbackRate: null, cost: 0, models: [] });
});

it("is the same however often and in whichever order messages come", () => {
  const once = withMessages(noTotals, messages);
  const again = withMessages(withMessages(noTotals, messages.slice(2)), [...messages, ...messages]);

  expect(reportOf(again)).toEqual(reportOf(once));
  expect(again.counted).toEqual([[1, 5]]);
  // As it is stored.
  expect(RoutingTotals.parse(JSON.parse(JSON.stringify(once)))).toEqual(once);
});

it("counts once what a producer tells twice, which a counter of sequences would not see", () => {
  const twice = messages.map((message) => ({ ...message, sequence: message.sequence + 10 }));
  const totals = withMessages(withMessages(noTotals, messages), twice);

  expect(totals).toMatchObject({ messages: 5, duplicates: 5 });
  expect(reportOf(totals).models).toEqual(reportOf(withMessages(noTotals, messages)).models);
});

it("counts from the beginning again where the stream was made anew, and only there", () => {
  const counted = withMessages(withStream(noTotals, 1_000), messages);
  const anew = messages.map(({ sequence, subject, body }) => ({
    sequence,
    subject,
    body: { ...body, requestId: `anew-${body.requestId}` },
  }));

  expect(withMessages(withStream(counted, 1_000), anew).messages).toBe(5);
  expect(withMessages(withStream(counted, 2_000), anew)).toMatchObject({ messages: 10, counted: [[1, 5]] });
});

it.each(["__proto__", "m".repeat(500_000)])(
  "counts what cannot head a line under another name: %.12s",
  (selectedModel) => {
    const totals = withMessages(noTotals, [{ sequence: 1, subject: selected, body: givenDecision({ selectedModel }) }]);
    const stored = JSON.stringify(totals);

    expect(stored.length).toBeLessThan(1_000);
    expect(reportOf(RoutingTotals.parse(JSON.parse(stored))).models).toMatchObject([{ model: "(other)", selected: 1 }]);
  },
);

it("stays in one stored value, whatever producers call their models", () => {
  const flood = Array.from({ length: 20_000 }, (_, index) => ({
    sequence: index + 1,
    subject: selected,
    body: givenDecision({
      requestId: `r-${index}`,
      selectedModel: `model-${index % 500}`,
      estimatedLatency: 1.01 ** (index % 2_000),
    }),
  }));
  const totals = withMessages(noTotals, flood);

  expect(Object.keys(totals.models)).toHaveLength(101);
  expect(totals.models["(other)"]?.selected).toBe(16_000);
  expect(JSON.stringify(totals).length).toBeLessThan(768 * 1024);
});
