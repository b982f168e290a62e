/** Routing decisions and requests to models, from an old producer and ours, to what analysis, API and Prometheus show. */
import { expect, it } from "vitest";
import { z } from "zod";
import { readRoutingReport } from "../../../workflows/overmind/analytics.js";
import { LatestDecisions } from "../../../workflows/overmind/latest-decisions.js";
import { routingSubjects } from "../../../workflows/overmind/messages.js";
import { producersOn } from "../../../workflows/overmind/producers.js";
import type { RoutingReport } from "../../../workflows/overmind/routing-totals.js";
import { overmind } from "../../../workflows/overmind/topology.js";
import { Exposition } from "../../support/exposition.js";
import { untilHolds } from "../../support/until.js";
import { givenDecision, givenRequest } from "./given.js";
import { usePlatform } from "./platform.js";

const platform = usePlatform();

const publishRaw = (count: number, prefix: string): Promise<unknown> =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      platform.old.publish(routingSubjects.selected, givenDecision({ requestId: `${prefix}-${index}` })),
    ),
  );

const report = (): Promise<RoutingReport> => readRoutingReport(platform.bucket);

const untilCounted = (messages: number, deadlineMs = 20_000): Promise<RoutingReport> =>
  untilHolds(`${messages} decisions are counted`, report, (seen) => seen.messages >= messages, { deadlineMs });

async function get(url: string | null, path: string, method = "GET"): Promise<Response> {
  return await fetch(`${url}${path}`, { method });
}

it("counts each decision once by several workers, which come and go", async () => {
  const { messages: before } = await report();
  const first = await platform.start("analytics");
  const second = await platform.start("analytics");
  await publishRaw(1_500, "several");
  await untilCounted(before + 1);
  await first.stop();
  await publishRaw(700, "later");
  const counted = await untilCounted(before + 2_200);
  await second.stop();

  expect(counted.messages).toBe(before + 2_200);
  expect(await platform.fleet.lag("routing-decisions", "analytics-consumer")).toMatchObject({
    pending: 0,
    ackPending: 0,
  });
});

it("keeps a batch whose totals cannot be written, and counts it when that is mended", { timeout: 60_000 }, async () => {
  const analytics = await platform.start("analytics");
  const { messages: atFirst } = await report();
  await publishRaw(1, "whole");
  const { messages: before } = await untilCounted(atFirst + 1);
  const [stream_name, consumer] = ["routing-decisions", "analytics-consumer"];
  const { config } = await platform.old.consumer(stream_name, consumer);
  const configure = (changed: unknown) =>
    platform.old.ask(`$JS.API.CONSUMER.DURABLE.CREATE.${stream_name}.${consumer}`, { stream_name, config: changed });
  // Longer and longer is waited before each further delivery, and five are no other than two.
  await configure({ ...(config as object), max_deliver: 2 });
  const key = "$KV.mcp_overmind.analytics.routing";
  const totals = await platform.fleet.bucket("mcp_overmind", z.unknown()).get("analytics.routing");
  // Somebody writes over it.
  await platform.old.publish(key, "nonsense");
  await publishRaw(3, "damaged");
  const letters = await untilHolds(
    "the decisions are dead letters",
    () => platform.fleet.deadLetters.list({ consumer: "analytics-consumer" }),
    ({ length }) => length === 3,
    { deadlineMs: 30_000 },
  );
  await platform.old.publish(key, JSON.stringify(totals.value));
  for (const { id } of letters) await platform.fleet.deadLetters.replay(id);
  const counted = await untilCounted(before + 3);
  await analytics.stop();
  await configure(config);

  expect(letters.map(({ reason, attempts }) => [reason, attempts])).toEqual([
    ["failed", 2],
    ["failed", 2],
    ["failed", 2],
  ]);
  expect(letters[0]?.message).toContain("analytics.routing");
  expect(counted.messages).toBe(before + 3);
});

it("counts what comes into a stream that was made anew under its feet", { timeout: 60_000 }, async () => {
  const analytics = await platform.start("analytics");
  const { messages: atFirst } = await report();
  await publishRaw(20, "old-stream");
  const { messages: before } = await untilCounted(atFirst + 20);
  await platform.old.ask("$JS.API.STREAM.DELETE.routing-decisions");
  await platform.fleet.apply(overmind);
  await publishRaw(20, "new-stream");
  const { messages } = await untilCounted(before + 20);
  await analytics.stop();

  expect(messages).toBe(before + 20);
});

