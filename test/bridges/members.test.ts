/** Members that come, go, come back and answer as they like; bridges that take over from each other. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import {
  announcedMembers,
  announcement,
  type BridgeDeclaration,
  defineBridge,
  member,
  type RunningBridge,
  request,
  startBridge,
  staticMember,
} from "../../src/bridges/index.js";
import { type Client, connectClient } from "../../src/client/client.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { silentLogger } from "../../src/logger.js";
import { type LocalSystem, startLocalSystem } from "../../src/testing/index.js";
import { RawNats } from "../support/raw-nats.js";
import { until } from "../support/until.js";

const topology = defineTopology("crew", {
  streams: {
    CREW_JOBS: { subjects: ["crew.job.>"], retention: "limits" },
    CREW_RESULTS: { subjects: ["crew.result.>"], retention: "limits" },
    CREW_REJECTED: { subjects: ["crew.rejected"], retention: "limits" },
  },
});

const Id = z.object({ id: z.string() });
const Member = z.object({ name: z.string(), can: z.array(z.string()).default([]) });

const crew = (more: object = {}) =>
  member({
    presence: staticMember({ agentId: "cook", capabilities: ["cook"], maxConcurrentTasks: 10 }),
    request: (_, id) => ({ subject: `crew.job.${id}`, body: { id } }),
    delivery: "atLeastOnce" as const,
    result: {
      from: { subject: (id: string) => `crew.result.${id}`, all: "crew.result.*", stream: "CREW_RESULTS" },
      schema: Id,
      foreignId: ({ id }) => id,
      outcome: ({ id }) => ({ status: "completed", output: id }),
    },
    ...more,
  });

const announced = (lostAfterMs = 60_000) =>
  crew({
    presence: announcedMembers({
      announce: announcement("crew.announce", Member, ({ name, can }) => ({
        agentId: name,
        capabilities: can,
        maxConcurrentTasks: 5,
      })),
      heartbeat: announcement("crew.heartbeat", Member, ({ name }) => ({ agentId: name })),
      goodbye: announcement("crew.goodbye", Member, ({ name }) => name),
      lostAfterMs,
    }),
  });

let system: LocalSystem;
let client: Client;
let foreign: RawNats;
const bridges: RunningBridge[] = [];

beforeEach(async () => {
  system = await startLocalSystem({ logger: silentLogger });
  client = await connectClient({ servers: system.url });
  foreign = await RawNats.connect(system.url);
});

afterEach(async () => {
  await Promise.all(bridges.splice(0).map((bridge) => bridge.stop()));
  await Promise.all([client.close(), foreign.close()]);
  await system.stop();
});

async function bridged(declaration: BridgeDeclaration): Promise<RunningBridge> {
  const options = { servers: system.url, logger: silentLogger };
  const bridge = await startBridge(defineBridge("crew", { topology, ...declaration }), options);
  bridges.push(bridge);
  return bridge;
}

const say = (subject: string, body: unknown): void => foreign.publish(subject, JSON.stringify(body));
const agentOf = async (agentId: string) => (await client.status()).agentStatuses.find((one) => one.agentId === agentId);
const isHealthy = async (agentId: string): Promise<boolean> => (await agentOf(agentId))?.state === "healthy";
const isGone = async (agentId: string): Promise<boolean> => (await agentOf(agentId))?.state === "gone";

it("gives the one answer to both of two tasks that the fleet knows under one id", async () => {
  await bridged({ members: { crew: crew({ foreignId: () => "same" }) } });
  const tasks = await Promise.all(["a", "b"].map((taskId) => client.submit({ taskId, type: "cook" })));
  await until("both are with the member", async () => {
    const { tasks: all } = await client.list();
    return all.length === 2 && all.every(({ progress }) => JSON.stringify(progress ?? "").includes('"stored":true'));
  });
  await foreign.request("crew.result.same", '{"id":"same"}');
  expect(await Promise.all(tasks.map((task) => task.wait({ timeoutMs: 10_000 })))).toMatchObject([
    { state: "completed", output: "same" },
    { state: "completed", output: "same" },
  ]);
});

it("takes a member back whose heartbeats are heard again, without a new announcement", async () => {
  await bridged({ members: { crew: announced(400) } });
  say("crew.announce", { name: "oven", can: ["bake"] });
  await until("it is there", () => isHealthy("oven"));
  await until("it was silent for too long", () => isGone("oven"));
  const beating = setInterval(() => say("crew.heartbeat", { name: "oven" }), 100);
  try {
    await until("it is back", () => isHealthy("oven"));
    expect(await agentOf("oven")).toMatchObject({ capabilities: ["bake"] });
  } finally {
    clearInterval(beating);
  }
});

it("goes on with the members that an earlier bridge knew when they are heard of, and not with others", async () => {
  const first = await bridged({ members: { crew: announced() } });
  say("crew.announce", { name: "oven", can: ["bake"] });
  await until("it is there", () => isHealthy("oven"));
  await first.stop();
  await until("it went with its bridge", () => isGone("oven"));
  await bridged({ members: { crew: announced() } });
  say("crew.heartbeat", { name: "stranger" });
  say("crew.heartbeat", { name: "oven" });
  await until("it is there again", () => isHealthy("oven"));
  expect(await agentOf("stranger")).toBeUndefined();
});

it("gives a member work of the kinds that it announced last", async () => {
  await bridged({ members: { crew: announced() } });
  say("crew.announce", { name: "oven", can: ["bake"] });
  await until("it is there", () => isHealthy("oven"));
  const before = await client.submit({ taskId: "before", type: "bake" });
  await until("it has work", async () => (await before.get()).state === "running");
  say("crew.announce", { name: "oven", can: ["bake", "roast"] });
  await client.submit({ taskId: "roast", type: "roast" });
  await until("it roasts", async () => (await client.get("roast")).state === "running");
  for (const id of ["before", "roast"]) await foreign.request(`crew.result.${id}`, JSON.stringify({ id }));
  expect(await client.wait("roast")).toMatchObject({ state: "completed", agentId: "oven" });
  expect(await before.wait()).toMatchObject({ state: "completed", output: "before" });
});

it("has a member that says goodbye and comes at once, however often, and lets go of it in the end", async () => {
  const bridge = await bridged({ members: { crew: announced() } });
  for (let round = 0; round < 10; round += 1) {
    say("crew.announce", { name: "oven", can: ["bake"] });
    say("crew.goodbye", { name: "oven" });
  }
  for (let round = 0; round < 100; round += 1) say("crew.announce", { name: "oven", can: ["bake"] });
  await client.submit({ taskId: "bread", type: "bake" });
  await until("it bakes", async () => (await client.get("bread")).state === "running");
  await foreign.request("crew.result.bread", '{"id":"bread"}');
  expect(await client.wait("bread")).toMatchObject({ state: "completed" });
  await bridge.stop();
  await until("it is gone", () => isGone("oven"));
});

it("leaves nothing open where it cannot start", async () => {
  const requests = {
    jobs: request({
      from: { stream: "CREW_JOBS", consumer: "nobody" },
      schema: Id,
      task: () => ({ type: "cook" }),
      ack: "onEnded",
    }),
  };
  await expect(bridged({ members: { crew: crew() }, requests })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await until("its member is gone", () => isGone("cook"));
  await until("its own agent is gone", () => isGone("bridge-crew"));
});

it("stops when another process takes over, and leaves it the answers", async () => {
  const first = await bridged({ members: { crew: crew() } });
  const task = await client.submit({ taskId: "soup", type: "cook" });
  await until("it is with the member", async () => (await task.get()).state === "running");
  const second = await bridged({ members: { crew: crew() } });
  await until("the first one has stopped", () => !first.fleet.isConnected);
  expect(second.fleet.isConnected).toBe(true);
  await until("the second one has it", async () => (await task.get()).state === "running");
  await foreign.request("crew.result.soup", '{"id":"soup"}');
  expect(await task.wait()).toMatchObject({ state: "completed" });
});

it("publishes each rejection of a request that it overhears", async () => {
  const { fleet } = await bridged({
    requests: {
      overheard: request({
        from: { subject: "crew.ask" },
        schema: Id,
        screen: ({ id }) => ({ verdict: "rejected", publish: { subject: "crew.rejected", body: { id } } }),
        task: () => undefined,
        ack: "onAccepted",
      }),
    },
  });
  say("crew.ask", { id: "one" });
  say("crew.ask", { id: "two" });
  await until("both are said", async () => (await fleet.streamState("CREW_REJECTED")).messages === 2);
});
