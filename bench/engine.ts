/**
 * The engine end to end against the ceiling of JetStream on this machine, in one run on one server with fsync on.
 *
 * node dist/bench/engine.js [--tasks 20000] [--rounds 3]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { connectClient } from "perdure";
import { startProcess } from "./processes.js";
import { inParallel, quantile } from "./statistics.js";

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "20000" },
    latencies: { type: "string", default: "500" },
    rounds: { type: "string", default: "3" },
  },
});
const taskCount = Number(values.tasks);
const latencyCount = Number(values.latencies);
const rounds = Number(values.rounds);

const PAYLOAD = { pad: "x".repeat(180) };
const PUBLISHERS = 256;
const SUBMITTERS = 64;

interface Round {
  readonly publishesPerS: number;
  readonly serialMs: number;
  readonly tasksPerS: number;
  readonly resultMsP50: number;
  readonly resultMsP99: number;
}

const storeDir = await mkdtemp(path.join(tmpdir(), "perdure-bench-"));
const dev = await startProcess("src/cli/main.js", [
  "dev",
  "--nats-port",
  "0",
  "--store-dir",
  storeDir,
  "--log-level",
  "warn",
]);
const url = dev.line.split(" ")[1] ?? "";
const agents = await Promise.all(
  ["echo-1", "echo-2"].map((id) => startProcess("bench/echo-agent.js", [id, url, "100"])),
);
try {
  const results: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // In turn within each round, so that a drift of the machine touches both sides.
    const ceiling = await measureCeiling();
    const engine = await measureEngine();
    const row = { ...ceiling, ...engine };
    results.push(row);
    console.log(JSON.stringify(row));
  }
  report(results);
} finally {
  await Promise.all(agents.map((agent) => agent.stop()));
  await dev.stop();
  await rm(storeDir, { recursive: true, force: true });
}

async function measureCeiling(): Promise<Pick<Round, "publishesPerS" | "serialMs">> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "BENCH", subjects: ["bench.raw"] });
  const stream = jetstream(connection);
  const body = new TextEncoder().encode(JSON.stringify(PAYLOAD));
  const startedAt = performance.now();
  await inParallel(taskCount, PUBLISHERS, () => stream.publish("bench.raw", body));
  const publishesPerS = (taskCount * 1000) / (performance.now() - startedAt);
  const serial: number[] = [];
  for (let index = 0; index < latencyCount; index += 1) {
    const sentAt = performance.now();
    await stream.publish("bench.raw", body);
    serial.push(performance.now() - sentAt);
  }
  await manager.streams.delete("BENCH");
  await connection.close();
  return { publishesPerS, serialMs: quantile(serial, 0.5) };
}

async function measureEngine(): Promise<Pick<Round, "tasksPerS" | "resultMsP50" | "resultMsP99">> {
  const client = await connectClient({ servers: url });
  let ended = 0;
  let allEnded: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    allEnded = resolve;
  });
  const events = client.onEvent((event) => {
    if (event.eventType !== "TASK_COMPLETED") return;
    ended += 1;
    if (ended === taskCount) allEnded();
  });
  const startedAt = performance.now();
  await inParallel(taskCount, SUBMITTERS, () => client.submit({ type: "echo", input: PAYLOAD }));
  await done;
  const tasksPerS = (taskCount * 1000) / (performance.now() - startedAt);
  events.unsubscribe();

  const latencies: number[] = [];
  for (let index = 0; index < latencyCount; index += 1) {
    const sentAt = performance.now();
    const task = await client.submit({ type: "echo", input: PAYLOAD });
    await task.result();
    latencies.push(performance.now() - sentAt);
  }
  await client.close();
  return { tasksPerS, resultMsP50: quantile(latencies, 0.5), resultMsP99: quantile(latencies, 0.99) };
}

function report(results: readonly Round[]): void {
  const median = (pick: (round: Round) => number): number => quantile(results.map(pick), 0.5);
  const rows: [string, string][] = [
    ["JetStream, fsynced publishes, 256 in flight", `${median((r) => r.publishesPerS).toFixed(0)}/s`],
    ["tasks, submit to end, 64 submitters, 2 agents", `${median((r) => r.tasksPerS).toFixed(0)}/s`],
    ["  tasks / publishes", median((r) => r.tasksPerS / r.publishesPerS).toFixed(2)],
    ["JetStream, one fsynced publish after another, p50", `${median((r) => r.serialMs).toFixed(2)} ms`],
    ["one task after another, submit to result, p50", `${median((r) => r.resultMsP50).toFixed(2)} ms`],
    ["  the same, p99", `${median((r) => r.resultMsP99).toFixed(2)} ms`],
    ["  task p50 / publish p50", median((r) => r.resultMsP50 / r.serialMs).toFixed(2)],
  ];
  console.log(`\nmedians of ${results.length} rounds`);
  for (const [what, figure] of rows) console.log(`${what.padEnd(52)}${figure}`);
}
