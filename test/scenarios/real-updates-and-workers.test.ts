/** Scenarios that need workers that come and go, on a real nats-server and orchestrator as docs/testing-workflows.md starts them. */
import {
  type Agent,
  type AnyWorkflow,
  agent,
  type Client,
  connectClient,
  silentLogger,
  task,
  worker,
  workflow,
} from "perdure";
import { type LocalSystem, startLocalSystem } from "perdure/testing";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { until } from "../support/until.js";

let system: LocalSystem;
let client: Client;
const agents: Agent[] = [];

beforeAll(async () => {
  system = await startLocalSystem();
  client = await connectClient({ servers: system.url });
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((each) => each.stop()));
});
afterAll(async () => {
  await client.close();
  await system.stop();
});

async function workerOf(workflows: readonly AnyWorkflow[], maxCachedRuns = 1_000): Promise<Agent> {
  const started = await worker({ servers: system.url, workflows, maxCachedRuns, logger: silentLogger });
  agents.push(started);
  return started;
}

const collector = workflow(
  "collector",
  { output: z.array(z.string()), updates: { add: { input: z.string(), output: z.array(z.string()) }, done: {} } },
  async (ctx) => {
    const state: string[] = [];
    ctx.onUpdate("add", (item) => {
      state.push(item);
      return state;
    });
    ctx.onUpdate("done", () => {
      state.push("done");
    });
    await ctx.condition(() => state.includes("done"));
    return [...state, "$"];
  },
);

it("updates that were sent before there was a worker are handled in order in the first turn", async () => {
  const run = await client.start(collector, undefined);
  const answers = [run.update("add", "1"), run.update("add", "2"), run.update("done")];
  await workerOf([collector]);
  expect(await run.result()).toEqual(["1", "2", "done", "$"]);
  expect((await Promise.all(answers)).slice(0, 2)).toEqual([["1"], ["1", "2"]]);
});

it("an update whose worker is replaced while it waits for a task is answered all the same", async () => {
  let hasBegun = false;
  let letGo: (() => void) | undefined;
  const block = task("block", { timeouts: { scheduleToClose: "1 minute" } });
  const adder = workflow(
    "adder",
    {
      output: z.number(),
      signals: { shutdown: z.undefined() },
      updates: { fetchAndAdd: { input: z.number(), output: z.number() } },
    },
    async (ctx) => {
      let counter = 0;
      ctx.onUpdate("fetchAndAdd", async (addend) => {
        await ctx.task(block);
        const before = counter;
        counter += addend;
        return before;
      });
      await ctx.signal("shutdown");
      return counter;
    },
  );
  const blocking = agent("blocking", {
    servers: system.url,
    logger: silentLogger,
    tasks: {
      block: () => {
        hasBegun = true;
        return new Promise<void>((resolve) => {
          letGo = resolve;
        });
      },
    },
  });
  agents.push(blocking);
  await blocking.start();
  const first = await workerOf([adder]);
  const run = await client.start(adder, undefined);
  const answer = run.update("fetchAndAdd", 1);
  await until("the task has begun", () => hasBegun);
  await first.stop();
  await workerOf([adder]);
  letGo?.();
  expect(await answer).toBe(0);
  await run.signal("shutdown");
  expect(await run.result()).toBe(1);
});

it("what a run read from the clock and from chance is the same in another worker", async () => {
  const reader = workflow("reader", { queries: { reading: {} }, signals: { finish: z.undefined() } }, async (ctx) => {
    const reading = [Date.now(), Math.random(), crypto.randomUUID()];
    ctx.onQuery("reading", () => reading);
    await ctx.signal("finish");
    return reading;
  });
  const first = await workerOf([reader]);
  const run = await client.start(reader, undefined);
  const reading = await run.query("reading");
  await first.drain();
  await workerOf([reader]);
  expect(await run.query("reading")).toEqual(reading);
  await run.signal("finish");
  expect(await run.result()).toEqual(reading);
});

it("a run that is stuck on a TypeError is healed by a worker with mended code, and has lost nothing", async () => {
  const declared = { output: z.string(), signals: { name: z.string() } } as const;
  const broken = workflow("greeter", declared, async (ctx) => {
    const name: unknown = await ctx.signal("name");
    return (name as { first: string }).first.toUpperCase();
  });
  const mended = workflow("greeter", declared, async (ctx) => (await ctx.signal("name")).toUpperCase());
  const first = await workerOf([broken]);
  const run = await client.start(broken, undefined);
  await run.signal("name", "ada");
  await until("the run is stuck", async () => (await run.describe()).state === "stuck");
  expect(await client.explain(run.workflowId)).toContain("TypeError");
  await first.stop();
  await workerOf([mended]);
  expect(await run.result()).toBe("ADA");
});

it("signals from many senders and queries between them agree, while the worker keeps no run in its memory", async () => {
  const counter = workflow(
    "counter",
    {
      output: z.number(),
      signals: { add: z.number(), finish: z.undefined() },
      queries: { count: { output: z.number() } },
    },
    async (ctx) => {
      let count = 0;
      ctx.onSignal("add", (n) => {
        count += n;
      });
      ctx.onQuery("count", () => count);
      await ctx.signal("finish");
      return count;
    },
  );
  await workerOf([counter], 0);
  const run = await client.start(counter, undefined);
  await Promise.all(
    Array.from({ length: 20 }, async (_, sender) => {
      await run.signal("add", 1, { signalId: `s-${sender}` });
      await run.signal("add", 1, { signalId: `s-${sender}` });
      expect(await run.query("count")).toBeGreaterThan(0);
    }),
  );
  expect(await run.query("count")).toBe(20);
  await run.signal("finish");
  expect(await run.result()).toBe(20);
  expect(await run.query("count")).toBe(20);
});
