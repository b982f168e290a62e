/** After Temporal's sample safe-message-handlers: updates that overlap take turns at a lock, across runs of the workflow. */
import { ApplicationFailure, isCancellation, type WorkflowContext, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

/** One at a time. What becomes true wakes all that wait for it, so whoever is woken looks again. */
function lock(ctx: Pick<WorkflowContext, "condition">) {
  let taken = false;
  return async <T>(code: () => Promise<T>): Promise<T> => {
    while (taken) await ctx.condition(() => !taken);
    taken = true;
    try {
      return await code();
    } finally {
      taken = false;
    }
  };
}

const Nodes = z.record(z.string(), z.string());

const clusterManager = workflow(
  "cluster-manager",
  {
    input: z.object({ nodes: Nodes, started: z.boolean() }),
    output: Nodes,
    signals: { start: z.void(), shutdown: z.void() },
    updates: {
      assign: {
        input: z.object({ job: z.string(), count: z.number() }),
        output: z.object({ nodes: z.array(z.string()), runId: z.string() }),
      },
      remove: { input: z.string() },
    },
  },
  async (ctx, state) => {
    const nodes = new Map(Object.entries(state.nodes));
    let { started } = state;
    let shutDown = false;
    const exclusively = lock(ctx);
    const nodesOf = (job: string) => [...nodes].filter(([, of]) => of === job).map(([node]) => node);
    ctx.onSignal("start", () => {
      started = true;
    });
    ctx.onSignal("shutdown", () => {
      shutDown = true;
    });
    ctx.onUpdate(
      "assign",
      async ({ job, count }) => {
        await ctx.condition(() => started);
        return await exclusively(async () => {
          const free = nodesOf("").slice(0, count);
          if (free.length < count) throw new ApplicationFailure(`${free.length} nodes are free`, { type: "TooFew" });
          await ctx.task("assign", free);
          for (const node of free) nodes.set(node, job);
          return { nodes: free, runId: ctx.info.runId };
        });
      },
      {
        validate: () => {
          if (shutDown) throw new Error("the cluster is shut down");
        },
      },
    );
    ctx.onUpdate("remove", (job) =>
      exclusively(async () => {
        const freed = nodesOf(job);
        await ctx.task("free", freed);
        for (const node of freed) nodes.set(node, "");
      }),
    );
    const isLong = () => ctx.info.historyLength > 40;
    await ctx.condition(() => shutDown || isLong());
    await ctx.condition(() => ctx.allHandlersFinished());
    if (!shutDown) return ctx.continueAsNew({ nodes: Object.fromEntries(nodes), started });
    return Object.fromEntries(nodes);
  },
);

test("updates that come at once never take the same node, and those under way end before their run does", async () => {
  let isBusy = false;
  let overlapped = false;
  const change = async () => {
    overlapped ||= isBusy;
    isBusy = true;
    await environment.sleep("100ms");
    isBusy = false;
  };
  const environment = testEnvironment({
    workflows: [clusterManager],
    maxCachedRuns: 0,
    tasks: { assign: change, free: change },
  });
  const nodes = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [n, ""]));
  const run = await environment.start(clusterManager, { nodes, started: false });
  const jobs = ["a", "b", "c", "d"];
  const asked = jobs.map((job) => run.update("assign", { job, count: 2 }));
  await run.signal("start");
  const first = await Promise.all(asked);
  expect(new Set(first.flatMap((each) => each.nodes)).size).toBe(8);
  await expect(run.update("assign", { job: "e", count: 2 })).rejects.toMatchObject({
    stage: "failed",
    failure: { type: "TooFew", message: "1 nodes are free" },
  });
  await Promise.all(jobs.map((job) => run.update("remove", job)));
  const later = await Promise.all(jobs.map((job) => run.update("assign", { job, count: 1 })));
  expect(new Set([...first, ...later].map(({ runId }) => runId)).size).toBeGreaterThan(1);
  const last = await run.startUpdate("remove", "d");
  await run.signal("shutdown");
  await expect(run.update("assign", { job: "f", count: 1 })).rejects.toThrow("the cluster is shut down");
  expect(Object.values(await run.result()).filter((job) => job !== "")).toEqual(["a", "b", "c"]);
  await last.result();
  expect(overlapped).toBe(false);
});

test("who waits for the lock too long gives up, and it goes to the next", async () => {
  const waiting = workflow("waiting", { output: z.array(z.string()) }, async (ctx) => {
    const said: string[] = [];
    const exclusively = lock(ctx);
    const use = (who: string, timeout: "5s" | "15s" | "1m") =>
      ctx
        .withTimeout(timeout, () =>
          exclusively(async () => {
            said.push(`${who} has it`);
            await ctx.sleep("10s");
          }),
        )
        .catch((error: unknown) => void said.push(`${who} gave up: ${isCancellation(error)}`));
    await Promise.all([use("a", "1m"), use("b", "5s"), use("c", "15s"), use("d", "1m")]);
    return said;
  });
  const environment = testEnvironment({ workflows: [waiting], maxCachedRuns: 0 });
  expect(await (await environment.start(waiting, undefined)).result()).toEqual([
    "a has it",
    "b gave up: true",
    "c has it",
    "c gave up: true",
    "d has it",
  ]);
});
