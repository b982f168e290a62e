import { expect, it } from "vitest";
import { RELEASE_DELAY_MS } from "../../src/core/settings.js";
import { taskId } from "../support/given.js";
import { Engine } from "./engine.js";

function givenAssigned(): Engine {
  const engine = new Engine();
  engine.register("k-1", { maxConcurrentTasks: 2 });
  engine.submit({ taskId: "t-1", retry: { maximumAttempts: 1 } });
  return engine;
}

const release = (engine: Engine, id = "t-1") =>
  engine.report("k-1", { state: "released", taskId: taskId(id), token: engine.task(id).token ?? "" });

it("does not count an attempt that was handed back", () => {
  const engine = givenAssigned();
  for (let turn = 0; turn < 5; turn += 1) {
    release(engine);
    engine.pass(RELEASE_DELAY_MS);
  }
  expect(engine.task("t-1")).toMatchObject({ state: "assigned", attempt: 1 });
});

it("gives what a draining agent hands back to another at once", () => {
  const engine = givenAssigned();
  engine.register("k-2");
  engine.report("k-1", { state: "draining" });
  release(engine);
  expect(engine.task("t-1")).toMatchObject({ state: "assigned", agentId: "k-2", attempt: 1 });
});

it("waits a moment before it asks an agent again that handed back without draining", () => {
  const engine = givenAssigned();
  release(engine);
  const atOnce = engine.states("t-1");
  engine.pass(RELEASE_DELAY_MS);
  expect([atOnce, engine.states("t-1")]).toEqual([["backoff"], ["assigned"]]);
});

it("takes no attempt back from who does not have it", () => {
  const engine = givenAssigned();
  engine.register("k-2");
  engine.report("k-2", { state: "released", taskId: taskId("t-1"), token: engine.task("t-1").token ?? "" });
  engine.report("k-1", { state: "released", taskId: taskId("t-1"), token: "of old" });
  expect(engine.task("t-1")).toMatchObject({ state: "assigned", agentId: "k-1" });
});

it("gives a draining agent no new work and lets it finish what it has", () => {
  const engine = givenAssigned();
  engine.report("k-1", { state: "draining" });
  engine.submit({ taskId: "t-2" });
  const meanwhile = engine.states("t-1", "t-2");
  engine.complete("t-1");
  expect([meanwhile, engine.states("t-1", "t-2")]).toEqual([
    ["assigned", "queued"],
    ["completed", "queued"],
  ]);
});

it("lets a draining agent go when it says that it is idle", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.report("k-1", { state: "draining" });
  engine.report("k-1", { state: "draining" });
  engine.report("k-1", { state: "idle" });
  expect([
    engine.agent("k-1"),
    engine.broadcasts("AGENT_DRAINING").length,
    engine.broadcasts("AGENT_GONE").length,
  ]).toMatchObject([{ state: "gone", reason: "said goodbye" }, 1, 1]);
});

it("learns nothing from an agent that is idle and does not drain", () => {
  const engine = new Engine();
  engine.register("k-1");
  const { facts } = engine;
  engine.report("k-1", { state: "idle" });
  expect(engine.facts).toEqual(facts);
});

it("moves what an agent still had when it went, as an attempt that failed", () => {
  const engine = givenAssigned();
  engine.submit({ taskId: "t-2" });
  engine.report("k-1", { state: "draining" });
  engine.report("k-1", { state: "idle" });
  expect(engine.states("t-1", "t-2")).toEqual(["failed", "queued"]);
});

it("takes an agent back that registers again after its goodbye", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.report("k-1", { state: "draining" });
  engine.report("k-1", { state: "idle" });
  const answer = engine.heartbeat("k-1");
  engine.register("k-1");
  expect([answer.state, engine.agent("k-1")]).toMatchObject(["reregister", { state: "healthy", incarnation: 2 }]);
});

it("keeps the latest progress and shows it while the task runs", () => {
  const engine = givenAssigned();
  for (const progress of [0.1, 0.2]) {
    engine.report("k-1", { state: "progress", taskId: taskId("t-1"), token: engine.task("t-1").token ?? "", progress });
  }
  expect(engine.core.view(engine.task("t-1"), engine.now)).toMatchObject({ state: "running", progress: 0.2 });
});
