import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Agent, agent } from "../../src/agent/agent.js";
import { type Client, connectClient } from "../../src/client/client.js";
import type { NewTask } from "../../src/client/submission.js";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { RecordStore } from "../../src/jetstream/record-store.js";
import { silentLogger } from "../../src/logger.js";
import { type NatsServer, startNatsServer } from "../../src/nats-server/start.js";
import { startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { livenessFrom } from "../../src/orchestrator/orchestrator-options.js";
import { DEFAULT_NAMESPACE } from "../../src/protocol/ids.js";
import { FENCE_KEY, META_KEYS, topologyOf } from "../../src/protocol/topology.js";
import { untilHolds } from "../support/until.js";

const topology = topologyOf(DEFAULT_NAMESPACE);

let nats: NatsServer;
let client: Client;
let observer: Connection;
/** Run in reverse, so that a start that fails half-way is taken back as far as it came. */
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const storeDir = await mkdtemp(join(tmpdir(), "perdure-test-"));
  closers.push(() => rm(storeDir, { recursive: true, force: true }));
  nats = await startNatsServer({ storeDir, monitoringPort: 0 });
  closers.push(() => nats.stop());
  const { url: servers } = nats;
  const orchestrator = await startOrchestrator({
    servers,
    settings: { maxConcurrentTasks: 0, retentionMs: 1_000, ...livenessFrom(200) },
    logger: silentLogger,
  });
  closers.push(() => orchestrator.stop());
  await orchestrator.leading;
  const worker = newAgent("worker", 200);
  await worker.start();
  closers.push(() => worker.stop());
  client = await connectClient({ servers });
  closers.push(() => client.close());
  observer = await connect({ servers, name: "observer", logger: silentLogger });
  closers.push(() => observer.close());
});

afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

