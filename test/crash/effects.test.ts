/**
 * The orchestrator is killed before and after each kind of effect, started again, and the end is the same as without.
 * The rows are the kinds of the type that defines them: a new kind without a row does not compile.
 */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { z } from "zod";
import type { ReleaseKind } from "../../src/orchestrator/release.js";
import { workflow } from "../../src/workflow/definition.js";
import { useNats } from "../support/nats.js";
import { endOf, givenScene, Held, type Scene, type SceneOptions } from "./scene.js";

const nats = useNats();

interface Scenario {
  readonly options?: SceneOptions;
  /** Leads up to the effect; returns what brings it about, and then tells what clients and agents saw. */
  readonly prepare: (scene: Scene) => Promise<() => Promise<unknown>>;
}

const waiting = workflow(
  "waiting",
  { signals: { go: z.unknown() }, queries: { doubled: { output: z.number() } } },
  async (ctx, input: unknown) => {
    let isTold = false;
    ctx.onSignal("go", () => {
      isTold = true;
    });
    ctx.onQuery("doubled", () => Number(input) * 2);
    await ctx.condition(() => isTold);
    return input;
  },
);

/** Has a child that must not have been there before. */
const parent = workflow("parent", {}, async (ctx, input: unknown) =>
  typeof input === "string"
    ? await ctx.child("parent", 1, { workflowId: "t-2", idReusePolicy: "rejectDuplicate" })
    : input,
);

const echo = (_: unknown, input: unknown) => input;

async function givenHeldTask(scene: Scene): Promise<Held> {
  const held = new Held();
  await scene.startAgent("k-1", { hold: held.handler });
  await scene.submit({ taskId: "t-1", type: "hold" });
  await scene.untilState("t-1", "running");
  return held;
}

const scenarios = {
  answerRequest: {
    prepare: async (scene) => {
      await scene.startAgent("k-1", { echo });
      return async () => {
        const accepted = await scene.submit({ taskId: "t-1", type: "echo", input: "in" });
        return { accepted, end: endOf(await scene.untilEnded("t-1")) };
      };
    },
  },
  dispatchTask: {
    prepare: async (scene) => {
      await scene.startAgent("k-1", { echo });
      return async () => {
        await scene.submit({ taskId: "t-1", type: "echo", input: "in" });
        return { end: endOf(await scene.untilEnded("t-1")) };
      };
    },
  },
  cancelAttempt: {
    prepare: async (scene) => {
      const held = await givenHeldTask(scene);
      return async () => {
        await scene.cancel("t-1");
        return { end: endOf(await scene.untilEnded("t-1")), aborted: held.aborted };
      };
    },
  },
  orderAgent: {
    // A process that was replaced without being told hears it in the answer to its next heartbeat.
    options: { heartbeatMs: 300 },
    prepare: async (scene) => {
      const first = await scene.startAgent("k-1", { echo });
      return async () => {
        const replaced = first.closed.catch((error: { code: string }) => error.code);
        await scene.startAgent("k-1", { echo });
        const endOfFirst = await replaced;
        await scene.submit({ taskId: "t-1", type: "echo", input: "in" });
        return { endOfFirst, end: endOf(await scene.untilEnded("t-1")) };
      };
    },
  },
  answerWaiters: {
    prepare: async (scene) => {
      const held = await givenHeldTask(scene);
      const ended = scene.untilEnded("t-1");
      // The server keeps the order of one connection: with this answer the wait has arrived.
      await scene.client.get("t-1");
      return async () => {
        held.release();
        return { end: endOf(await ended) };
      };
    },
  },
  answerAsked: {
    prepare: async (scene) => {
      await scene.startWorker("w-1", [waiting]);
      await scene.submit({ taskId: "t-1", type: "workflow:waiting", input: 3 });
      await scene.askWorkflow("Query", { taskId: "t-1", name: "doubled" });
      return async () => {
        const { output } = await scene.askWorkflow("Query", { taskId: "t-1", name: "doubled" });
        await scene.askWorkflow("Signal", { taskId: "t-1", name: "go" });
        return { output, end: endOf(await scene.untilEnded("t-1")) };
      };
    },
  },
  lookUpEnded: {
    prepare: async (scene) => {
      await scene.startWorker("w-1", [parent]);
      return async () => {
        await scene.submit({ taskId: "t-1", type: "workflow:parent", input: "in" });
        return { end: endOf(await scene.untilEnded("t-1")) };
      };
    },
  },
  broadcastEvent: {
    prepare: async (scene) => {
      const held = await givenHeldTask(scene);
      return async () => {
        held.release();
        const end = endOf(await scene.untilEnded("t-1"));
        return { end, toldTwice: scene.eventsOf("TASK_COMPLETED", "t-1").length > 1 };
      };
    },
  },
} satisfies Record<ReleaseKind, Scenario>;

