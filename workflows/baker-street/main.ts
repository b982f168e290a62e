/**
 * The whole of Baker Street, each member a process of its own: jobs are handed in, a worker is killed with kill -9 in the
 * middle, a new brain takes over from the old one, and every job ends, once, as one trace. Checks itself, and the exit status
 * says whether everything held.
 */
import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connectClient } from "perdure";
import { startLocalSystem } from "perdure/testing";
import { z } from "zod";
import { type Collector, startCollector } from "./collector.js";
import { readEvents } from "./read-events.js";
import { type Actor, Stage } from "./stage.js";

const JOBS = 12;
const ACK_WAIT_MS = 3_000;
const HEARTBEAT_MS = 300;
const STORY_MS_MAX = 120_000;

const startedAt = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
}

interface HandedIn {
  readonly jobId: string;
  readonly traceId: string;
}

/** Three tool calls and a pod, a second or so in all. */
const job = (number: number): unknown => ({
  jobId: `case-${number}`,
  type: "steps",
  input: {
    steps: [
      { tool: "text.words", input: `case ${number}: the game is afoot` },
      { tool: "clock.wait", input: { ms: 400 } },
      { pod: "count", input: { upTo: number } },
      { tool: "text.digest" },
    ],
  },
});

const programs = {
  count: [
    process.execPath,
    "--eval",
    "const { upTo } = JSON.parse(fs.readFileSync(0, 'utf8')); console.log(JSON.stringify([...Array(upTo).keys()]))",
  ],
};

async function handInJobs(brainUrl: string): Promise<readonly HandedIn[]> {
  const Accepted = z.object({ jobId: z.string(), traceparent: z.string() });
  const handedIn: HandedIn[] = [];
  for (let number = 1; number <= JOBS; number += 1) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${brainUrl}/jobs`, { method: "POST", headers, body: JSON.stringify(job(number)) });
    const { jobId, traceparent } = Accepted.parse(await response.json());
    handedIn.push({ jobId, traceId: traceparent.split("-")[1] ?? "" });
  }
  return handedIn;
}

async function untilWorkGoes(client: Client, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { tasks } = await client.list({ type: "tool:clock.wait", states: ["running"] });
    if (tasks.length > 1) return;
    await delay(20, undefined, { signal });
  }
}

/** Follows each job as a browser would, and gives what did not hold. */
async function followJobs(
  brainUrl: string,
  jobs: readonly HandedIn[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const faults = await Promise.all(
    jobs.map(async ({ jobId }) => {
      const events = await readEvents(`${brainUrl}/jobs/${jobId}/events`, signal);
      const results = events.filter(({ name }) => name === "result");
      const [result] = results;
      const { status } = z.object({ status: z.string() }).parse(JSON.parse(result?.data ?? '{"status":"lost"}'));
      return results.length === 1 && status === "completed"
        ? []
        : [`${jobId} has ${results.length} results: ${status}`];
    }),
  );
  return faults.flat();
}

async function faultsInEnds(client: Client, jobs: readonly HandedIn[], ends: readonly string[]) {
  const faults = jobs.flatMap(({ jobId }) => {
    const count = ends.filter((taskId) => taskId === `job-${jobId}`).length;
    return count === 1 ? [] : [`the workflow of ${jobId} ended ${count} times`];
  });
  for (const { jobId } of jobs) {
    const { state } = await client.get(`dispatch-${jobId}`);
    if (state !== "completed") faults.push(`the dispatch of ${jobId} is ${state}`);
  }
  return faults;
}

const hops = [
  "POST /jobs",
  "dispatch",
  "job steps",
  "call",
  "tool text.words",
  "launch",
  "pod count",
  "tool text.digest",
];

function faultsInTraces(collector: Collector, jobs: readonly HandedIn[]): readonly string[] {
  return jobs.flatMap(({ jobId, traceId }) => {
    const names = new Set(collector.spansOf(traceId).map(({ name }) => name));
    const missing = hops.filter((hop) => !names.has(hop));
    return missing.length === 0 ? [] : [`the trace of ${jobId} has no ${missing.join(", ")}`];
  });
}

async function play(stage: Stage, collector: Collector, url: string, signal: AbortSignal): Promise<readonly string[]> {
  const programsFile = join(stage.folder, "programs.json");
  writeFileSync(programsFile, JSON.stringify(programs));
  const basis = ["--server", url, "--heartbeat", String(HEARTBEAT_MS), "--ack-wait", String(ACK_WAIT_MS)];
  const start = (role: string, id: string, args: readonly string[] = []): Promise<Actor> =>
    stage.start(role, id, [...basis, ...args]);
  const [blue, victim] = await Promise.all([
    start("brain", "blue"),
    start("worker", "worker-1"),
    start("worker", "worker-2"),
    start("extension", "toolbox"),
    start("pods", "pods-1", ["--programs", programsFile]),
  ]);
  tell(`brain blue serves ${blue.ready[1]}; two workers, an extension and a launcher of task pods are ready`);
  const client = await connectClient({ servers: url });
  const ends: string[] = [];
  client.onEvent(({ eventType, payload }) => {
    const taskId = z.object({ taskId: z.string() }).safeParse(payload).data?.taskId;
    if (eventType === "TASK_COMPLETED" && taskId !== undefined) ends.push(taskId);
  });
  try {
    const jobs = await handInJobs(blue.ready[1] ?? "");
    tell(`${jobs.length} jobs handed in`);
    await untilWorkGoes(client, signal);
    await victim.kill();
    tell(`kill -9 ${victim.pid}: worker-1 is dead, with jobs in its hands`);
    const green = await start("brain", "green");
    const status = await blue.ended;
    tell(`brain green took over; blue handed over what was in flight and left with status ${status}`);
    const faults = await followJobs(green.ready[1] ?? "", jobs, signal);
    tell(`${jobs.length} jobs followed to their ends, at green`);
    // With their ends the members export what they have traced.
    await stage.endAll();
    return [
      ...faults,
      ...(await faultsInEnds(client, jobs, ends)),
      ...faultsInTraces(collector, jobs),
      ...(status === 0 ? [] : [`blue ended with ${status}`]),
    ];
  } finally {
    await client.close();
  }
}

async function main(): Promise<number> {
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(STORY_MS_MAX)]);
  let exit = 1;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => {
      exit = 128 + constants.signals[name];
      stopping.abort(new Error(`stopped by ${name}`));
    });
  }
  const collector = await startCollector();
  const stage = new Stage({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const system = await startLocalSystem({ onNotice: (notice) => console.error(notice) });
  const stopped = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  try {
    const faults = await Promise.race([play(stage, collector, system.url, signal), stopped]);
    for (const fault of faults) console.error(`baker-street: ${fault}`);
    if (faults.length > 0) return 1;
    tell(`each of ${JOBS} jobs ended once, as one trace from the brain to the tool`);
    return 0;
  } catch (fault) {
    console.error(`baker-street: ${fault instanceof Error ? fault.message : String(fault)}`);
    return exit;
  } finally {
    await stage.endAll();
    stage.close();
    await system.stop();
    collector.close();
  }
}

process.exitCode = await main();