it("shows the metrics of those that are there while a member has not made its consumer", async () => {
  const api = await platform.start("api");
  await platform.old.ask("$JS.API.CONSUMER.DELETE.memory-events.consolidation-consumer");
  const answer = await get(api.url, "/metrics");
  const metrics = new Exposition(await answer.text());
  await platform.fleet.apply(overmind);
  await api.stop();

  expect(answer.status).toBe(200);
  expect(metrics.families.get("jetstream_consumer_num_pending")?.samples).toHaveLength(3);
  expect(metrics.value("jetstream_stream_total_messages", { stream_name: "memory-events" })).toBe(0);
});

it("keeps of large decisions as many as fit into an answer", () => {
  const decisions = new LatestDecisions();
  const alternatives = [{ model: "m".repeat(900_000), cost: 0, latency: 0 }];
  for (let index = 0; index < 60; index += 1) {
    const body = givenDecision({ requestId: `large-${index}`, alternatives });
    const stored = { stream: "routing-decisions", sequence: index, deliveryCount: 1, storedAt: 0 };
    decisions.keep({ body, subject: routingSubjects.selected, stored });
  }
  const shown = decisions.list({ limit: 1_000, model: undefined });

  expect(JSON.stringify(shown).length).toBeLessThanOrEqual(33 * 1024 * 1024);
  expect(shown.length).toBeGreaterThan(30);
  expect(shown[0]?.requestId).toBe("large-59");
});

it("shows decisions, totals, metrics and its health over HTTP", async () => {
  const api = await platform.start("api");
  const analytics = await platform.start("analytics");
  const { messages: before } = await report();
  const { consumers: _, ...streamBefore } = await platform.fleet.streamState("llm-requests");
  const producers = producersOn(platform.fleet);
  await platform.old.publish(routingSubjects.selected, givenDecision({ requestId: "http-1" }));
  await producers.decided("fallback", givenDecision({ requestId: "http-2", selectedModel: "small" }));
  await producers.decided("cost", givenDecision({ requestId: "http-1", estimatedCost: 0.5 }));
  for (const status of ["started", "completed"] as const) await producers.requested(givenRequest({ status }));
  // An old producer that got no answer.
  await platform.old.publish("llm.request.completed", givenRequest());
  await platform.old.publish(routingSubjects.selected, givenDecision({ requestId: "http-1" }));
  await platform.old.publish("llm.request.completed", "rubbish");
  await untilCounted(before + 3);
  const metrics = await untilHolds(
    "the metrics are up to date",
    async () => new Exposition(await (await get(api.url, "/metrics")).text()),
    (text) =>
      text.value("overmind_llm_requests_total", { status: "completed" }) === 1 &&
      text.value("overmind_dead_letters") === 1 &&
      // The server of decisions has those of the other tests to read first.
      text.value("jetstream_consumer_num_pending", { consumer_name: "api-consumer" }) === 0 &&
      ["api-consumer", "metrics-consumer"].every(
        (consumer_name) => text.value("jetstream_consumer_num_ack_pending", { consumer_name }) === 0,
      ),
  );

  const { decisions } = (await (await get(api.url, "/decisions?limit=3")).json()) as { decisions: unknown[] };
  expect(decisions).toMatchObject([
    { ...givenDecision({ requestId: "http-1", estimatedCost: 0.5 }), subject: "routing.cost.calculated" },
    { requestId: "http-2", subject: "routing.fallback.triggered" },
    { requestId: "http-1", subject: "routing.model.selected" },
  ]);
  const small = await (await get(api.url, "/decisions?model=small")).json();
  expect(small).toMatchObject({ decisions: [{ requestId: "http-2" }] });
  expect(await report()).toMatchObject({ duplicates: 1 });
  expect(await (await get(api.url, "/analytics")).json()).toEqual(await report());
  expect(await (await get(api.url, "/healthz")).json()).toMatchObject({ status: "ok" });

  const { messages } = await platform.fleet.streamState("llm-requests");
  expect(messages).toBe(streamBefore.messages + 4);
  expect(metrics.value("jetstream_stream_total_messages", { stream_name: "llm-requests" })).toBe(messages);
  const labels = { stream_name: "llm-requests", consumer_name: "metrics-consumer" };
  expect(metrics.value("jetstream_consumer_num_pending", labels)).toBe(0);
  expect(metrics.value("jetstream_consumer_delivered_stream_seq", labels)).toBe(messages);
  expect(metrics.value("jetstream_consumer_delivered_consumer_seq", labels)).toBe(messages);
  expect(metrics.families.get("jetstream_consumer_num_pending")?.samples).toHaveLength(4);

  const statuses = await Promise.all([
    get(api.url, "/"),
    get(api.url, "/decisions?limit=0"),
    get(api.url, "/decisions?limits=5"),
    get(api.url, "//"),
    get(api.url, "/decisions", "POST"),
  ]);
  expect(statuses.map(({ status }) => status)).toEqual([404, 400, 400, 404, 405]);
  await api.stop();
  await analytics.stop();
});
