import { expect, it } from "vitest";
import { Engine } from "./engine.js";

const AGENTS = ["k-1", "k-2", "k-3", "k-4"];
const settings = { lostThresholdMs: 6_000 };

/** Four agents with a task each, long after the start; three of them fall silent as `pass` goes on. */
function givenWorking(): Engine {
  const engine = new Engine();
  for (const id of AGENTS) engine.register(id);
  engine.submit(AGENTS.map((id) => ({ taskId: `t-${id}` })));
  for (const id of AGENTS) engine.accept(`t-${id}`);
  engine.pass(2 * settings.lostThresholdMs);
  return engine;
}

const silent = ["k-1", "k-2", "k-3"];

/** Time passes in steps as the orchestrator's tick does. */
function passInSteps(engine: Engine, ms: number, options: { readonly silent: readonly string[] }): void {
  for (let passed = 0; passed < ms; passed += 500) engine.pass(500, options);
}

const statesOf = (engine: Engine) => silent.map((id) => engine.agent(id).state);
const alarms = (engine: Engine) => engine.broadcasts("SYSTEM_ERROR").map(({ code }) => code);

it("keeps the work where it is when most agents fall silent at once", () => {
  const engine = givenWorking();
  passInSteps(engine, 20_000, { silent });
  engine.submit({ taskId: "t-new" });
  expect([statesOf(engine), engine.states("t-k-1", "t-k-2", "t-k-3", "t-new"), alarms(engine)]).toEqual([
    ["unhealthy", "unhealthy", "unhealthy"],
    ["running", "running", "running", "queued"],
    ["OBSERVER_SUSPECT"],
  ]);
  expect(engine.core.heldAgentCount).toBe(3);
  expect(engine.core.status().agentStatuses.find(({ agentId }) => agentId === "k-1")?.reason).toMatch(
    /^no heartbeat for 3\.0 s; kept with its work for now \(OBSERVER_SUSPECT\)/,
  );
});

it("says how many are silent when the first of them would be lost", () => {
  const engine = givenWorking();
  engine.pass(1_000, { silent: ["k-1"] });
  engine.pass(1_000, { silent: ["k-1", "k-2"] });
  passInSteps(engine, 4_000, { silent });
  expect(engine.broadcasts("SYSTEM_ERROR")).toMatchObject([
    { message: expect.stringMatching(/^3 of 4 agents fell silent at once/) },
  ]);
});

it("goes on as before when they are heard again", () => {
  const engine = givenWorking();
  passInSteps(engine, 10_000, { silent });
  engine.pass(500);
  expect([statesOf(engine), engine.core.heldAgentCount]).toEqual([["healthy", "healthy", "healthy"], 0]);
  expect(engine.task("t-k-1")).toMatchObject({ state: "running", attempt: 1 });
});

it("gives the one up that stays silent when the others are heard again", () => {
  const engine = givenWorking();
  passInSteps(engine, 10_000, { silent });
  passInSteps(engine, 1_000, { silent: ["k-1"] });
  expect([statesOf(engine), engine.task("t-k-1").failure?.type]).toEqual([
    ["lost", "healthy", "healthy"],
    "AGENT_LOST",
  ]);
});

it("gives them up one a second in the end, and their work is done by whoever is left", () => {
  const engine = givenWorking();
  const lostAt: number[] = [];
  const since = engine.now;
  while (lostAt.length < 3 && engine.now - since < 60_000) {
    const before = engine.broadcasts("AGENT_LOST").length;
    engine.pass(500, { silent });
    if (engine.broadcasts("AGENT_LOST").length > before) lostAt.push(engine.now - since);
  }
  expect(lostAt).toEqual([24_000, 25_000, 26_000]);
  for (let round = 0; round < 4; round += 1) {
    for (const id of AGENTS) if (engine.task(`t-${id}`).agentId === "k-4") engine.complete(`t-${id}`);
    engine.pass(2_000);
  }
  expect(engine.states(...AGENTS.map((id) => `t-${id}`))).toEqual(Array(4).fill("completed"));
});

it("asks the server who of the silent listens, and gives those up as usual that are gone for certain", () => {
  const engine = givenWorking();
  engine.decisions.length = 0;
  passInSteps(engine, 3_500, { silent });
  const asked = engine.effects("dispatchTask").map(({ taskId }) => taskId);
  expect(asked).toEqual(["t-k-1", "t-k-2", "t-k-3"]);
  for (const id of asked) engine.undeliverable(id);
  expect(engine.states("t-k-1", "t-k-2", "t-k-3")).toEqual(["running", "running", "running"]);
  passInSteps(engine, 3_000, { silent });
  expect([statesOf(engine), alarms(engine)]).toEqual([["lost", "lost", "lost"], []]);
});

it("does not ask with an attempt that was not accepted, for it may have begun all the same", () => {
  const engine = givenWorking();
  for (const id of silent) engine.complete(`t-${id}`);
  engine.submit(silent.map((id) => ({ taskId: `t2-${id}` })));
  engine.decisions.length = 0;
  passInSteps(engine, 3_500, { silent });
  expect(engine.states(...silent.map((id) => `t2-${id}`))).toEqual(["assigned", "assigned", "assigned"]);
  expect(engine.effects("dispatchTask")).toEqual([]);
});

it("asks again each lost threshold, for the server may notice late", () => {
  const engine = givenWorking();
  engine.decisions.length = 0;
  passInSteps(engine, 10_000, { silent });
  expect(engine.effects("dispatchTask")).toHaveLength(6);
});

it("takes an agent for reachable again that is heard of after nobody listened", () => {
  const engine = givenWorking();
  engine.undeliverable("t-k-1");
  engine.pass(500);
  passInSteps(engine, 10_000, { silent });
  expect(statesOf(engine)).toEqual(["unhealthy", "unhealthy", "unhealthy"]);
});

it("moves the work of a held agent at once when a new process takes its id", () => {
  const engine = givenWorking();
  passInSteps(engine, 10_000, { silent });
  engine.register("k-1", { instanceId: "another" });
  expect(engine.task("t-k-1")).toMatchObject({ state: "assigned", attempt: 2, agentId: "k-1" });
});

it("gives up two of two as usual", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.register("k-2");
  engine.lose("k-1", "k-2");
  expect([engine.agent("k-1").state, engine.agent("k-2").state]).toEqual(["lost", "lost"]);
});

it("leaves agents out of the count that were idle and silent for long", () => {
  const engine = givenWorking();
  const idle = Array.from({ length: 10 }, (_, index) => `idle-${index}`);
  for (const id of idle) engine.register(id);
  // Only two fall silent at a time, so that each is lost in the usual way, long before the others.
  for (let index = 0; index < idle.length; index += 2) {
    for (let passed = 0; passed < 14_000; passed += 500) engine.pass(500, { silent: idle.slice(0, index + 2) });
  }
  passInSteps(engine, 20_000, { silent: [...idle, ...silent] });
  expect([statesOf(engine), engine.core.heldAgentCount]).toEqual([["unhealthy", "unhealthy", "unhealthy"], 3]);
});

it("measures anew after a pause of the leader itself", () => {
  const engine = givenWorking();
  passInSteps(engine, 10_000, { silent });
  engine.core.observerResumed(engine.now);
  passInSteps(engine, 20_000, { silent });
  expect(statesOf(engine)).toEqual(["unhealthy", "unhealthy", "unhealthy"]);
  passInSteps(engine, 8_000, { silent });
  expect(statesOf(engine)).toEqual(["lost", "lost", "lost"]);
});