function newAgent(id: string, maxConcurrentTasks: number, connection?: Connection): Agent {
  return agent(id, {
    servers: nats.url,
    maxConcurrentTasks,
    drainTimeoutMs: 0,
    logger: silentLogger,
    tasks: {
      echo: async (_, input) => input,
      fail: async () => {
        throw new Error("as asked");
      },
      hold: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
    ...(connection === undefined ? {} : { connection }),
  });
}

const ended = async (task: NewTask): Promise<void> => {
  const submitted = await client.submit(task);
  await submitted.wait();
};

/** Every way a task can end. */
const fates: readonly ((taskId: string) => Promise<void>)[] = [
  (taskId) => ended({ taskId, type: "echo", input: [taskId] }),
  (taskId) => ended({ taskId, type: "fail", retry: { maximumAttempts: 1 } }),
  (taskId) => ended({ taskId, type: "fail", retry: { maximumAttempts: 2, initialIntervalMs: 1 } }),
  (taskId) => ended({ taskId, type: "hold", timeoutMs: 100, retry: { maximumAttempts: 1 } }),
  (taskId) => ended({ taskId, type: `nobody-${taskId}`, scheduleToCloseMs: 50 }),
  async (taskId) => {
    const { taskId: first } = await client.submit({ taskId, type: "echo", input: 1 });
    await ended({ taskId: `${taskId}-next`, type: "echo", dependencies: [first] });
    // One that ended, and had left the live ones, is needed again.
    await ended({ taskId: `${taskId}-late`, type: "echo", dependencies: [first] });
  },
  async (taskId) => {
    const task = await client.submit({ taskId, type: "nobody" });
    const waits = [task.wait(), task.wait()];
    await task.cancel();
    await Promise.all(waits);
  },
  async (taskId) => {
    const task = await client.submit({ taskId, type: "hold" });
    await task.cancel();
    await task.wait();
  },
];

async function liveThrough(name: string, tasks: number): Promise<void> {
  const agents = comeAndGo(name);
  const lanes = Array.from({ length: 100 }, async (_, lane) => {
    for (let index = lane; index < tasks; index += 100) {
      const watching = new AbortController();
      const events = client.events({ signal: watching.signal });
      if (index % 2 === 0) await events.return(undefined);
      await fates[index % fates.length]?.(`${name}-${index}`);
      watching.abort();
    }
  });
  await Promise.all([...lanes, agents]);
}

/** One says goodbye, one comes back under its id, and one vanishes with its connection. */
async function comeAndGo(name: string): Promise<void> {
  for (const id of ["comes-back", "comes-back", `${name}-leaves`]) {
    const guest = newAgent(id, 5);
    await guest.start();
    await guest.stop();
  }
  const connection = await connect({ servers: nats.url, name: "vanishes", logger: silentLogger });
  const guest = newAgent(`${name}-vanishes`, 5, connection);
  const gone = guest.closed.catch(() => undefined);
  await guest.start();
  await connection.close();
  await gone;
}

/** Everything that could be left behind, but for what is named in the expectation below. */
async function leftovers() {
  const { streams, consumers } = await managerOf(observer);
  const keys: string[] = [];
  const messages: Record<string, number> = {};
  const readers: string[] = [];
  for await (const { config, state } of streams.list()) {
    for await (const { stream_name } of consumers.list(config.name)) readers.push(stream_name);
    if (!config.name.startsWith("KV_")) messages[config.name] = state.messages;
  }
  for (const { bucket } of [topology.endedTasks, topology.meta]) {
    const { state } = await streams.info(`KV_${bucket}`, { subjects_filter: ">" });
    keys.push(...Object.keys(state.subjects ?? {}).map((subject) => subject.split(".").at(-1) ?? subject));
  }
  const { agentStatuses, ...status } = await client.status();
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const { connections, subscriptions } = await monitored();
  return {
    keys: keys.sort(),
    messages,
    readers,
    tasks: (await client.list({ limit: 1 })).total,
    unfinished: status.activeTaskCount + status.queuedTaskCount + status.waitingTaskCount + status.backoffTaskCount,
    agents: agentStatuses.filter(({ state }) => state !== "lost" && state !== "gone").map(({ agentId }) => agentId),
    timers,
    files: (await readdir("/dev/fd")).length,
    connections,
    subscriptions,
  };
}

async function monitored(): Promise<{ connections: number; subscriptions: number }> {
  const response = await fetch(`${nats.monitoringUrl}/varz`, { headers: { connection: "close" } });
  return (await response.json()) as { connections: number; subscriptions: number };
}

it("leaves nothing behind but the records of agents that left, which go in their time", {
  timeout: 180_000,
}, async () => {
  await liveThrough(`warm-${randomUUID().slice(0, 8)}`, 200);
  const before = await untilHolds("the warm-up is over", leftovers, isAtRest, { deadlineMs: 60_000 });
  await liveThrough("t", 2_400);
  const isAsBefore = (found: unknown): boolean => isDeepStrictEqual(found, before);
  await untilHolds(`all is as before: ${JSON.stringify(before)}`, leftovers, isAsBefore, { deadlineMs: 60_000 });
  expect(await liveTasks()).toEqual([]);
  expect(await agentsWithoutEnd()).toEqual(["worker"]);
});

/** The server forgets the consumers with which the orchestrator recovered after ten seconds. */
const isAtRest = ({ keys, messages, readers, tasks, agents }: Awaited<ReturnType<typeof leftovers>>): boolean =>
  tasks === 0 &&
  readers.length === 1 &&
  Object.values(messages).every((count) => count <= 1) &&
  agents.join() === "worker" &&
  keys.every((key) => lasting.has(key));

const lasting = new Set([FENCE_KEY, META_KEYS.leader, META_KEYS.checkpoint]);

/** Beside tombstones, which are swept out when there are thousands. */
async function liveTasks(): Promise<string[]> {
  const store = new RecordStore(observer, { bucket: topology.tasks.bucket, logger: silentLogger });
  const keys: string[] = [];
  for await (const key of store.keys()) keys.push(key);
  return keys;
}

/** Agents whose record has no time to live. */
async function agentsWithoutEnd(): Promise<string[]> {
  const { streams } = await managerOf(observer);
  const prefix = `$KV.${topology.agents.bucket}.`;
  const { state } = await streams.info(`KV_${topology.agents.bucket}`, { subjects_filter: ">" });
  const subjects = Object.keys(state.subjects ?? {}).filter((subject) => !subject.endsWith(FENCE_KEY));
  const lives = await Promise.all(
    subjects.map(async (subject) => {
      const stored = await streams.getMessage(`KV_${topology.agents.bucket}`, { last_by_subj: subject });
      return stored !== null && stored.header.get("Nats-TTL") === "" ? [subject.slice(prefix.length)] : [];
    }),
  );
  return lives.flat();
}
