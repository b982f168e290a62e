import fc from "fast-check";
import { expect, it } from "vitest";
import { agentId } from "../support/given.js";
import { Engine } from "./engine.js";
import { anyLife, play } from "./random-life.js";

/** Who has which of these tasks. */
const holders = (engine: Engine, ...ids: string[]) =>
  ids.map((id) => (engine.states(id)[0] === "assigned" ? engine.task(id).agentId : null));

it("gives a task to an agent that has every capability it needs", () => {
  const engine = new Engine();
  engine.register("k-1", { capabilities: ["ocr"] });
  engine.register("k-2", { capabilities: ["gpu"] });
  engine.register("k-3", { capabilities: ["gpu", "ocr"] });
  engine.submit({ taskId: "t-1", requiredCapabilities: ["ocr", "gpu"] });
  expect(holders(engine, "t-1")).toEqual(["k-3"]);
});

it("gives a task to its preferred agent although another is less loaded", () => {
  const engine = new Engine();
  engine.register("k-1", { maxConcurrentTasks: 2 });
  engine.register("k-2", { maxConcurrentTasks: 2 });
  for (const id of ["t-1", "t-2"]) engine.submit({ taskId: id }, { preferredAgentId: agentId("k-2") });
  expect(holders(engine, "t-1", "t-2")).toEqual(["k-2", "k-2"]);
});

it.each<[string, (engine: Engine) => void]>([
  ["is full", (engine) => engine.submit({ taskId: "other" }, { preferredAgentId: agentId("k-2") })],
  ["drains", (engine) => engine.report("k-2", { state: "draining" })],
  ["is unhealthy", (engine) => engine.pass(3_000, { silent: ["k-2"] })],
  ["cannot do it any more", (engine) => engine.register("k-2", { capabilities: ["scan"] })],
])("gives a task to another agent when the preferred one %s", (_how, hinder) => {
  const engine = new Engine();
  engine.register("k-1");
  engine.register("k-2");
  hinder(engine);
  engine.submit({ taskId: "t-1" }, { preferredAgentId: agentId("k-2") });
  expect(holders(engine, "t-1")).toEqual(["k-1"]);
});

it("starts the most urgent task first, whatever it needs", () => {
  const engine = new Engine();
  engine.submit([
    { taskId: "low", priority: "low" },
    { taskId: "normal", type: "scan" },
    { taskId: "critical", priority: "critical" },
    { taskId: "high", priority: "high", type: "scan" },
  ]);
  engine.register("k-1", { capabilities: ["ocr", "scan"], maxConcurrentTasks: 4 });
  expect(engine.effects("dispatchTask").map((effect) => effect.taskId)).toEqual(["critical", "high", "normal", "low"]);
});

it("starts a task that waited long before a newer one that is more urgent", () => {
  const engine = new Engine();
  engine.submit({ taskId: "old", priority: "low" });
  engine.pass(90_000);
  engine.submit({ taskId: "new", priority: "critical" });
  engine.register("k-1");
  expect(engine.states("old", "new")).toEqual(["assigned", "queued"]);
});

it("lets a task that nobody can do hold up no other", () => {
  const engine = new Engine();
  engine.submit([{ taskId: "stuck", priority: "critical", type: "gpu" }, { taskId: "t-1" }]);
  engine.register("k-1");
  expect(engine.states("stuck", "t-1")).toEqual(["queued", "assigned"]);
});

it("has no more tasks with agents than maxConcurrentTasks, until one ends", () => {
  const engine = new Engine({ settings: { maxConcurrentTasks: 2 } });
  engine.register("k-1", { maxConcurrentTasks: 10 });
  engine.submit(["t-1", "t-2", "t-3"].map((id) => ({ taskId: id })));
  const before = engine.states("t-1", "t-2", "t-3");
  engine.complete("t-1");
  expect([before, engine.states("t-1", "t-2", "t-3")]).toEqual([
    ["assigned", "assigned", "queued"],
    ["completed", "assigned", "assigned"],
  ]);
});

it("counts a task that is being cancelled among the concurrent ones", () => {
  const engine = new Engine({ settings: { maxConcurrentTasks: 1 } });
  engine.register("k-1", { maxConcurrentTasks: 10 });
  engine.submit([{ taskId: "t-1" }, { taskId: "t-2" }]);
  engine.cancel("t-1");
  expect(engine.states("t-2")).toEqual(["queued"]);
});

it("assigns each task as a decision of its own", () => {
  const engine = new Engine();
  engine.register("k-1", { maxConcurrentTasks: 10 });
  engine.submit(["t-1", "t-2", "t-3"].map((id) => ({ taskId: id })));
  const assignments = engine.decisions.filter(({ facts }) => facts.some((fact) => fact.type === "TaskAssigned"));
  expect(assignments.map(({ facts, effects }) => [facts.length, effects.length])).toEqual([
    [1, 1],
    [1, 1],
    [1, 1],
  ]);
});

it("leaves nobody in line whom an agent with a free place could serve, whatever happened before", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const engine = new Engine();
      for (const act of life) {
        play(engine, [act]);
        const { queue, pool } = engine.core.ledger;
        const left = [...queue.lines()].filter(({ capabilities }) => pool.choose(capabilities) !== undefined);
        expect(left).toEqual([]);
      }
    }),
    { numRuns: 200 },
  );
});
