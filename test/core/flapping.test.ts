import { expect, it } from "vitest";
import { Ledger } from "../../src/core/ledger.js";
import { Engine } from "./engine.js";

/** Twelve heartbeats of a second. */
const WINDOW_MS = 12_000;

function takeOver(engine: Engine, times: number): void {
  for (let index = 0; index < times; index += 1) {
    engine.pass(1_000);
    engine.register("k-1", { instanceId: `process-${engine.now}` });
  }
}

function givenFlapping(): Engine {
  const engine = new Engine();
  engine.register("k-1");
  takeOver(engine, 4);
  return engine;
}

const alarms = (engine: Engine) => engine.broadcasts("SYSTEM_ERROR").map(({ code, agentId }) => [code, agentId]);

it("takes three new processes of an agent within the window for restarts", () => {
  const engine = new Engine();
  engine.register("k-1");
  takeOver(engine, 3);
  engine.submit({ taskId: "t-1" });
  expect([engine.states("t-1"), alarms(engine)]).toEqual([["assigned"], []]);
});

it("gives no work to an id that four processes take from each other, and says so once", () => {
  const engine = givenFlapping();
  engine.submit({ taskId: "t-1" });
  takeOver(engine, 2);
  expect([engine.agent("k-1").state, engine.states("t-1"), alarms(engine)]).toEqual([
    "unhealthy",
    ["queued"],
    [["AGENT_ID_FLAPPING", "k-1"]],
  ]);
  expect(engine.explain("t-1")).toBe("the only agent with ocr is unhealthy");
});

it("lets the work go that the last of them had", () => {
  const engine = new Engine();
  engine.register("k-1");
  takeOver(engine, 3);
  engine.submit({ taskId: "t-1" });
  engine.accept("t-1");
  takeOver(engine, 1);
  expect(engine.task("t-1")).toMatchObject({ state: "queued", attempt: 1 });
});

it("is moved by no sign of life", () => {
  const engine = givenFlapping();
  engine.heartbeat("k-1");
  engine.register("k-1", { instanceId: engine.agent("k-1").instanceId, maxConcurrentTasks: 7 });
  expect(engine.agent("k-1")).toMatchObject({ state: "unhealthy", maxConcurrentTasks: 7 });
  expect(engine.broadcasts("AGENT_RECOVERED")).toEqual([]);
});

it("gives work again when nobody took the id for the window", () => {
  const engine = givenFlapping();
  engine.submit({ taskId: "t-1" });
  engine.pass(WINDOW_MS - 1);
  const before = engine.states("t-1");
  engine.pass(1);
  expect([before, engine.states("t-1"), engine.broadcasts("AGENT_RECOVERED").length]).toEqual([
    ["queued"],
    ["assigned"],
    1,
  ]);
  // It begins to count anew.
  takeOver(engine, 3);
  expect(engine.agent("k-1").state).toBe("healthy");
});

it("goes on while the id is taken, at however slow a pace within the window", () => {
  const engine = givenFlapping();
  engine.submit({ taskId: "t-1" });
  for (let index = 0; index < 5; index += 1) {
    engine.pass(WINDOW_MS - 2_000);
    takeOver(engine, 1);
  }
  expect([engine.agent("k-1").state, engine.states("t-1"), engine.agent("k-1").takeovers?.length]).toEqual([
    "unhealthy",
    ["queued"],
    4,
  ]);
});

it("forgets takeovers that are long past", () => {
  const engine = new Engine();
  engine.register("k-1");
  takeOver(engine, 3);
  engine.pass(WINDOW_MS);
  takeOver(engine, 3);
  expect(engine.agent("k-1").state).toBe("healthy");
});

it("does not take the return of a lost agent for a takeover", () => {
  const engine = new Engine();
  engine.register("k-1");
  for (let index = 0; index < 6; index += 1) {
    engine.lose("k-1");
    engine.register("k-1");
  }
  expect(engine.agent("k-1")).toMatchObject({ state: "healthy", incarnation: 7 });
});

it("stays in force when the leader changes, for one more window", () => {
  const before = givenFlapping();
  const ledger = new Ledger();
  for (const fact of before.facts) ledger.restoreFact(fact);
  ledger.deriveIndexes();
  const after = new Engine({ ledger, now: before.now + 2_000 });
  after.core.resume(after.now);
  after.submit({ taskId: "t-1" });
  after.heartbeat("k-1");
  expect([after.agent("k-1").state, after.states("t-1")]).toEqual(["unhealthy", ["queued"]]);
  after.pass(WINDOW_MS);
  expect(after.states("t-1")).toEqual(["assigned"]);
});

it("lets an agent drain and leave that flaps", () => {
  const engine = givenFlapping();
  engine.report("k-1", { state: "draining" });
  engine.report("k-1", { state: "idle" });
  engine.pass(WINDOW_MS);
  expect(engine.agent("k-1").state).toBe("gone");
});
