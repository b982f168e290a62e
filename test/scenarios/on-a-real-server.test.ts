/** The same samples as an application runs them: nats-server, orchestrator, agents and workers of their own. */
import {
  type Agent,
  type AgentOptions,
  agent,
  connectClient,
  silentLogger,
  task,
  type WorkerOptions,
  worker,
  workflow,
} from "perdure";
import { type LocalSystem, replay, startLocalSystem } from "perdure/testing";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { until } from "../support/until.js";

let system: LocalSystem;
beforeAll(async () => {
  system = await startLocalSystem({ logger: silentLogger });
});
afterAll(() => system.stop());

async function startAgent(id: string, tasks: AgentOptions["tasks"]) {
  const started = agent(id, { servers: system.url, logger: silentLogger, maxConcurrentTasks: 50, tasks });
  await started.start();
  onTestFinished(() => started.stop());
  return started;
}

async function startWorker(...workflows: WorkerOptions["workflows"]) {
  const started = await worker({ servers: system.url, workflows, logger: silentLogger });
  onTestFinished(() => started.stop());
  return started;
}

async function connect() {
  const client = await connectClient({ servers: system.url });
  onTestFinished(() => client.close());
  return client;
}
const finish = { signals: { finish: z.void() } } as const;

test("hello: an agent greets, a worker replays, a client waits", async () => {
  const greet = task("greet", { input: z.string(), output: z.string(), timeouts: { startToClose: "1m" } });
  const example = workflow("example", { input: z.string(), output: z.string() }, (ctx, name) => ctx.task(greet, name));
  await startAgent("greeter", { greet: (_, name) => `Hello, ${name}!` });
  await startWorker(example);
  const run = await (await connect()).start(example, "Temporal");
  expect(await run.result()).toBe("Hello, Temporal!");
});

test("heartbeats: the next attempt goes on where the last one was, and a cancellation reaches it", async () => {
  const walk = task("walk", { heartbeat: "10s", timeouts: { startToClose: "1m" }, retry: { initialIntervalMs: 1 } });
  const walking = workflow("walking", {}, (ctx) => ctx.task(walk));
  const startedAt: unknown[] = [];
  let stopped = false;
  await startAgent("walker", {
    walk: async ({ heartbeatDetails, progress, signal }) => {
      startedAt.push(heartbeatDetails);
      if (heartbeatDetails === undefined) {
        progress({ step: 41 });
        throw new Error("tripped");
      }
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      stopped = true;
      signal.throwIfAborted();
    },
  });
  await startWorker(walking);
  const run = await (await connect()).start(walking, undefined);
  await until("the second attempt runs", () => startedAt.length === 2);
  await run.cancel();
  expect(await run.wait()).toMatchObject({ state: "cancelled" });
  expect(startedAt).toEqual([undefined, { step: 41 }]);
  expect(stopped).toBe(true);
});

test("an agent that is stopped hands its task back, and the next one goes on where it was in the same attempt", async () => {
  const climb = task("climb", { output: z.string(), heartbeat: "10s", retry: { maximumAttempts: 1 } });
  const climbing = workflow("climbing", { output: z.string() }, (ctx) => ctx.task(climb));
  let begun = false;
  const first = await startAgent("first-climber", {
    climb: async ({ progress, signal }) => {
      progress({ camp: 3 });
      begun = true;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      signal.throwIfAborted();
    },
  });
  await startWorker(climbing);
  const client = await connect();
  const run = await client.start(climbing, undefined);
  await until("the first agent climbs", () => begun);
  await until("its progress is known", async () => {
    const { tasks } = await client.list({ workflowId: run.workflowId, type: "climb" });
    return JSON.stringify(tasks).includes("camp");
  });
  await first.stop();
  await startAgent("second-climber", {
    climb: ({ heartbeatDetails, attempt }) => `${JSON.stringify(heartbeatDetails)} in attempt ${attempt}`,
  });
  expect(await run.result()).toBe('{"camp":3} in attempt 1');
});

test("signals that come while no worker is there are handled in their order by the first that comes", async () => {
  const collecting = workflow(
    "collecting",
    { output: z.array(z.int()), signals: { number: z.int(), finish: z.void() } },
    async (ctx) => {
      const numbers: number[] = [];
      ctx.onSignal("number", (n) => void numbers.push(n));
      await ctx.signal("finish");
      return numbers;
    },
  );
  const client = await connect();
  const run = await client.start(collecting, undefined, { signal: { name: "number", input: 0 } });
  for (let n = 1; n <= 20; n++) await run.signal("number", n);
  await run.signal("finish");
  await startWorker(collecting);
  expect(await run.result()).toEqual(Array.from({ length: 21 }, (_, n) => n));
});

