/** A bridge between a real orchestrator and a foreign fleet that is played by plain NATS connections. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { agent } from "../../src/agent/agent.js";
import {
  announcedMembers,
  announcement,
  type BridgeDeclaration,
  defineBridge,
  member,
  publication,
  type RunningBridge,
  request,
  startBridge,
  staticMember,
} from "../../src/bridges/index.js";
import { type Client, connectClient } from "../../src/client/client.js";
import { type Connection, connect, type Message } from "../../src/jetstream/connection.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { silentLogger } from "../../src/logger.js";
import { type LocalSystem, startLocalSystem } from "../../src/testing/index.js";
import { worker } from "../../src/worker/worker.js";
import { workflow } from "../../src/workflow/definition.js";
import { until, untilSome } from "../support/until.js";

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const Order = z.object({ orderId: z.string(), amount: z.number() });
const Result = z.object({ id: z.string(), ok: z.boolean(), text: z.string() });
const Status = z.object({ id: z.string(), percent: z.number() });
const Extension = z.object({ name: z.string(), can: z.array(z.string()).optional() });

const topology = defineTopology("shop", {
  streams: {
    SHOP: { subjects: ["shop.order.>", "shop.done.>"], retention: "workqueue" },
    SHOP_JOBS: { subjects: ["shop.job.>"], retention: "limits" },
    SHOP_RESULTS: { subjects: ["shop.result.>"], retention: "limits" },
  },
  consumers: {
    orders: { stream: "SHOP", filterSubjects: ["shop.order.*"], ackWait: "1s", maxDeliver: 3 },
    done: { stream: "SHOP", filterSubjects: ["shop.done.>"] },
  },
});

const orders = (more: object = {}) =>
  request({
    from: { stream: "SHOP", consumer: "orders" },
    schema: Order,
    task: ({ orderId, amount }) => ({ taskId: orderId, type: "bill", input: { amount } }),
    ack: "onEnded" as const,
    outcome: (ended, { orderId }) =>
      ended.state === "completed"
        ? { subject: `shop.done.${orderId.length}`, body: { orderId, billed: ended.output } }
        : undefined,
    ...more,
  });

const cook = (more: object = {}) =>
  member({
    presence: staticMember({ agentId: "cook", capabilities: ["cook"], maxConcurrentTasks: 10 }),
    request: ({ input }, id) => ({ subject: `shop.job.${id}`, body: { id, dish: input } }),
    delivery: "atLeastOnce" as const,
    result: {
      from: { all: "shop.result.*", subject: (id) => `shop.result.${id}`, stream: "SHOP_RESULTS" },
      schema: Result,
      foreignId: ({ id }) => id,
      outcome: ({ ok, text }) =>
        ok
          ? { status: "completed", output: text, usage: { cost: 0.5, tokens: { input: 3, output: 4 }, model: "stove" } }
          : { status: "failed", error: { type: "BURNT", message: text } },
    },
    status: {
      subject: "shop.status.*",
      schema: Status,
      foreignId: (body) => Status.parse(body).id,
      progress: (body) => Status.parse(body).percent,
    },
    cancel: (_task, id) => ({ subject: "shop.cancel", body: { id }, via: "core" as const }),
    ...more,
  });

let system: LocalSystem;
let client: Client;
let foreign: Connection;
/** What the fleet was told, by subject. */
const heard: { readonly subject: string; readonly body: Record<string, unknown>; readonly message: Message }[] = [];
const running: { stop(): Promise<unknown> }[] = [];

beforeEach(async () => {
  system = await startLocalSystem({ logger: silentLogger });
  client = await connectClient({ servers: system.url });
  foreign = await connect({ servers: system.url, name: "foreign", logger: silentLogger });
  heard.length = 0;
  foreign.subscribe("shop.>", (message) => {
    const body = JSON.parse(new TextDecoder().decode(message.data)) as Record<string, unknown>;
    heard.push({ subject: message.subject, body, message });
  });
  await foreign.flush();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await Promise.all([client.close(), foreign.close()]);
  await system.stop();
});

async function bridged(declaration: BridgeDeclaration): Promise<RunningBridge> {
  const bridge = await startBridge(defineBridge("shop", { topology, ...declaration }), {
    servers: system.url,
    logger: silentLogger,
  });
  running.push(bridge);
  return bridge;
}

