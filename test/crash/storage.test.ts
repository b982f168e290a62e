/**
 * The orchestrator is killed around its writes: the append, each step of a copy to the buckets, the trimming, and each
 * step of a recovery. The rows are the moments of the type that defines them.
 */
import { expect, it } from "vitest";
import { z } from "zod";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import type { StorageMilestone } from "../../src/orchestrator/milestone.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { workflow } from "../../src/workflow/definition.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { givenScene, Held, type OrchestratorChild, type Scene } from "./scene.js";

const nats = useNats();

/** When the first process dies: at the moment itself, while it works or while it stops, or anywhere, and its successor at the moment. */
type Dying = "at work" | "stopping" | "recovering";

const moments = {
  "before append": "at work",
  "after append": "at work",
  "ended tasks copied": "at work",
  "histories copied": "at work",
  "runs copied": "at work",
  "live tasks copied": "at work",
  "agents copied": "at work",
  "checkpoint written": "stopping",
  "journal trimmed": "stopping",
  "fences taken": "recovering",
  "state recovered": "recovering",
  "work taken up": "recovering",
} satisfies Record<StorageMilestone, Dying>;

const failsOnce: TaskHandler = ({ attempt }) => {
  if (attempt === 1) throw new Error("not yet");
  return "second time";
};
const failsAlways: TaskHandler = () => {
  throw new Error("never");
};

/** A step, a task, a child, a timer, and a second run. */
const part = workflow("part", {}, async (ctx, input: unknown) => {
  await ctx.sleep("20ms");
  return ctx.step("wrap", () => [input]);
});
const order = workflow("order", { signals: { go: z.unknown() } }, async (ctx, input: unknown): Promise<unknown> => {
  if (Array.isArray(input)) return [...input, await ctx.child("part", "second run")];
  let isTold = false;
  ctx.onSignal("go", () => {
    isTold = true;
  });
  const first = await ctx.step("first", () => `${String(input)} on`);
  await ctx.condition(() => isTold);
  const summed = await ctx.task("sum", null);
  return ctx.continueAsNew([first, summed, await ctx.child("part", "first run")]);
});

const quickRetry = { initialIntervalMs: 20, maximumAttempts: 2 };

/** Id, state, attempt, output, type of the failure. */
type End = readonly [taskId: string, state: string, attempt: number, output: unknown, failure: string | undefined];

const seenEnd = ({ taskId, state, attempt, output, error }: TaskView): End => [
  taskId,
  state,
  attempt,
  output ?? null,
  error?.type,
];

/** A day's work: part of it done, part of it under way, in the buckets as far as it ever gets. */
async function givenWorkUnderWay(scene: Scene): Promise<Held> {
  const held = new Held();
  const sum: TaskHandler = ({ dependencyResults }) => Object.values(dependencyResults);
  await scene.startAgent("k-1", { hold: held.handler, sum, failsOnce, failsAlways });
  await scene.submit({ taskId: "early", type: "sum" });
  await scene.untilEnded("early");
  await scene.submit({ taskId: "held", type: "hold" });
  await scene.submit({ taskId: "to-cancel", type: "hold" });
  await scene.submit({ taskId: "after-held", type: "sum", dependencies: ["held"] });
  await scene.submit({ taskId: "early-again", type: "sum", dependencies: ["early", "held"] });
  await scene.untilState("to-cancel", "running");
  await scene.startWorker("w-1", [order, part]);
  await scene.submit({ taskId: "order", type: "workflow:order", input: "held" });
  await until("the buckets have all of it", async () => (await scene.tasksIn("tasks")).size >= 6);
  await until("the bucket of runs has the workflow", async () => (await scene.keysOf("runs")).length > 0);
  return held;
}

async function finishWork(scene: Scene, held: Held): Promise<End[]> {
  await scene.submit({ taskId: "fails-once", type: "failsOnce", retry: quickRetry });
  await scene.submit({ taskId: "fails", type: "failsAlways", retry: quickRetry });
  await scene.submit({ taskId: "after-fails", type: "sum", dependencies: ["fails"] });
  await scene.cancel("to-cancel");
  await scene.askWorkflow("Signal", { taskId: "order", name: "go" });
  await scene.untilEnded("to-cancel");
  held.release();
  const ends: End[] = [];
  for (const taskId of [
    "early-again",
    "after-held",
    "held",
    "to-cancel",
    "fails-once",
    "after-fails",
    "fails",
    "order",
  ]) {
    ends.push(seenEnd(await scene.untilEnded(taskId)));
  }
  await scene.submit({ taskId: "late", type: "sum", dependencies: ["after-held"] });
  ends.push(seenEnd(await scene.untilEnded("late")));
  return ends;
}

interface Outcome {
  readonly ends: readonly End[];
  /** Tasks and children of runs. */
  readonly members: number;
  readonly openRuns: readonly string[];
  readonly histories: boolean;
  readonly live: readonly string[];
  readonly ended: readonly End[];
  readonly agents: readonly unknown[];
}

