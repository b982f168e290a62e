// Perdure as a peer of a side-by-side benchmark of durable engines. The harness finds this file through
// BENCH_ADAPTERS=<this folder> and gives each engine the same flows; see bench/README.md.
//
//   perdure        each flow is a workflow, a step is `ctx.step`: code that runs in the workflow's worker
//   perdure:task   the same, with each step a task for an agent (`ctx.task`), in the worker's process too
// `task` is a plain task for an agent in both.
//
// Durability: nats-server with `sync_interval: always`; a submission is answered after its fact is fsynced.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { agent, connectClient, worker, workflow } from "../../dist/src/index.js";
import { createLogger } from "../../dist/src/logger.js";

const CLI = path.resolve(import.meta.dirname, "../../dist/src/cli/main.js");
const FLOWS = ["one", "three", "fan", "nap", "slow3", "task"];

export default (variant) => ({
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

  async worker({ url }, { flows, concurrency }) {
    // What a step does crosses to the agent by name: the flows' own functions stay in this process.
    const steps = new Map();
    const stepOf = (ctx) => (name, run) => {
      if (variant !== "task") return ctx.step(name, run);
      // The same place in the code gives the same key in each replay.
      const key = `${ctx.info.runId}/${name}`;
      steps.set(key, run);
      return ctx.task("step", key, { timeouts: { startToClose: "10s" } });
    };
    const code = (flow) => (ctx, input) =>
      flows[flow]({ step: stepOf(ctx), all: (all) => Promise.all(all), sleep: (_name, ms) => ctx.sleep(ms) }, input);
    const workflows = FLOWS.filter((flow) => flow !== "task").map((flow) => workflow(flow, {}, code(flow)));
    const logger = createLogger("error");
    const workflowWorker = await worker({
      id: "bench-workflows",
      servers: url,
      workflows,
      maxConcurrentTasks: 2_000,
      logger,
    });
    const plain = { step: (_name, run) => run(), all: (all) => Promise.all(all) };
    const agentOfTasks = agent("bench-agent", {
      servers: url,
      maxConcurrentTasks: Math.max(concurrency, 200),
      tasks: {
        task: (_ctx, input) => flows.task(plain, input),
        step: (_ctx, key) => steps.get(key)(),
      },
      logger,
    });
    await agentOfTasks.start();
    return { stop: () => Promise.all([workflowWorker.stop(), agentOfTasks.stop()]) };
  },

  async client({ url }) {
    const client = await connectClient({ servers: url });
    const start = async (flow, id, input) => {
      if (flow === "task") await client.submit({ taskId: id, type: "task", input });
      else await client.start(flow, input, { workflowId: id });
      return id;
    };
    return {
      flows: FLOWS,
      start,
      attach: async (_flow, id) => id,
      result: (id) => client.result(id),
      close: () => client.close(),
    };
  },
});
