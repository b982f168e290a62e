import { expect, it } from "vitest";
import { assignmentOf } from "../../src/core/views.js";
import { givenTask, taskId } from "../support/given.js";
import { Engine } from "./engine.js";

/** a -> b -> c, and d apart. */
function givenChain(): Engine {
  const engine = new Engine();
  engine.submit([
    { taskId: "c", dependencies: ["b"] },
    { taskId: "b", dependencies: ["a"] },
    { taskId: "a", retry: { maximumAttempts: 1 }, timeoutMs: 1_000, scheduleToCloseMs: 60_000 },
    { taskId: "d" },
  ]);
  engine.register("k-1", { maxConcurrentTasks: 10 });
  return engine;
}

function assignmentFor(engine: Engine, id: string) {
  const record = engine.task(id);
  return assignmentOf(record, record.token ?? "", engine.core.ledger, engine.core.workflows);
}

it("starts no task before its dependencies completed", () => {
  expect(givenChain().states("a", "b", "c", "d")).toEqual(["assigned", "waiting", "waiting", "assigned"]);
});

it("starts each task when the last of its dependencies completed", () => {
  const engine = new Engine();
  engine.submit([{ taskId: "a" }, { taskId: "b" }, { taskId: "c", dependencies: ["a", "b"] }]);
  engine.register("k-1", { maxConcurrentTasks: 10 });
  engine.complete("b");
  const between = engine.states("c");
  engine.complete("a");
  expect([between, engine.states("c")]).toEqual([["waiting"], ["assigned"]]);
});

it.each([null, 0, "", false, { pages: [1] }])("hands the output %j to the dependents", (output) => {
  const engine = givenChain();
  engine.complete("a", output);
  expect(assignmentFor(engine, "b")?.dependencyResults).toEqual({ a: output });
});

it("hands over the outputs of every dependency, and of no task further back", () => {
  const engine = new Engine();
  engine.submit([
    { taskId: "a" },
    { taskId: "b", dependencies: ["a"] },
    { taskId: "c", dependencies: ["a", "b"] },
    { taskId: "d", dependencies: ["c"] },
  ]);
  engine.register("k-1", { maxConcurrentTasks: 10 });
  engine.complete("a", 1);
  engine.complete("b", 2);
  const forC = assignmentFor(engine, "c")?.dependencyResults;
  engine.complete("c", 3);
  expect([forC, assignmentFor(engine, "d")?.dependencyResults]).toEqual([{ a: 1, b: 2 }, { c: 3 }]);
});

it.each<[string, (engine: Engine) => void, string]>([
  ["failed", (engine) => engine.fail("a"), "dependency a failed: the printer is out of paper"],
  [
    "timed out",
    (engine) => engine.pass(1_000),
    "dependency a timed_out: attempt 1 of task a on agent k-1 did not end within 1000 ms",
  ],
  [
    "was cancelled",
    (engine) => {
      engine.cancel("a");
      engine.handIn(engine.resultOf("a", { status: "cancelled" }));
    },
    "dependency a cancelled",
  ],
])("fails every task down the line when a dependency %s, and says why", (_how, end, why) => {
  const engine = givenChain();
  end(engine);
  expect([engine.states("b", "c", "d"), engine.task("b").failure, engine.task("c").failure]).toEqual([
    ["failed", "failed", "assigned"],
    { type: "DEPENDENCY_FAILED", message: why },
    { type: "DEPENDENCY_FAILED", message: `dependency b failed: ${why}` },
  ]);
});

it("never gives a task whose dependency failed to an agent", () => {
  const engine = givenChain();
  engine.fail("a");
  expect(engine.effects("dispatchTask").map((effect) => effect.taskId)).toEqual(["a", "d"]);
});

it("fails a task with two failed dependencies once, for the first of them", () => {
  const engine = new Engine();
  engine.submit([
    { taskId: "a", retry: { maximumAttempts: 1 } },
    { taskId: "b", retry: { maximumAttempts: 1 } },
    { taskId: "c", dependencies: ["a", "b"] },
  ]);
  engine.register("k-1", { maxConcurrentTasks: 10 });
  engine.fail("b");
  engine.fail("a");
  expect(engine.facts.filter((fact) => "taskId" in fact && fact.taskId === "c").map((fact) => fact.type)).toEqual([
    "TaskFailed",
  ]);
  expect(engine.task("c").failure?.message).toContain("dependency b failed");
});

it("settles a chain of 1,500 tasks as one decision each, without running out of stack", () => {
  const engine = new Engine({ settings: { maxQueuedTasks: 10_000 } });
  const ids = Array.from({ length: 1_500 }, (_, index) => `t-${index}`);
  engine.submit(ids.map((id, index) => ({ taskId: id, dependencies: index === 0 ? [] : [`t-${index - 1}`] })));
  engine.cancel("t-0");
  expect([engine.core.ledger.counts.failed, engine.decisions.filter(({ facts }) => facts.length > 1).length]).toEqual([
    1_499, 1,
  ]);
});

it("takes back more ended dependencies than one journal message could hold, each by itself", () => {
  const engine = new Engine();
  const ended = new Map(
    Array.from({ length: 50 }, (_, index) => {
      const id = taskId(`ended-${index}`);
      return [id, givenTask({ state: "completed", endedAt: 1, output: "x".repeat(100_000), spec: { taskId: id } })];
    }),
  );
  const submitted = engine.submit({ taskId: "join", dependencies: [...ended.keys()] }, { ended });
  expect([submitted.ok, engine.states("join")]).toEqual([true, ["queued"]]);
  const retentions = engine.decisions.filter(({ facts }) => facts.some((fact) => fact.type === "TaskRetained"));
  expect(retentions.map(({ facts }) => facts.length)).toEqual(Array(50).fill(1));
});
