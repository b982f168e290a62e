/**
 * How cost grows: time and processor time per task against finished tasks, waiting tasks and registered agents, through
 * the whole engine (nats-server with fsync, one orchestrator, agents, this client). Each curve is one run, each row is
 * given as a ratio to the curve's first, and the tables are Markdown.
 *
 * node dist/bench/growth.js [--finished 100000] [--waiting 1000,10000,100000,1000000] [--agents 10,100,1000]
 */
import { parseArgs } from "node:util";
import { addWaiting, latencies, runTasks } from "./load.js";
import type { ReadyProcess } from "./processes.js";
import { quantile } from "./statistics.js";
import { type System, withSystem } from "./system.js";
import { usageOf } from "./usage.js";

const { values } = parseArgs({
  options: {
    finished: { type: "string", default: "100000" },
    waiting: { type: "string", default: "1000,10000,100000,1000000" },
    agents: { type: "string", default: "10,100,1000" },
  },
});
const numbers = (list: string): number[] => list.split(",").map(Number);
const grouped = (count: number): string => count.toLocaleString("en");

/** Tasks of one measurement: enough for a processor clock of 10 ms. */
const PROBE_TASKS = 5_000;
/** A row is the least disturbed of so many measurements. */
const PROBES = 3;
const PROBE_LATENCIES = 200;
/** Before the first row, so that it does not pay for compilation. */
const WARM_UP_TASKS = 20_000;

interface Round {
  readonly taskUs: number;
  readonly orchestratorUs: number;
  readonly natsUs: number;
}

interface Probe extends Round {
  readonly what: string;
  readonly latencyMs: number;
  readonly orchestratorMb: number;
  readonly natsMb: number;
}

if (values.finished !== "0") await againstFinished(Number(values.finished));
if (values.waiting !== "") await againstWaiting(numbers(values.waiting));
if (values.agents !== "") await againstAgents(numbers(values.agents));

async function againstFinished(most: number): Promise<void> {
  await withSystem({}, async (system) => {
    await startTwoAgents(system);
    await warmUp(system);
    const rows: Probe[] = [];
    // Each probe is itself what the next one finds finished.
    for (let finished = WARM_UP_TASKS; finished <= most + WARM_UP_TASKS; finished += PROBES * PROBE_TASKS) {
      rows.push(await probe(system, grouped(finished)));
    }
    print("finished before", rows);
  });
}

async function againstWaiting(counts: readonly number[]): Promise<void> {
  await withSystem({}, async (system) => {
    await startTwoAgents(system);
    await warmUp(system);
    const rows: Probe[] = [await probe(system, "0")];
    let waiting = 0;
    for (const count of counts) {
      const startedAt = performance.now();
      await addWaiting(system.client, waiting, count - waiting);
      const acceptedMs = performance.now() - startedAt;
      await system.settled();
      const settledMs = performance.now() - startedAt;
      const per = (ms: number): string => ((ms * 1000) / (count - waiting)).toFixed(0);
      console.log(
        `${grouped(count - waiting)} more wait: ${per(acceptedMs)} us each to accept, ${per(settledMs)} us until all are copied`,
      );
      waiting = count;
      rows.push(await probe(system, grouped(count)));
    }
    print("waiting", rows);
  });
}

async function againstAgents(counts: readonly number[]): Promise<void> {
  for (const kind of ["alike", "different"] as const) {
    await withSystem({}, async (system) => {
      const first = await startTwoAgents(system);
      await warmUp(system);
      await Promise.all(first.map((started) => started.stop()));
      const rows: Probe[] = [];
      for (const count of counts) {
        const fleet = await system.startAgents(`fleet-${count}`, "10", String(count), kind);
        await system.settled();
        rows.push(await probe(system, grouped(count)));
        await fleet.stop();
      }
      print(`agents, ${kind}`, rows);
    });
  }
}

async function startTwoAgents(system: System): Promise<ReadyProcess[]> {
  return await Promise.all(["echo-1", "echo-2"].map((id) => system.startAgents(id)));
}

async function warmUp({ client }: System): Promise<void> {
  await runTasks(client, WARM_UP_TASKS);
  await latencies(client, PROBE_LATENCIES);
}

async function probe(system: System, what: string): Promise<Probe> {
  const rounds: Round[] = [];
  for (let round = 0; round < PROBES; round += 1) rounds.push(await measure(system));
  const least = (pick: (round: Round) => number): number => Math.min(...rounds.map(pick));
  return {
    what,
    taskUs: least((round) => round.taskUs),
    latencyMs: quantile(await latencies(system.client, PROBE_LATENCIES), 0.5),
    orchestratorUs: least((round) => round.orchestratorUs),
    natsUs: least((round) => round.natsUs),
    orchestratorMb: (await usageOf(system.orchestrator.pid)).rssBytes / 1_000_000,
    natsMb: (await usageOf(system.nats.pid)).rssBytes / 1_000_000,
  };
}

async function measure({ client, orchestrator, nats }: System): Promise<Round> {
  const cpuOf = async (pid: number): Promise<number> => (await usageOf(pid)).cpuMs;
  const before = { orchestrator: await cpuOf(orchestrator.pid), nats: await cpuOf(nats.pid) };
  const elapsedMs = await runTasks(client, PROBE_TASKS);
  const perTask = (ms: number): number => (ms * 1000) / PROBE_TASKS;
  return {
    taskUs: perTask(elapsedMs),
    orchestratorUs: perTask((await cpuOf(orchestrator.pid)) - before.orchestrator),
    natsUs: perTask((await cpuOf(nats.pid)) - before.nats),
  };
}

function print(what: string, rows: readonly Probe[]): void {
  const [base] = rows;
  if (base === undefined) return;
  const ratio = (pick: (row: Probe) => number, row: Probe, digits: number): string =>
    `${pick(row).toFixed(digits)} (${(pick(row) / pick(base)).toFixed(2)})`;
  console.log(
    `\n| ${what} | us a task | ms, one after another, p50 | orchestrator, CPU us a task | nats-server, CPU us a task | orchestrator, MB | nats-server, MB |`,
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const row of rows) {
    const cells = [
      row.what,
      ratio((probed) => probed.taskUs, row, 0),
      ratio((probed) => probed.latencyMs, row, 2),
      ratio((probed) => probed.orchestratorUs, row, 0),
      ratio((probed) => probed.natsUs, row, 0),
      row.orchestratorMb.toFixed(0),
      row.natsMb.toFixed(0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
  console.log("");
}