test("an account that continues as new loses no signal that comes meanwhile", async () => {
  const account = workflow(
    "account",
    { input: z.array(z.int()), output: z.array(z.int()), signals: { enter: z.int(), close: z.void() } },
    async (ctx, before) => {
      const entries = [...before];
      let closing = false;
      ctx.onSignal("enter", (entry) => void entries.push(entry));
      ctx.onSignal("close", () => {
        closing = true;
      });
      await ctx.condition(() => closing || entries.length >= before.length + 5);
      return closing ? entries : ctx.continueAsNew(entries);
    },
  );
  await startWorker(account);
  const run = await (await connect()).start(account, []);
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  await Promise.all(numbers.map((n) => run.signal("enter", n)));
  await run.signal("close");
  expect((await run.result()).toSorted((a, b) => a - b)).toEqual(numbers);
});

test("early return: an update answers while the workflow that it confirms goes on", async () => {
  const transaction = workflow(
    "transaction",
    { output: z.int(), updates: { confirmation: { output: z.string() } }, ...finish },
    async (ctx) => {
      let confirmed = false;
      ctx.onUpdate("confirmation", async () => {
        await ctx.condition(() => confirmed);
        return "confirmed";
      });
      await ctx.step("authorize", () => true);
      confirmed = true;
      await ctx.signal("finish");
      return 77;
    },
  );
  await startWorker(transaction);
  const run = await (await connect()).start(transaction, undefined, { workflowId: "transaction-1" });
  expect(await run.update("confirmation")).toBe("confirmed");
  expect(await run.describe()).toMatchObject({ state: "running" });
  await run.signal("finish");
  expect(await run.result()).toBe(77);
});

test("a deployment: runs of the old code go on as they were begun, new ones take the patch", async () => {
  const before = workflow("patched", { output: z.string(), ...finish }, async (ctx) => {
    const by = await ctx.step("a", () => "A");
    await ctx.signal("finish");
    return by;
  });
  const after = workflow("patched", { output: z.string(), ...finish }, async (ctx) => {
    const by = ctx.patched("b") ? await ctx.step("b", () => "B") : await ctx.step("a", () => "A");
    await ctx.signal("finish");
    return by;
  });
  const client = await connect();
  const oldWorker = await startWorker(before);
  const old = await client.start(before, undefined);
  await until("the first step is recorded", async () =>
    (await old.history()).some(({ type }) => type === "StepCompleted"),
  );
  await oldWorker.drain();
  await startWorker(after);
  const begunAfter = await client.start(after, undefined);
  for (const run of [old, begunAfter]) await run.signal("finish");
  expect([await old.result(), await begunAfter.result()]).toEqual(["A", "B"]);
});

test("children: an abandoned one outlives its parent, another one ends with it", async () => {
  const child = workflow("child", finish, (ctx) => ctx.signal("finish"));
  const parent = workflow("parent", {}, async (ctx) => {
    await ctx.startChild(child, undefined, { workflowId: "kept", parentClosePolicy: "abandon" });
    await ctx.startChild(child, undefined, { workflowId: "taken-along", parentClosePolicy: "requestCancel" });
  });
  await startWorker(parent, child);
  const client = await connect();
  await (await client.start(parent, undefined)).result();
  expect(await client.workflow("taken-along").wait()).toMatchObject({ state: "cancelled" });
  expect(await client.workflow("kept").describe()).toMatchObject({ state: "running" });
  await client.workflow(child, "kept").signal("finish");
  expect(await client.workflow("kept").wait()).toMatchObject({ state: "completed" });
});

test("reset: a run that decided wrongly decides again by mended code, and sees again what came since", async () => {
  const declared = { output: z.string(), signals: { item: z.string(), finish: z.void() } } as const;
  const shop = (decide: (items: readonly string[]) => string) =>
    workflow("shop", declared, async (ctx) => {
      const items: string[] = [];
      ctx.onSignal("item", (item) => void items.push(item));
      const order = await ctx.step("number", () => crypto.randomUUID());
      await ctx.condition(() => items.length > 0);
      const decision = decide(items);
      await ctx.signal("finish");
      return `${order.length} ${decision}, ${items.length} in all`;
    });
  const [wrong, mended] = [shop((items) => `refused ${items[0]}`), shop((items) => `sold ${items[0]}`)];
  const old = await startWorker(wrong);
  const client = await connect();
  const run = await client.start(wrong, undefined);
  await run.signal("item", "book");
  await until("the decision is taken", async () => {
    const events = await run.history();
    return events.at(-1)?.type === "WorkflowTaskCompleted" && events.some(({ type }) => type.endsWith("Signaled"));
  });
  const decidedAt = (await run.history()).at(-1)?.eventId ?? 0;
  await run.signal("item", "pen");
  await run.signal("finish");
  expect(await run.result()).toBe("36 refused book, 2 in all");

  await old.stop();
  await startWorker(mended);
  const { runId } = await run.reset({ to: decidedAt, reason: "it refused what it should have sold" });

  expect(await run.result()).toBe("36 sold book, 2 in all");
  expect((await run.describe()).run?.runId).toBe(runId);
  expect(await replay({ workflows: [mended], history: await run.history() })).toEqual({ ok: true });
});

