/** What is done in the demonstration and what must come of it, each in the order of the performance. */
import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "perdure/bridges";
import { readRoutingReport } from "./analytics.js";
import { MemoryStore } from "./memory-store.js";
import { producersOn } from "./producers.js";
import type { RoutingReport } from "./routing-totals.js";
import type { StateBucket } from "./state-bucket.js";
import { overmind } from "./topology.js";
import type { Traffic } from "./traffic.js";

export interface Scene {
  readonly fleet: Fleet;
  readonly bucket: StateBucket;
  readonly apiUrl: string;
  readonly said: Traffic;
  readonly tell: (sentence: string) => void;
  /** What did not hold, each a sentence. */
  readonly faults: string[];
}

const PATIENCE_MS = 60_000;

function hold({ faults }: Scene, what: string, seen: unknown, expected: unknown): void {
  if (JSON.stringify(seen) === JSON.stringify(expected)) return;
  faults.push(`${what}: ${JSON.stringify(seen)} in place of ${JSON.stringify(expected)}`);
}

async function until<T>(what: string, read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms until ${what}`);
    await delay(50);
  }
}

export async function produce(scene: Scene): Promise<void> {
  const { fleet, said, tell } = scene;
  const from = performance.now();
  await said.publish(producersOn(fleet));
  const seconds = (performance.now() - from) / 1_000;
  const states = await Promise.all(Object.keys(overmind.streams).map((stream) => fleet.streamState(stream)));
  const [decisions = 0, memories = 0, requests = 0] = states.map(({ messages }) => messages);
  tell(
    `${decisions + memories + requests} messages in three streams after ${seconds.toFixed(1)} s, of which every tenth was published twice`,
  );
  hold(scene, "decisions in their stream", decisions, said.expected.decisions);
  hold(scene, "requests in their stream", requests, said.expected.llmRequests);
}

export async function poison({ fleet }: Scene): Promise<void> {
  await fleet.publish("routing.model.selected", { selectedModel: 42 });
  await producersOn(fleet).remembered({
    eventId: "event-merge",
    timestamp: Date.now(),
    memoryId: "memory-whole",
    eventType: "consolidated",
    tier: "working",
    metadata: { mergedFrom: ["memory-missing"] },
  });
}

export async function untilAllIsDone({ fleet, bucket, said }: Scene): Promise<RoutingReport> {
  const report = await until(
    "every decision is counted",
    () => readRoutingReport(bucket),
    ({ messages }) => messages >= said.expected.decisions,
  );
  for (const [consumer, { stream }] of Object.entries(overmind.consumers)) {
    await until(
      `nothing waits for ${consumer}`,
      () => fleet.lag(stream, consumer),
      ({ pending, ackPending }) => pending + ackPending === 0,
    );
  }
  return report;
}

export function showReport(scene: Scene, { messages, models, fallbackRate, cost }: RoutingReport): void {
  const { tell } = scene;
  const { expected, requests } = scene.said;
  for (const { model, selected, fallbacks, latency, ...row } of models) {
    const { p50, p95, p99 } = latency;
    const percentiles = [p50, p95, p99].map((ms) => `${ms?.toFixed(0)} ms`).join(", ");
    tell(
      `  ${model.padEnd(12)} ${selected} selected, ${fallbacks} fallbacks, $${row.cost.toFixed(2)}, latency ${percentiles}`,
    );
  }
  tell(`  fallback rate ${((fallbackRate ?? 0) * 100).toFixed(2)} %, $${cost.toFixed(2)} in all`);
  hold(scene, "decisions that were counted", messages, expected.decisions);
  hold(
    scene,
    "selections",
    models.reduce((sum, { selected }) => sum + selected, 0),
    requests,
  );
  hold(scene, "the fallback rate", fallbackRate, expected.fallbacks / requests);
  hold(scene, "costs", cost.toFixed(6), expected.cost.toFixed(6));
}

export async function checkMemories(scene: Scene): Promise<void> {
  const { bucket, said, tell } = scene;
  const store = new MemoryStore(bucket);
  const memories = await Promise.all(
    Array.from({ length: said.memories }, async (_, number) => (await store.read(`memory-${number}`)).value),
  );
  const count = (holds: (memory: NonNullable<(typeof memories)[number]>) => boolean): number =>
    memories.filter((memory) => memory !== undefined && holds(memory)).length;
  const expired = count(({ state }) => state === "expired");
  tell(
    `${count(() => true)} memories consolidated: ${count(({ tier }) => tier === "working")} promoted, ${expired} expired`,
  );
  hold(
    scene,
    "memories",
    count(({ events }) => events.length === 1),
    said.memories,
  );
}

export async function checkApi(scene: Scene): Promise<void> {
  const { apiUrl, said, tell } = scene;
  const read = async (path: string): Promise<string> => await (await fetch(`${apiUrl}${path}`)).text();
  const { decisions } = JSON.parse(await read("/decisions?limit=5")) as { decisions: unknown[] };
  hold(scene, "decisions that the API shows", decisions.length, 5);
  const metrics = await until(
    "Prometheus would see every request",
    () => read("/metrics"),
    (text) => completedIn(text) === said.requests,
  );
  for (const line of metrics.split("\n").filter((text) => /^jetstream_\w+_(total_messages|num_pending)\{/.test(text))) {
    tell(`  ${line}`);
  }
}

const completedIn = (metrics: string): number =>
  [...metrics.matchAll(/^overmind_llm_requests_total\{.*status="completed"\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );

export async function mendAndReplay(scene: Scene): Promise<void> {
  const { fleet, bucket, tell } = scene;
  const letters = await fleet.deadLetters.list();
  for (const { id, consumer, reason, attempts, message } of letters) {
    tell(`dead letter ${id} of ${consumer}: ${reason} after ${attempts}; ${message.split("\n")[0]?.slice(0, 120)}`);
  }
  hold(scene, "dead letters", letters.map(({ consumer, reason }) => `${consumer} ${reason}`).sort(), [
    "analytics-consumer undecodable",
    "api-consumer undecodable",
    "consolidation-consumer failed",
  ]);
  const store = new MemoryStore(bucket);
  const event = { eventType: "consolidated", tier: "short-term", timestamp: Date.now() } as const;
  await producersOn(fleet).remembered({
    ...event,
    eventId: "event-missing",
    memoryId: "memory-missing",
    accessCount: 7,
  });
  await until(
    "the missing memory is there",
    () => store.read("memory-missing"),
    ({ value }) => value !== undefined,
  );
  for (const { id, consumer } of letters) {
    if (consumer === "consolidation-consumer") await fleet.deadLetters.replay(id);
    else await fleet.deadLetters.drop(id);
  }
  const { value } = await until(
    "the event is consolidated",
    () => store.read("memory-whole"),
    (found) => found.value !== undefined,
  );
  tell(
    `the missing memory was published and the event replayed: memory-whole has ${value?.mergedFrom.join()} with ${value?.accessCount} accesses`,
  );
  hold(scene, "dead letters in the end", await fleet.deadLetters.count(), 0);
}