async function ownAgent(handle: (input: unknown, traceparent: string | undefined) => unknown): Promise<void> {
  const biller = agent("biller", {
    servers: system.url,
    maxConcurrentTasks: 10,
    tasks: { bill: (context, input) => handle(input, context.traceparent) },
    logger: silentLogger,
  });
  await biller.start();
  running.push(biller);
}

const say = (subject: string, body: unknown, headers: Record<string, string> = {}): Promise<unknown> =>
  foreign.request(subject, JSON.stringify(body), { timeoutMs: 5_000, headers });

const said = (prefix: string) =>
  untilSome(`the fleet hears ${prefix}`, () => heard.find(({ subject }) => subject.startsWith(prefix)));

const ordersLeft = async (bridge: RunningBridge): Promise<number> =>
  (await bridge.fleet.lag("SHOP", "orders")).ackPending + (await bridge.fleet.lag("SHOP", "orders")).pending;

it("makes a task of a foreign request, tells the outcome, and acknowledges only then", async () => {
  const bridge = await bridged({ requests: { orders: orders() } });
  let release: () => void = () => undefined;
  await ownAgent(async (input, traceparent) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { input, traceparent };
  });
  await say("shop.order.new", { orderId: "o-1", amount: 5 }, { traceparent: TRACE });
  await until("the task runs", async () => (await client.list()).tasks.some(({ state }) => state === "running"));
  expect(await ordersLeft(bridge)).toBe(1);
  release();
  const done = await said("shop.done");
  expect(done.body).toEqual({ orderId: "o-1", billed: { input: { amount: 5 }, traceparent: TRACE } });
  expect(done.message.header("traceparent")).toBe(TRACE);
  expect(done.message.header("Perdure-Task")).toBe("o-1");
  await until("it is acknowledged", async () => (await ordersLeft(bridge)) === 0);
  expect((await client.get("o-1")).metadata).toMatchObject({ bridge: "shop", request: "orders" });
});

it("does a request that is delivered again after the bridge died no second time", async () => {
  let count = 0;
  await ownAgent(() => {
    count += 1;
    return count;
  });
  const first = await bridged({ requests: { orders: orders({ outcome: () => ({ subject: "nowhere", body: {} }) }) } });
  await say("shop.order.new", { orderId: "o-2", amount: 5 });
  await client.wait("o-2", { timeoutMs: 10_000 }).catch(() => undefined);
  await first.stop();
  const second = await bridged({ requests: { orders: orders() } });
  expect((await said("shop.done")).body).toEqual({ orderId: "o-2", billed: 1 });
  await until("it is acknowledged", async () => (await ordersLeft(second)) === 0);
});

it("makes a dead letter of a request whose task failed, and does it anew when that is replayed", async () => {
  let isMended = false;
  await ownAgent(() => {
    if (!isMended) throw Object.assign(new Error("no money"), { nonRetryable: true });
    return "paid";
  });
  const { fleet } = await bridged({ requests: { orders: orders() } });
  await say("shop.order.new", { orderId: "o-3", amount: 5 });
  const [letter] = await untilLetters(fleet);
  expect(letter).toMatchObject({ reason: "failed", message: expect.stringContaining("no money"), attempts: 1 });
  isMended = true;
  await fleet.deadLetters.replay(letter?.id ?? 0);
  expect((await said("shop.done")).body).toEqual({ orderId: "o-3", billed: "paid" });
  expect(await client.get("o-3-r1")).toMatchObject({ state: "completed" });
});

it("makes a dead letter of a request whose rule throws at the outcome, and says why", async () => {
  await ownAgent(() => "billed");
  const outcome = () => {
    throw new TypeError("no such field");
  };
  const { fleet } = await bridged({ requests: { orders: orders({ outcome }) } });
  await say("shop.order.new", { orderId: "o-5", amount: 5 });
  const [letter] = await untilLetters(fleet);
  expect(letter).toMatchObject({ reason: "failed", attempts: 1 });
  expect(letter?.message).toMatch(/^BRIDGE_RULE_FAILED: .*o-5.*no such field/);
});

