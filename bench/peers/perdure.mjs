// Perdure as a peer of a side-by-side benchmark of durable engines. The harness finds this file through
// BENCH_ADAPTERS=<this folder> and gives each engine the same flows; see bench/README.md.
//
// Until workflows in code exist, a flow is what a task queue makes of it, as for the other task queues compared there:
//   one, task: one task      three, slow3: a chain of three tasks      fan: 100 tasks and a join that depends on them
// `nap` (a durable sleep inside a workflow) is not there yet.
//
// Durability: nats-server with `sync_interval: always`; a submission is answered after its fact is fsynced.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { agent, connectClient } from "../../dist/src/index.js";

const CLI = path.resolve(import.meta.dirname, "../../dist/src/cli/main.js");
const STEP_MS = 100;
const FLOWS = ["one", "three", "fan", "slow3", "task"];

export default () => ({
  topology: "split",
  durability: "JetStream file store, fsync before acknowledging (sync_interval always)",

  async startServer() {
    const dataDir = path.join(process.env.BENCH_DATA ?? os.tmpdir(), "perdure-bench");
    rmSync(dataDir, { recursive: true, force: true });
    mkdirSync(dataDir, { recursive: true });
    const startedAt = performance.now();
    const child = spawn(
      process.execPath,
      [CLI, "dev", "--store-dir", dataDir, "--nats-port", "0", "--log-level", "warn"],
      {
        stdio: ["ignore", "pipe", process.env.BENCH_DEBUG ? "inherit" : "ignore"],
      },
    );
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const url = await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.startsWith("ready ")) resolve(line.split(" ")[1]);
      });
      exited.then((code) => reject(new Error(`perdure dev ended with ${code}`))).catch(reject);
    });
    const stop = async () => {
      child.kill("SIGTERM");
      await exited;
    };
    return { pids: [child.pid], url, dataDir, startMs: performance.now() - startedAt, stop };
  },

  async worker({ url }, { flows, stepLog, concurrency }) {
    const plain = { step: (_name, run) => run(), all: (steps) => Promise.all(steps) };
    const only = (results) => Object.values(results)[0];
    const { work, slowStep } = await import(path.join(path.dirname(process.argv[1]), "flows.mjs"));
    const worker = agent("bench-worker", {
      servers: url,
      maxConcurrentTasks: concurrency,
      tasks: {
        one: (_ctx, input) => flows.one(plain, input),
        task: (_ctx, input) => flows.task(plain, input),
        step: (_ctx, input) => work(input, input.i),
        slowStep: (_ctx, input) => slowStep(input, input.i, stepLog),
        // The last link of a chain: its own step runs here, the two before it were tasks.
        three: (ctx, input) =>
          flows.three({ step: (name, run) => (name === "c" ? run() : only(ctx.dependencyResults)) }, input),
        slow3: async (ctx, input) => {
          const last = await slowStep(input, 2, stepLog);
          return { tEnd: performance.timeOrigin + performance.now(), c: last, b: only(ctx.dependencyResults) };
        },
        fan: (ctx) => ({
          n: Object.keys(ctx.dependencyResults).length,
          tEnd: performance.timeOrigin + performance.now(),
        }),
      },
    });
    await worker.start();
    return { stop: () => worker.stop() };
  },

  async client({ url }) {
    const client = await connectClient({ servers: url });
    const timeoutMs = 20 * STEP_MS;
    const chain = (last, step, id, input, options = {}) => [
      { taskId: `${id}-0`, type: step, input: { ...input, i: 0 }, ...options },
      { taskId: `${id}-1`, type: step, input: { ...input, i: 1 }, dependencies: [`${id}-0`], ...options },
      { taskId: id, type: last, input, dependencies: [`${id}-1`], ...options },
    ];
    const submissions = {
      one: (id, input) => client.submit({ taskId: id, type: "one", input }),
      task: (id, input) => client.submit({ taskId: id, type: "task", input }),
      three: (id, input) => client.submitAll(chain("three", "step", id, input)),
      slow3: (id, input) => client.submitAll(chain("slow3", "slowStep", id, input, { timeoutMs })),
      fan: (id, input) => {
        const branches = Array.from({ length: input.width }, (_, i) => ({
          taskId: `${id}-${i}`,
          type: "step",
          input: { id, pad: input.pad, i },
        }));
        const dependencies = branches.map((branch) => branch.taskId);
        return client.submitAll([...branches, { taskId: id, type: "fan", input, dependencies }]);
      },
    };
    return {
      flows: FLOWS,
      start: async (flow, id, input) => {
        await submissions[flow](id, input);
        return id;
      },
      attach: async (_flow, id) => id,
      result: (id) => client.result(id),
      close: () => client.close(),
    };
  },
});