test("a host of its own: what was begun where a file is goes on there, and anew on another host when that is gone", async () => {
  const which = task("which-host", { output: z.string() });
  const onHost = (host: string) => ({ needs: [`host:${host}`], timeouts: { scheduleToStart: "300ms" } }) as const;
  const count = workflow("count", { output: z.array(z.string()) }, async (ctx) => {
    const tried: string[] = [];
    for (;;) {
      const host = await ctx.task(which);
      tried.push(host);
      try {
        await ctx.task("fetch-file", undefined, onHost(host));
        return [...tried, String(await ctx.task("count-words", undefined, onHost(host)))];
      } catch (error) {
        if (tried.length === 3) throw error;
      }
    }
  });
  const startHost = async (host: string, afterFetch: (self: Agent) => void) => {
    let file = "";
    const self = agent(`at-${host}`, {
      servers: system.url,
      logger: silentLogger,
      capabilities: ["which-host", `host:${host}`],
      maxConcurrentTasks: 10,
      tasks: {
        "which-host": () => host,
        "fetch-file": () => {
          file = "three words here";
          afterFetch(self);
        },
        "count-words": () => file.split(" ").length,
      },
    });
    await self.start();
    onTestFinished(() => self.stop());
    return self;
  };
  const first = await startHost("h1", (self) => void self.drain());
  await startWorker(count);
  const run = await (await connect()).start(count, undefined);
  await first.closed;
  await startHost("h2", () => undefined);
  expect(await run.result()).toEqual(["h1", "h2", "3"]);
});

test("recovery: open runs begin again with the signals that they had, once each, although who does it fails half-way", async () => {
  const trip = workflow(
    "trip",
    { input: z.string(), output: z.array(z.string()), signals: { stop: z.string(), finish: z.void() } },
    async (ctx, by) => {
      const stops: string[] = [by];
      ctx.onSignal("stop", (where) => void stops.push(where));
      await ctx.signal("finish");
      return stops;
    },
  );
  const recover = workflow("recover", { output: z.unknown() }, async (ctx) => {
    const ids = await ctx.step("list", async () => {
      const { tasks } = await client.list({ type: "workflow:trip", states: ["running"] });
      return tasks.map(({ taskId }) => taskId).toSorted();
    });
    return await ctx.task("begin-again", ids, { heartbeat: "10s", retry: { initialIntervalMs: 1 } });
  });
  const client = await connect();
  await startWorker(trip, recover);
  const begun: string[] = [];
  await startAgent("recoverer", {
    "begin-again": async ({ heartbeatDetails, progress }, ids: string[]) => {
      let done = typeof heartbeatDetails === "number" ? heartbeatDetails : 0;
      for (const id of ids.slice(done)) {
        const old = client.workflow(trip, id);
        const stops = (await old.history()).flatMap((event) =>
          event.type === "WorkflowExecutionSignaled" && event.signalName === "stop" ? [String(event.input)] : [],
        );
        await old.terminate("begins again");
        const run = await client.start(trip, "by bus", { workflowId: id, idReusePolicy: "allowDuplicate" });
        for (const stop of stops) await run.signal("stop", stop);
        begun.push(id);
        done += 1;
        progress(done);
        if (begun.length === 2) throw new Error("the machine went down");
      }
      return done;
    },
  });
  const trips = await Promise.all(
    ["t1", "t2", "t3"].map((workflowId) => client.start(trip, "by train", { workflowId })),
  );
  for (const [n, run] of trips.entries()) {
    await run.signal("stop", `Bern ${n}`);
    await run.signal("stop", `Rome ${n}`);
  }
  expect(await (await client.start(recover, undefined)).result()).toBe(3);
  expect(begun).toEqual(["t1", "t2", "t3"]);
  for (const run of trips) await run.signal("finish");
  expect(await Promise.all(trips.map((run) => run.result()))).toEqual(
    [0, 1, 2].map((n) => ["by bus", `Bern ${n}`, `Rome ${n}`]),
  );
});
