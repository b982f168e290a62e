/** What Prometheus is shown, read with a parser that is stricter than Prometheus. */
import { expect, it } from "vitest";
import { exposition } from "../../../workflows/overmind/exposition.js";
import { LlmTally } from "../../../workflows/overmind/llm-tally.js";
import { Exposition } from "../../support/exposition.js";
import { givenRequest } from "./given.js";

const hostile = 'a "quoted"\nname \\ with everything';

function shown(tally: LlmTally): Exposition {
  return new Exposition(exposition(tally.families()));
}

it("counts requests, tokens, costs and durations, of each message once", () => {
  const tally = new LlmTally();
  const zero = { tokens: { prompt: 0, completion: 0, total: 0 }, cost: 0, latency: 0 };
  tally.count(givenRequest({ ...zero, status: "started" }));
  tally.count(givenRequest());
  tally.count(givenRequest());
  tally.count(givenRequest({ status: "failed", latency: 90_000, error: "overloaded" }));
  const text = shown(tally);

  const labels = { provider: "acme", model: "large" };
  expect(text.value("overmind_llm_requests_total", { ...labels, status: "started" })).toBe(1);
  expect(text.value("overmind_llm_requests_total", { ...labels, status: "completed" })).toBe(1);
  expect(text.value("overmind_llm_requests_total", { ...labels, status: "failed" })).toBe(1);
  expect(text.value("overmind_llm_tokens_total", { ...labels, kind: "prompt" })).toBe(200);
  expect(text.value("overmind_llm_cost_dollars_total", labels)).toBe(1);
  expect(text.value("overmind_llm_request_duration_seconds_bucket", { ...labels, le: "1" })).toBe(1);
  expect(text.value("overmind_llm_request_duration_seconds_bucket", { ...labels, le: "60" })).toBe(1);
  expect(text.value("overmind_llm_request_duration_seconds_count", labels)).toBe(2);
  expect(text.value("overmind_llm_request_duration_seconds_sum", labels)).toBeCloseTo(90.75);
});

it("shows names as producers gave them, whatever is in them", () => {
  const tally = new LlmTally();
  tally.count(givenRequest({ model: hostile }));

  expect(shown(tally).value("overmind_llm_cost_dollars_total", { model: hostile })).toBe(0.5);
});

it("does not grow with the names that producers invent", () => {
  const tally = new LlmTally();
  for (let n = 1; n <= 1_000; n += 1) tally.count(givenRequest({ requestId: `l-${n}`, model: `m-${n}` }));
  const text = shown(tally);

  expect(text.families.get("overmind_llm_cost_dollars_total")?.samples).toHaveLength(201);
  expect(text.value("overmind_llm_cost_dollars_total", { model: "(other)" })).toBe(400);
});

it("is well-formed before the first request", () => {
  expect(shown(new LlmTally()).value("overmind_llm_cost_dollars_total")).toBeUndefined();
});
