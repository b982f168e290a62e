/**
 * What is left behind: counts everything that could stay (keys, messages, consumers, subscriptions, handles, timers,
 * memory) before and after many tasks of every fate, when their retention is over. The table is Markdown.
 *
 * node dist/bench/leftovers.js [--tasks 100000]
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NewTask } from "perdure";
import { type OwnReport, ownReport } from "./own-report.js";
import type { ReadyProcess } from "./processes.js";
import { inParallel } from "./statistics.js";
import { type System, withSystem } from "./system.js";
import { openFilesOf, usageOf } from "./usage.js";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "100000" } } });

const RETENTION_MS = 5_000;
/** The last copy, the retention, the server's own sweep of what expired, a trim, and a second for timers to end. */
const REST_MS = RETENTION_MS + 12_000;
const WARM_UP_TASKS = 20_000;
const IN_FLIGHT = 256;

type Counts = Readonly<Record<string, number>>;

await withSystem({ retentionMs: RETENTION_MS }, async (system) => {
  const agent = await system.startAgents("echo", "500");
  const tasks = Number(values.tasks);
  const columns: { readonly heading: string; readonly counts: Counts }[] = [];
  // Twice the same: what a process keeps for its own comfort shows in the first step, what it forgets to free in both.
  for (const [name, more] of [
    ["warm", WARM_UP_TASKS],
    ["first", tasks],
    ["second", tasks],
  ] as const) {
    await live(system, name, more);
    await delay(REST_MS);
    columns.push({ heading: `after ${more.toLocaleString("en")} more`, counts: await count(system, agent) });
  }
  console.log(`\n| what is there | ${columns.map(({ heading }) => heading).join(" | ")} |`);
  console.log("|---|---|---|---|");
  for (const what of Object.keys(columns[0]?.counts ?? {})) {
    console.log(`| ${what} | ${columns.map(({ counts }) => counts[what]).join(" | ")} |`);
  }
});

/** Tasks of every fate, each waited for, while events are watched and agents are killed. */
async function live(system: System, name: string, tasks: number): Promise<void> {
  const { client } = system;
  const fates: ((taskId: string, index: number) => Promise<unknown>)[] = [
    (taskId) => ended(system, { taskId, type: "echo", input: 1 }),
    (taskId) => ended(system, { taskId, type: "echo", input: 2, timeoutMs: 60_000, scheduleToCloseMs: 120_000 }),
    (taskId) => ended(system, { taskId, type: "fail", retry: { maximumAttempts: 1 } }),
    (taskId) => ended(system, { taskId, type: "fail", retry: { maximumAttempts: 2, initialIntervalMs: 1 } }),
    (taskId) => ended(system, { taskId, type: "absent", scheduleToCloseMs: 100 }),
    (taskId) => ended(system, { taskId, type: `seen-once-${taskId}`, scheduleToCloseMs: 100 }),
    (taskId, index) => ended(system, { taskId, type: "echo", dependencies: [`${name}-${index - (index % 8)}`] }),
    async (taskId) => {
      const task = await client.submit({ taskId, type: "absent" });
      await Promise.all([task.wait(), task.cancel()]);
    },
  ];
  const killed = killAgents(system, name);
  await inParallel(tasks, IN_FLIGHT, async (index) => {
    // A watcher that comes and goes now and then, as dashboards do.
    const watcher = index % 100 === 0 ? client.onEvent(() => undefined) : null;
    const fate = fates[index % fates.length];
    await fate?.(`${name}-${index}`, index);
    watcher?.unsubscribe();
  });
  await killed;
}

async function ended({ client }: System, task: NewTask): Promise<void> {
  const submitted = await client.submit(task);
  await submitted.wait();
}

/** Agents that die with what they have, one of them again and again under the same id. */
async function killAgents(system: System, name: string): Promise<void> {
  for (const id of ["mortal", "mortal", `${name}-mortal-1`, `${name}-mortal-2`]) {
    const agent = await system.startAgents(id, "5");
    await agent.kill();
  }
}

async function count(system: System, agent: ReadyProcess): Promise<Counts> {
  const { orchestrator, nats } = system;
  return {
    ...(await countStored(system)),
    ...(await countServer(system)),
    ...(await countProcess("orchestrator", orchestrator.pid, await orchestrator.report())),
    ...(await countProcess("agent", agent.pid, await agent.report())),
    ...(await countProcess("client", process.pid, await ownReport())),
    ...(await countProcess("nats-server", nats.pid, null)),
  };
}

async function countStored({ nats }: System): Promise<Counts> {
  const connection = await connect({ servers: nats.url });
  const counts: Record<string, number> = {};
  const manager = await jetstreamManager(connection);
  for await (const { config, state } of manager.streams.list()) {
    counts[`${config.name}, messages`] = state.messages;
    counts[`${config.name}, bytes`] = state.bytes;
    counts[`${config.name}, consumers`] = state.consumer_count;
  }
  await connection.close();
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function countServer({ nats }: System): Promise<Counts> {
  const response = await fetch(`${nats.monitoringUrl}/varz`);
  const { connections, subscriptions } = (await response.json()) as { connections: number; subscriptions: number };
  return { "nats-server, connections": connections, "nats-server, subscriptions": subscriptions };
}

async function countProcess(name: string, pid: number, report: OwnReport | null): Promise<Counts> {
  const { rssBytes } = await usageOf(pid);
  const counts: Record<string, number> = {
    [`${name}, open files`]: await openFilesOf(pid),
    [`${name}, MB`]: Math.round(rssBytes / 1_000_000),
  };
  if (report !== null) {
    counts[`${name}, heap after collection, MB`] = Math.round(report.heapBytes / 100_000) / 10;
    counts[`${name}, timers`] = report.resources["Timeout"] ?? 0;
    counts[`${name}, sockets`] = report.resources["TCPSocketWrap"] ?? 0;
  }
  return counts;
}