async function outcomeOf(kind: ReleaseKind, crash: "before" | "after" | "never"): Promise<unknown> {
  const { prepare, options }: Scenario = scenarios[kind];
  const scene = await givenScene(nats, options);
  let orchestrator = await scene.startOrchestrator();
  const act = await prepare(scene);
  if (crash !== "never") await orchestrator.killAt(`${crash} ${kind}`);
  const seen = act();
  // Looked at below; what it failed of must not be reported while the crash is waited for.
  seen.catch(() => undefined);
  if (crash !== "never") {
    expect(await orchestrator.ended).toBe("SIGKILL");
    orchestrator = await scene.startOrchestrator();
  }
  const outcome = { seen: await seen, runs: scene.runs.map(({ taskId, attempt }) => [taskId, attempt]) };
  await orchestrator.stop();
  const ended = [...(await scene.tasksIn("endedTasks")).values()];
  return {
    ...outcome,
    live: [...(await scene.tasksIn("tasks")).keys()],
    ended: ended.map(({ spec, state, attempt, output, agentId }) => [spec.taskId, state, attempt, output, agentId]),
    agents: [...(await scene.agentsInBucket()).values()].map(({ agentId, incarnation }) => [agentId, incarnation]),
  };
}

const undisturbed = new Map<ReleaseKind, unknown>();

async function undisturbedOutcomeOf(kind: ReleaseKind): Promise<unknown> {
  if (!undisturbed.has(kind)) undisturbed.set(kind, await outcomeOf(kind, "never"));
  return undisturbed.get(kind);
}

const kinds = Object.keys(scenarios) as ReleaseKind[];

it.for(kinds.flatMap((kind) => [[kind, "before"] as const, [kind, "after"] as const]))(
  "ends the same when the orchestrator dies at %s, %s it",
  async ([kind, moment]) => {
    expect(await outcomeOf(kind, moment)).toEqual(await undisturbedOutcomeOf(kind));
  },
);

it("resets a workflow once when the orchestrator dies before it has said so", async () => {
  const scene = await givenScene(nats);
  const orchestrator = await scene.startOrchestrator();
  await scene.startWorker("w-1", [waiting]);
  await scene.submit({ taskId: "t-1", type: "workflow:waiting", input: 3 });
  await scene.askWorkflow("Query", { taskId: "t-1", name: "doubled" });
  await scene.askWorkflow("Signal", { taskId: "t-1", name: "go" });
  await scene.untilEnded("t-1");
  const old = await scene.askWorkflow("History", { taskId: "t-1" });

  await orchestrator.killAt("after append");
  const request = { messageId: randomUUID(), taskId: "t-1", to: "firstWorkflowTask" };
  const asked = scene.askWorkflow("Reset", request);
  asked.catch(() => undefined);
  expect(await orchestrator.ended).toBe("SIGKILL");
  const next = await scene.startOrchestrator();
  const { runId } = await asked;

  expect(await scene.askWorkflow("Reset", request)).toMatchObject({ taskId: "t-1", runId });
  expect(await scene.untilEnded("t-1")).toMatchObject({ state: "completed", output: 3, run: { runId } });
  const { events } = await scene.askWorkflow("History", { taskId: "t-1" });
  const resets = (events as readonly { type: string }[]).filter(({ type }) => type === "WorkflowTaskFailed");
  expect(resets).toMatchObject([{ baseRunId: old["runId"], newRunId: runId }]);
  expect((await scene.askWorkflow("History", { taskId: "t-1", runId: old["runId"] }))["events"]).toEqual(old["events"]);
  await next.stop();
  expect([...(await scene.tasksIn("tasks")).keys()]).toEqual([]);
});