it.each([
  ["a subject", { all: "shop.result.*", subject: (id: string) => `shop.result.${id}`, stream: "SHOP_RESULTS" }, 0],
  ["a consumer", { stream: "SHOP", consumer: "done" }, 1],
])("fails a task whose rule throws at the answer, heard on %s", async (_what, from, letters) => {
  const bridge = await bridged({
    members: {
      cooks: cook({
        result: {
          from,
          schema: Result,
          foreignId: ({ id }: z.infer<typeof Result>) => id,
          outcome: () => {
            throw new TypeError("no such field");
          },
        },
      }),
    },
  });
  const handle = await client.submit({ taskId: "c-7", type: "cook" });
  await said("shop.job.c-7");
  await say(letters === 0 ? "shop.result.c-7" : "shop.done.c-7", { id: "c-7", ok: true, text: "hot" });
  expect(await handle.wait({ timeoutMs: 10_000 })).toMatchObject({
    state: "failed",
    attempt: 1,
    error: { type: "BRIDGE_RULE_FAILED", message: expect.stringContaining("no such field") },
  });
  if (letters > 0) expect(await untilLetters(bridge.fleet)).toMatchObject([{ reason: "failed", attempts: 1 }]);
});

it("tells the outcome of a request also where bridges were stopped as often as it may be delivered", async () => {
  let release: () => void = () => undefined;
  let count = 0;
  await ownAgent(() => {
    count += 1;
    return new Promise<string>((resolve) => {
      release = () => resolve("billed");
    });
  });
  for (let stops = 1; stops <= 3; stops += 1) {
    const bridge = await bridged({ requests: { orders: orders() } });
    if (stops === 1) await say("shop.order.new", { orderId: "o-6", amount: 5 });
    await until(
      "it is in hand",
      async () => (await bridge.fleet.lag("SHOP", "orders")).delivered.consumerSequence === stops,
    );
    await until("its task runs", async () => count === 1);
    await bridge.stop();
  }
  const { fleet } = await bridged({ requests: { orders: orders() } });
  await until(
    "it is nobody's any more",
    async () => (await fleet.streamState("PERDURE_EXHAUSTED_SHOP")).lastSequence === 1,
  );
  expect(heard.filter(({ subject }) => subject.startsWith("shop.done"))).toHaveLength(0);
  release();
  expect((await said("shop.done")).body).toEqual({ orderId: "o-6", billed: "billed" });
  await until("it is done with", async () => (await fleet.streamState("PERDURE_EXHAUSTED_SHOP")).messages === 0);
  expect(await fleet.deadLetters.count()).toBe(0);
  expect(count).toBe(1);
});

it("tells its owner that it ended, by a stop or because another process took its place", async () => {
  const first = await bridged({ requests: { orders: orders() } });
  const second = await bridged({ requests: { orders: orders() } });
  await expect(first.closed).rejects.toMatchObject({ code: "AGENT_SUPERSEDED" });
  expect(first.fleet.isConnected).toBe(false);
  await second.stop();
  await expect(second.closed).resolves.toBeUndefined();
});

const untilLetters = async ({ deadLetters }: RunningBridge["fleet"]) => {
  await until("there is a dead letter", async () => (await deadLetters.count()) > 0);
  return deadLetters.list();
};