async function outcomeOf(moment: StorageMilestone | "never"): Promise<Outcome> {
  const scene = await givenScene(nats);
  let orchestrator: OrchestratorChild = await scene.startOrchestrator();
  const held = await givenWorkUnderWay(scene);
  const dying = moment === "never" ? "never" : moments[moment];
  if (moment !== "never" && dying === "at work") await orchestrator.killAt(moment);
  const finished = finishWork(scene, held);
  finished.catch(() => undefined);
  if (moment !== "never" && dying === "recovering") {
    await until("work goes on", () => scene.runs.some(({ taskId }) => taskId === "fails"));
    await orchestrator.kill();
    orchestrator = scene.launchOrchestrator(moment);
  }
  if (dying === "at work" || dying === "recovering") {
    expect(await orchestrator.ended).toBe("SIGKILL");
    orchestrator = await scene.startOrchestrator();
  }
  const ends = await finished;
  if (moment !== "never" && dying === "stopping") {
    await orchestrator.killAt(moment);
    await orchestrator.stop();
    expect(await orchestrator.ended).toBe("SIGKILL");
    orchestrator = await scene.startOrchestrator();
  }
  await orchestrator.stop();
  // The ids of what a run asks for are drawn: they are counted.
  const all = [...(await scene.tasksIn("endedTasks")).values()];
  const ended = all.filter(({ spec }) => spec.role === undefined || spec.taskId === "order");
  return {
    ends,
    members: all.length - ended.length,
    openRuns: await scene.keysOf("runs"),
    histories: (await scene.keysOf("histories")).length > 0,
    live: [...(await scene.tasksIn("tasks")).keys()],
    ended: ended.map(({ spec, state, attempt, output, failure }) => [
      spec.taskId,
      state,
      attempt,
      output,
      failure?.type,
    ]),
    agents: [...(await scene.agentsInBucket()).values()].map(({ agentId, incarnation }) => [agentId, incarnation]),
  };
}

const early: End = ["early", "completed", 1, [], undefined];
const others: readonly End[] = [
  ["after-fails", "failed", 0, null, "DEPENDENCY_FAILED"],
  ["after-held", "completed", 1, ["held held"], undefined],
  ["early-again", "completed", 1, [[], "held held"], undefined],
  ["fails", "failed", 2, null, "Error"],
  ["fails-once", "completed", 2, "second time", undefined],
  ["held", "completed", 1, "held held", undefined],
  ["late", "completed", 1, [["held held"]], undefined],
  ["order", "completed", 0, ["held on", [], ["first run"], ["second run"]], undefined],
  ["to-cancel", "cancelled", 1, null, undefined],
];
const byId = (ends: readonly End[]): readonly End[] => [...ends].sort(([a], [b]) => a.localeCompare(b));

it("gives a task what its dependency returned, though that left memory for the bucket of ended tasks", async () => {
  const scene = await givenScene(nats);
  const orchestrator = await scene.startOrchestrator();
  await scene.startAgent("k-1", { early: () => "result" });
  await scene.submit({ taskId: "early", type: "early" });
  await until("the result is copied", async () => (await scene.tasksIn("endedTasks")).has("early"));
  await scene.submit({ taskId: "late", type: "sum", dependencies: ["early"] });

  await orchestrator.kill();
  await scene.startOrchestrator();
  await scene.startAgent("k-2", { sum: ({ dependencyResults }) => dependencyResults });

  expect(await scene.untilEnded("late")).toMatchObject({ state: "completed", output: { early: "result" } });
});

it("starts again after two crashes in a row that leave a young task out of the buckets", async () => {
  const scene = await givenScene(nats);
  const first = await scene.startOrchestrator();
  await scene.startAgent("k-1", { early: () => "result" });
  await scene.submit({ taskId: "early", type: "early" });
  await scene.untilEnded("early");
  // Trims the journal: a checkpoint that went back would ask for what is gone.
  await first.stop();
  const second = await scene.startOrchestrator();
  await scene.submit({ taskId: "young", type: "late" });
  await second.kill();
  expect(await scene.launchOrchestrator("checkpoint written").ended).toBe("SIGKILL");

  await scene.startOrchestrator();
  await scene.startAgent("k-2", { late: () => "late" });

  expect(await scene.untilEnded("young")).toMatchObject({ state: "completed", output: "late" });
});

it.each<StorageMilestone | "never">(["never", ...(Object.keys(moments) as StorageMilestone[])])(
  "ends the same when the orchestrator dies at: %s",
  async (moment) => {
    const { ends, live, ended, agents, members, openRuns, histories } = await outcomeOf(moment);
    expect({ members, openRuns, histories }).toEqual({ members: 3, openRuns: [], histories: true });
    expect({ ends: byId(ends), live, ended: byId(ended), agents }).toEqual({
      ends: others,
      live: [],
      ended: byId([early, ...others]),
      agents: [
        ["k-1", 1],
        ["w-1", 1],
      ],
    });
  },
);
