/** Spans as a collector gets them: real OTLP over HTTP. */
import { expect, it, vi } from "vitest";
import { type CollectedSpan, startCollector } from "../../../workflows/baker-street/collector.js";
import { startTracing } from "../../../workflows/baker-street/tracing.js";
import { until } from "../../support/until.js";
import { handIn, spanIdOf, traceIdOf, useStreet } from "./street.js";

const street = useStreet();

it("exports what has ended, each span under the one whose header it was given", async () => {
  const collector = await startCollector();
  const tracing = startTracing("test", { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/` });

  const brain = tracing.hop("POST /jobs", "entry", undefined);
  const worker = tracing.hop("job", "receive", brain.traceparent);
  worker.end("it went wrong");
  brain.end();
  await tracing.close();
  collector.close();

  const spans = collector.spansOf(traceIdOf(brain.traceparent) ?? "");
  expect(spans.map(({ name, parentSpanId }): Partial<CollectedSpan> => ({ name, parentSpanId }))).toEqual([
    { name: "job", parentSpanId: spanIdOf(brain.traceparent) },
    { name: "POST /jobs", parentSpanId: undefined },
  ]);
});

it.each([
  ["none", undefined],
  ["one that cannot be read", "00-zz-zz-01"],
  ["of no version", `ff-${"a".repeat(32)}-${"b".repeat(16)}-01`],
  ["longer than its version has it", `00-${"a".repeat(32)}-${"b".repeat(16)}-01-more`],
  ["zeros", "00-00000000000000000000000000000000-0000000000000000-00"],
])("begins a trace where the header is %s, and exports nothing where nobody collects", async (_, header) => {
  const tracing = startTracing("test", {});

  const hop = tracing.hop("job", "receive", header);

  expect(hop.traceparent).toMatch(/^00-(?!0{32}|a{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-01$/);
  hop.end();
  await tracing.close();
});

it("closes although the collector is gone", async () => {
  const tracing = startTracing("test", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" });
  tracing.hop("job", "receive", undefined).end();

  await tracing.close();
});

it("gives every message of the fleet a trace context", async () => {
  const nats = await street.raw();
  const all = nats.subscribe("baker.>");
  await nats.flush();
  const blue = await street.brain("blue");
  await street.worker("worker-1");
  await street.pods({ list: [process.execPath, "--eval", "1"] });
  const extension = await street.extension("parrot", { repeat: (input) => input });
  const steps = [{ tool: "repeat", input: 1 }, { pod: "list" }];
  await handIn(blue, { jobId: "all", type: "steps", input: { steps } });
  await street.client.wait("dispatch-all");
  await street.brain("green");
  await blue.handoff.gone;
  extension.stop();
  await all.first("the goodbye", ({ subject }) => subject === "baker.extensions.deregister");

  const kindOf = (subject: string): string => subject.split(".").slice(0, 3).join(".");
  const without = all.received.filter(
    ({ headers }) => !/^00-[\da-f]{32}-[\da-f]{16}-0[01]$/.test(headers.get("traceparent") ?? ""),
  );
  expect(new Set(without.map(({ subject }) => kindOf(subject)))).toEqual(new Set());
  expect(new Set(all.received.map(({ subject }) => kindOf(subject)))).toEqual(
    new Set([
      ...["baker.jobs.dispatch", "baker.jobs.status", "baker.jobs.result"],
      ...["baker.extensions.announce", "baker.extensions.heartbeat", "baker.extensions.deregister"],
      ...["baker.extensions.call", "baker.extensions.result"],
      ...["baker.tasks.launch", "baker.tasks.status", "baker.tasks.result"],
      ...["baker.system.health", "baker.system.handoff"],
    ]),
  );
});

it("shows a job as one trace in which each hop is the child of the one before", async () => {
  const collector = await startCollector();
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url);
  const brain = await street.brain();
  const endWorker = await street.worker("worker-1");
  const extension = await street.extension("parrot", { repeat: (input) => input });

  const { traceparent } = await handIn(brain, { jobId: "traced", type: "repeat", input: 1 });
  await street.client.wait("dispatch-traced");
  extension.stop();
  await endWorker();
  await brain.stop();
  vi.unstubAllEnvs();

  const traceId = traceIdOf(String(traceparent)) ?? "";
  await until("the extension's span has come too", () => collector.spansOf(traceId).length === 5);
  const spans = collector.spansOf(traceId);
  collector.close();
  const nameOf = (id: string | undefined): string | undefined => spans.find(({ spanId }) => spanId === id)?.name;
  const lines = spans.map(({ name, parentSpanId }) => `${nameOf(parentSpanId) ?? "nobody"} > ${name}`);
  expect(lines.sort()).toEqual([
    "POST /jobs > dispatch",
    "call > tool repeat",
    "dispatch > job repeat",
    "job repeat > call",
    "nobody > POST /jobs",
  ]);
});