it("shows a request to the screen before anything else, and never passes on what that rejects", async () => {
  await ownAgent(() => "billed");
  const screen = ({ amount }: z.infer<typeof Order>) =>
    amount > 100
      ? {
          verdict: "rejected" as const,
          publish: { subject: "shop.rejected", body: { why: "too much" }, via: "core" as const },
        }
      : { verdict: "pass" as const };
  const bridge = await bridged({ requests: { orders: orders({ screen }) } });
  await say("shop.order.new", { orderId: "o-4", amount: 500 });
  expect((await said("shop.rejected")).body).toEqual({ why: "too much" });
  await until("it is acknowledged", async () => (await ordersLeft(bridge)) === 0);
  await expect(client.get("o-4")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

it("translates foreign ids that are no ids of ours", async () => {
  await ownAgent(() => "billed");
  await bridged({ requests: { orders: orders() } });
  await say("shop.order.new", { orderId: "Ordre n° 7/8", amount: 5 });
  await said("shop.done");
  expect((await client.list()).tasks).toMatchObject([{ taskId: expect.stringMatching(/^Ordre-n-7-8-[0-9a-f]{16}$/) }]);
});

it("gives a task to a foreign member in its own words and takes its answer, news and cost", async () => {
  await bridged({ members: { cooks: cook() } });
  const handle = await client.submit({ taskId: "c-1", type: "cook", input: "soup" }, { traceparent: TRACE });
  const job = await said("shop.job.c-1");
  expect(job.body).toEqual({ id: "c-1", dish: "soup" });
  expect(job.message.header("traceparent")).toBe(TRACE);
  foreign.publish("shop.status.c-1", JSON.stringify({ id: "c-1", percent: 40 }));
  await until("the news are there", async () => JSON.stringify((await handle.get()).progress ?? "").includes("40"));
  await say("shop.result.c-1", { id: "c-1", ok: true, text: "hot" });
  expect(await handle.wait()).toMatchObject({ state: "completed", output: "hot", usage: { cost: 0.5 } });
});

it("ends a task with the failure that a member answers, and asks no second time", async () => {
  await bridged({ members: { cooks: cook() } });
  const handle = await client.submit({ taskId: "c-2", type: "cook" });
  await said("shop.job.c-2");
  await say("shop.result.c-2", { id: "c-2", ok: false, text: "black" });
  expect(await handle.wait()).toMatchObject({
    state: "failed",
    attempt: 1,
    error: { type: "BURNT", message: "black" },
  });
  expect(heard.filter(({ subject }) => subject.startsWith("shop.job"))).toHaveLength(1);
});

it("fails a task for good whose member says nothing in time", async () => {
  await bridged({ members: { cooks: cook({ answerWithinMs: () => 200 }) } });
  const handle = await client.submit({ taskId: "c-3", type: "cook" });
  expect(await handle.wait()).toMatchObject({ state: "failed", attempt: 1, error: { type: "MEMBER_SILENT" } });
});

it.each([
  ["asks once in all at most once", "atMostOnce", 1],
  ["asks again under the same message id at least once", "atLeastOnce", 1],
] as const)("%s when a new bridge takes over, and takes an answer given in between", async (_what, delivery, asked) => {
  const first = await bridged({ members: { cooks: cook({ delivery }) } });
  const waiting = await client.submit({ taskId: "c-4", type: "cook" });
  const answered = await client.submit({ taskId: "c-5", type: "cook" });
  await said("shop.job.c-4");
  await said("shop.job.c-5");
  await until("the orchestrator knows", async () => (await waiting.get()).progress !== undefined);
  await until("the orchestrator knows", async () => (await answered.get()).progress !== undefined);
  await first.stop();
  await say("shop.result.c-5", { id: "c-5", ok: true, text: "meanwhile" });
  const second = await bridged({ members: { cooks: cook({ delivery }) } });
  expect(await answered.wait()).toMatchObject({ state: "completed", output: "meanwhile" });
  await until("the other is at the new one", async () => (await waiting.get()).state === "running");
  await say("shop.result.c-4", { id: "c-4", ok: true, text: "late" });
  expect(await waiting.wait()).toMatchObject({ state: "completed", output: "late" });
  expect((await second.fleet.streamState("SHOP_JOBS")).messages).toBe(asked + 1);
});

it("tells a member of a cancellation", async () => {
  await bridged({ members: { cooks: cook() } });
  const handle = await client.submit({ taskId: "c-6", type: "cook" });
  await said("shop.job.c-6");
  await handle.cancel();
  expect((await said("shop.cancel")).body).toEqual({ id: "c-6" });
  expect(await handle.wait()).toMatchObject({ state: "cancelled" });
});

it("hears a task that somebody else gave to a member, without giving it again", async () => {
  await bridged({
    requests: {
      seen: request({
        from: { subject: "shop.job.*" },
        schema: z.object({ id: z.string(), dish: z.string() }),
        task: ({ id, dish }) => ({ taskId: id, type: "cook", input: dish, metadata: { seen: true } }),
        ack: "onAccepted",
      }),
    },
    members: {
      cooks: cook({
        request: ({ metadata, input }: { metadata: object; input: unknown }, id: string) =>
          "seen" in metadata ? undefined : { subject: `shop.job.${id}`, body: { id, dish: input } },
      }),
    },
  });
  await say("shop.job.old-1", { id: "old-1", dish: "stew" });
  await until("it is a task", async () => (await client.list()).tasks.some(({ state }) => state === "running"));
  await say("shop.result.old-1", { id: "old-1", ok: true, text: "tender" });
  expect(await client.wait("old-1")).toMatchObject({ state: "completed", output: "tender", input: "stew" });
  const own = await client.submit({ taskId: "own-1", type: "cook", input: "pie" });
  await said("shop.job.own-1");
  await say("shop.result.own-1", { id: "own-1", ok: true, text: "crisp" });
  expect(await own.wait()).toMatchObject({ state: "completed" });
  expect(heard.filter(({ subject }) => subject.startsWith("shop.job"))).toHaveLength(2);
});

const extensions = () =>
  cook({
    presence: announcedMembers({
      announce: announcement("shop.ext.announce", Extension, ({ name, can = [] }) => ({
        agentId: name,
        capabilities: can,
      })),
      heartbeat: announcement("shop.ext.heartbeat", Extension, ({ name }) => ({ agentId: name, metrics: { heat: 7 } })),
      goodbye: announcement("shop.ext.goodbye", Extension, ({ name }) => name),
      lostAfterMs: 600,
    }),
  });

const agentState = async (agentId: string) =>
  (await client.status()).agentStatuses.find((one) => one.agentId === agentId)?.state;

it("makes agents of members that announce themselves, while they are heard of", async () => {
  await bridged({ members: { extensions: extensions() } });
  foreign.publish("shop.ext.announce", JSON.stringify({ name: "oven", can: ["bake"] }));
  foreign.publish("shop.ext.announce", JSON.stringify({ name: "grill", can: ["grill"] }));
  await until(
    "both are there",
    async () => (await agentState("oven")) === "healthy" && (await agentState("grill")) === "healthy",
  );
  const baked = await client.submit({ taskId: "b-1", type: "bake" });
  await said("shop.job.b-1");
  const beat = setInterval(() => foreign.publish("shop.ext.heartbeat", JSON.stringify({ name: "oven" })), 100);
  try {
    await until("the silent one is gone", async () => (await agentState("grill")) !== "healthy");
    expect(await agentState("oven")).toBe("healthy");
    await say("shop.result.b-1", { id: "b-1", ok: true, text: "brown" });
    expect(await baked.wait()).toMatchObject({ state: "completed", agentId: "oven" });
    foreign.publish("shop.ext.goodbye", JSON.stringify({ name: "oven" }));
    await until("the other said goodbye", async () => (await agentState("oven")) !== "healthy");
  } finally {
    clearInterval(beat);
  }
});

it("lets a workflow speak to the fleet, once however often it is tried", async () => {
  const declared = {
    publications: {
      note: publication({
        schema: z.object({ about: z.string() }),
        to: ({ about }) => ({ subject: `shop.result.note-${about}`, body: { id: about, ok: true, text: "said" } }),
      }),
    },
  };
  await bridged(declared);
  const { tasks } = defineBridge("shop", declared);
  const speak = workflow("speak", {}, async (ctx) => {
    await ctx.task(tasks.note, { about: "x" });
    return "spoken";
  });
  running.push(await worker({ servers: system.url, workflows: [speak], logger: silentLogger }));
  expect(await client.result((await client.start(speak, undefined)).workflowId)).toBe("spoken");
  expect((await said("shop.result.note-x")).body).toEqual({ id: "x", ok: true, text: "said" });
});

it("shows what waits in its consumers among the figures of its agent", async () => {
  const bridge = await bridged({ requests: { orders: orders() } });
  await until("the figures are there", async () => {
    const { agentStatuses } = await client.status();
    const own = agentStatuses.find(({ agentId }) => agentId === "bridge-shop");
    return own?.metrics?.["pending SHOP/orders"] === 0 && own.metrics["dead letters"] === 0;
  });
  expect(await bridge.health()).toMatchObject({ isConnected: true, deadLetterCount: 0 });
});
