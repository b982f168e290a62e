/**
 * How long nobody answers after a crash, and how much memory the state takes, against the number of live tasks: 9 of 10
 * wait (one half of these for others), 1 of 10 runs on an agent. Each figure is the time from the kill to the first
 * answered request. The tables are Markdown.
 *
 * node dist/bench/recovery.js [--tasks 1000,10000,100000]
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "../src/nats-server/start.js";
import { addHeld, addWaiting } from "./load.js";
import { type System, withSystem } from "./system.js";
import { usageOf } from "./usage.js";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "1000,10000,100000" } } });

const ASK_EVERY_MS = 5;
const ASK_TIMEOUT_MS = 200;

interface Row {
  readonly tasks: number;
  readonly processMs: number;
  readonly freshMs: number;
  readonly cpuMs: number;
  readonly standbyMs: number;
  readonly fromJournalMs: number;
  readonly serverMs: number;
  readonly allMs: number;
  readonly orchestratorMb: number;
  readonly heapMb: number;
  readonly peakMb: number;
  readonly natsMb: number;
}

const rows: Row[] = [];
for (const tasks of values.tasks.split(",").map(Number)) rows.push(await measure(tasks));
print();

async function measure(tasks: number): Promise<Row> {
  let row: Omit<Row, "fromJournalMs"> | undefined;
  await withSystem({}, async (system) => {
    await fill(system, tasks);
    await system.settled();
    const { answeredMs: freshMs, processMs } = await replaceLeader(system);
    const memory = await memoryOf(system);
    row = {
      tasks,
      freshMs,
      processMs,
      ...memory,
      standbyMs: await failOver(system),
      ...(await restartServer(system)),
    };
  });
  let fromJournalMs = 0;
  await withSystem({}, async (system) => {
    await fill(system, tasks);
    fromJournalMs = (await replaceLeader(system)).answeredMs;
  });
  if (row === undefined) throw new Error("nothing was measured");
  return { ...row, fromJournalMs };
}

async function fill(system: System, tasks: number): Promise<void> {
  const held = tasks / 10;
  await system.startAgents("holder", String(held));
  await addHeld(system.client, held);
  await addWaiting(system.client, 0, tasks - held);
}

/** The leader is killed and a new process started at the same moment. */
async function replaceLeader(system: System): Promise<{ answeredMs: number; processMs: number }> {
  await system.orchestrator.kill();
  const startedAt = performance.now();
  const starting = system.startOrchestrator("standing by");
  const answered = untilAnswered(system);
  system.orchestrator = await starting;
  const processMs = performance.now() - startedAt;
  await answered;
  return { processMs, answeredMs: performance.now() - startedAt };
}

/** The leader is killed while another process stands by. */
async function failOver(system: System): Promise<number> {
  const standby = await system.startOrchestrator("standing by");
  await system.orchestrator.kill();
  system.orchestrator = standby;
  return await untilAnswered(system);
}

async function restartServer(system: System): Promise<{ serverMs: number; allMs: number }> {
  const { storeDir, port } = system.nats;
  const restart = async (): Promise<void> => {
    system.nats.kill("SIGKILL");
    await system.nats.exited;
    await system.nats.stop();
  };
  await restart();
  let startedAt = performance.now();
  system.nats = await startNatsServer({ storeDir, port });
  await untilAnswered(system);
  const serverMs = performance.now() - startedAt;

  await system.orchestrator.kill();
  await restart();
  startedAt = performance.now();
  system.nats = await startNatsServer({ storeDir, port });
  const starting = system.startOrchestrator("standing by");
  await untilAnswered(system);
  const allMs = performance.now() - startedAt;
  system.orchestrator = await starting;
  return { serverMs, allMs };
}

/** Asks without the client's pauses between tries. Milliseconds from the call to the answer. */
async function untilAnswered({ nats }: System): Promise<number> {
  const startedAt = performance.now();
  const connection = await connect({ servers: nats.url });
  try {
    for (;;) {
      const body = JSON.stringify({ messageId: crypto.randomUUID(), timestamp: Date.now(), taskId: "wait-0" });
      const answer = await connection
        .request("mcp.orchestrator.task.get", body, { timeout: ASK_TIMEOUT_MS })
        .catch(() => null);
      if (answer !== null && "task" in answer.json<object>()) return performance.now() - startedAt;
      await delay(ASK_EVERY_MS);
    }
  } finally {
    await connection.close();
  }
}

async function memoryOf({ orchestrator, nats }: System) {
  const own = await usageOf(orchestrator.pid);
  const server = await usageOf(nats.pid);
  const { heapBytes } = await orchestrator.report();
  return {
    orchestratorMb: own.rssBytes / 1_000_000,
    peakMb: own.peakRssBytes / 1_000_000,
    heapMb: heapBytes / 1_000_000,
    cpuMs: own.cpuMs,
    natsMb: server.rssBytes / 1_000_000,
  };
}

function print(): void {
  const seconds = (ms: number): string => (ms / 1_000).toFixed(2);
  const table: [string, (row: Row) => string][] = [
    ["leader killed, a new process started: s until answered", (row) => seconds(row.freshMs)],
    ["of which the process starts", (row) => seconds(row.processMs)],
    ["processor time of the new process until then, s", (row) => seconds(row.cpuMs)],
    ["the same right after filling, most of it still in the journal only", (row) => seconds(row.fromJournalMs)],
    ["leader killed, another stood by", (row) => seconds(row.standbyMs)],
    ["nats-server killed and started, leader alive", (row) => seconds(row.serverMs)],
    ["nats-server and leader killed and started", (row) => seconds(row.allMs)],
    ["new leader, MB", (row) => row.orchestratorMb.toFixed(0)],
    ["new leader, MB at the most", (row) => row.peakMb.toFixed(0)],
    ["new leader, heap after collection, MB", (row) => row.heapMb.toFixed(0)],
    ["nats-server, MB", (row) => row.natsMb.toFixed(0)],
  ];
  console.log(`\n| live tasks | ${rows.map(({ tasks }) => tasks.toLocaleString("en")).join(" | ")} |`);
  console.log(`|---|${rows.map(() => "---|").join("")}`);
  for (const [what, cell] of table) console.log(`| ${what} | ${rows.map(cell).join(" | ")} |`);
}
