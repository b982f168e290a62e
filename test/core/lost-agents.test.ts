import { expect, it } from "vitest";
import { Engine, type Submission } from "./engine.js";

/** One task that runs on k-1, with k-2 idle beside it. */
function givenRunning(task: Submission = {}): Engine {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1", ...task });
  engine.accept("t-1");
  engine.register("k-2");
  return engine;
}

it("gives a lost agent's running task to another agent, as its next attempt", () => {
  const engine = givenRunning();
  engine.lose("k-1");
  const lost = structuredClone(engine.task("t-1"));
  engine.pass(1_000);
  expect([lost, engine.task("t-1")]).toMatchObject([
    { state: "backoff", attempt: 1, lostIncarnations: 1, failure: { type: "AGENT_LOST" } },
    { state: "assigned", attempt: 2, agentId: "k-2" },
  ]);
});

it("spreads the retries of a lost agent's tasks by up to a tenth of their interval", () => {
  const engine = new Engine({ random: 0.5 });
  engine.register("k-1");
  engine.submit({ taskId: "t-1" });
  engine.accept("t-1");
  engine.lose("k-1");
  expect(engine.task("t-1").retryAt).toBe(engine.now + 1_050);
});

it("tells everybody which tasks a lost agent had", () => {
  const engine = givenRunning();
  engine.lose("k-1");
  expect(engine.broadcasts("AGENT_LOST")).toMatchObject([{ agentId: "k-1", incarnation: 1, taskIds: ["t-1"] }]);
});

it("moves each task of a lost agent as a decision of its own", () => {
  const engine = new Engine();
  engine.register("k-1", { maxConcurrentTasks: 50 });
  const ids = Array.from({ length: 50 }, (_, index) => `t-${index}`);
  engine.submit(ids.map((id) => ({ taskId: id })));
  for (const id of ids) engine.accept(id);
  engine.decisions.length = 0;
  engine.lose("k-1");
  expect([new Set(engine.states(...ids)), engine.decisions.map(({ facts }) => facts.length)]).toEqual([
    new Set(["backoff"]),
    Array(51).fill(1),
  ]);
});

it("fails a task with AGENT_LOST when its last attempt was lost", () => {
  const engine = givenRunning({ retry: { maximumAttempts: 1 } });
  engine.lose("k-1");
  expect(engine.task("t-1")).toMatchObject({ state: "failed", failure: { type: "AGENT_LOST" } });
});

it("takes a task for poison that was on three lost agents, however many attempts it has", () => {
  const engine = givenRunning({ retry: { maximumAttempts: 0 } });
  for (const id of ["k-1", "k-2", "k-3"]) {
    engine.register("k-3");
    engine.lose(id);
    engine.pass(4_000);
    if (engine.task("t-1").state === "assigned") engine.accept("t-1");
  }
  expect(engine.task("t-1")).toMatchObject({ state: "failed", attempt: 3, failure: { type: "AGENT_LOST" } });
  expect(engine.task("t-1").failure?.message).toContain("not tried again");
});

it("only stops giving work to an agent that is silent for a while", () => {
  const engine = givenRunning();
  engine.pass(3_000, { silent: ["k-1"] });
  engine.submit([{ taskId: "t-2" }, { taskId: "t-3" }]);
  expect([engine.agent("k-1").state, engine.states("t-1", "t-2", "t-3")]).toEqual([
    "unhealthy",
    ["running", "assigned", "queued"],
  ]);
});

it("gives work again to an agent that was silent as soon as it is heard of", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.pass(3_000, { silent: ["k-1"] });
  engine.submit({ taskId: "t-1" });
  engine.heartbeat("k-1");
  expect([engine.states("t-1"), engine.broadcasts("AGENT_RECOVERED").length]).toEqual([["assigned"], 1]);
});

it("says that an agent recovered also where it registered again", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.pass(3_000, { silent: ["k-1"] });
  engine.register("k-1");
  expect([engine.agent("k-1").state, engine.broadcasts("AGENT_RECOVERED").length]).toEqual(["healthy", 1]);
});

it("says once that an agent is unhealthy", () => {
  const engine = givenRunning();
  engine.pass(3_000, { silent: ["k-1"] });
  engine.pass(1_000, { silent: ["k-1"] });
  expect(engine.broadcasts("AGENT_UNHEALTHY")).toHaveLength(1);
});

it("loses nobody while the leader itself was away", () => {
  const engine = givenRunning();
  engine.lose();
  engine.now += 60_000;
  engine.core.observerResumed(engine.now);
  engine.core.checkSilence({ at: engine.now, monotonicAt: engine.now });
  expect([engine.agent("k-1").state, engine.states("t-1")]).toEqual(["healthy", ["running"]]);
});

it("asks a lost agent that is heard of again to register, and to stop what it had", () => {
  const engine = givenRunning();
  const { token } = engine.task("t-1");
  engine.lose("k-1");
  expect(engine.heartbeat("k-1", { incarnation: 1, tokens: [token ?? ""] })).toEqual({
    state: "reregister",
    incarnation: 1,
    cancel: [token],
  });
  expect(engine.agent("k-1").state).toBe("lost");
});

it("asks an agent that nobody knows to register", () => {
  expect(new Engine().heartbeat("k-9", { tokens: ["token"] })).toEqual({
    state: "reregister",
    incarnation: null,
    cancel: ["token"],
  });
});

it("takes a lost agent back as its next incarnation, even if it is the same process", () => {
  const engine = givenRunning();
  engine.lose("k-1");
  engine.register("k-1");
  expect(engine.agent("k-1")).toMatchObject({ state: "healthy", incarnation: 2, endedAt: null });
});

it("moves the work of an agent's old process at once when a new one registers", () => {
  const engine = givenRunning();
  engine.register("k-1", { instanceId: "process-2" });
  expect([engine.task("t-1"), engine.effects("orderAgent")]).toMatchObject([
    { state: "assigned", attempt: 2, agentId: "k-2", failure: { type: "AGENT_SUPERSEDED" } },
    [{ agentId: "k-1", state: "superseded", incarnation: 1 }],
  ]);
});

it("takes an agent without an instance id for a new process each time it registers", () => {
  const engine = new Engine();
  engine.register("k-1", { instanceId: undefined });
  engine.register("k-1", { instanceId: undefined });
  expect(engine.agent("k-1").incarnation).toBe(2);
});

it("leaves the work of a process alone that registers again", () => {
  const engine = givenRunning();
  engine.register("k-1", { maxConcurrentTasks: 5 });
  expect([engine.states("t-1"), engine.agent("k-1").incarnation, engine.agent("k-1").maxConcurrentTasks]).toEqual([
    ["running"],
    1,
    5,
  ]);
});

it("leaves an agent with what it has when it registers for less and for other things", () => {
  const engine = new Engine();
  engine.register("k-1", { maxConcurrentTasks: 3 });
  engine.submit(["t-1", "t-2", "t-3", "t-4"].map((id) => ({ taskId: id })));
  engine.register("k-1", { maxConcurrentTasks: 1, capabilities: ["scan"] });
  for (const id of ["t-1", "t-2", "t-3"]) engine.complete(id);
  expect([engine.states("t-1", "t-2", "t-3", "t-4"), engine.explain("t-4")]).toEqual([
    ["completed", "completed", "completed", "queued"],
    "no agent has capability ocr",
  ]);
});

it("tells the old process with its heartbeat that it was replaced, and to stop everything", () => {
  const engine = givenRunning();
  const { token } = engine.task("t-1");
  engine.register("k-1", { instanceId: "process-2" });
  expect(engine.heartbeat("k-1", { incarnation: 1, tokens: [token ?? ""] })).toEqual({
    state: "superseded",
    incarnation: 1,
    cancel: [token],
  });
});

it("names in its answer to a heartbeat the attempts that are no longer this agent's", () => {
  const engine = givenRunning({ timeoutMs: 1_000 });
  const { token } = engine.task("t-1");
  const before = engine.heartbeat("k-1", { tokens: [token ?? "", "of old"] });
  engine.pass(1_000);
  const after = engine.heartbeat("k-1", { tokens: [token ?? ""] });
  expect([before.cancel, after.cancel]).toEqual([["of old"], [token]]);
});

it("refuses what a replaced process says of itself", () => {
  const engine = givenRunning();
  engine.register("k-1", { instanceId: "process-2" });
  engine.report("k-1", { state: "draining", incarnation: 1 });
  expect(engine.agent("k-1").state).toBe("healthy");
});

it("moves the task back uncounted when nobody listened on its agent's subject", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1", retry: { maximumAttempts: 1 } });
  engine.register("k-2");
  engine.undeliverable("t-1");
  expect([engine.task("t-1"), engine.agent("k-1").state]).toMatchObject([
    { state: "assigned", attempt: 1, agentId: "k-2" },
    "unhealthy",
  ]);
});

it("takes no notice of an attempt that was undeliverable and has moved on since", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1" });
  const { token } = engine.task("t-1");
  engine.register("k-1", { instanceId: "process-2" });
  engine.undeliverable("t-1", token ?? "");
  expect([engine.agent("k-1").state, engine.task("t-1").attempt]).toEqual(["healthy", 2]);
});

it("does not blame the new process for what its predecessor did not receive", () => {
  const engine = new Engine({ settings: { maxConcurrentTasks: 1 } });
  engine.register("k-1", { maxConcurrentTasks: 2 });
  engine.submit({ taskId: "t-1" });
  const { token } = engine.task("t-1");
  // The place under the limit goes to another task, so that this one keeps its old token.
  engine.submit({ taskId: "t-2", priority: "critical" });
  engine.register("k-1", { instanceId: "process-2" });
  engine.undeliverable("t-1", token ?? "");
  expect([engine.states("t-1", "t-2"), engine.agent("k-1").state]).toEqual([["queued", "assigned"], "healthy"]);
});

it("keeps an agent that still has work when its record is to be forgotten", () => {
  const engine = givenRunning();
  engine.core.ledger.forgetAgent(engine.agent("k-1").agentId);
  engine.complete("t-1");
  const busy = engine.core.ledger.agents.has(engine.agent("k-1").agentId);
  engine.core.ledger.forgetAgent(engine.agent("k-1").agentId);
  expect([busy, engine.core.ledger.agents.size]).toEqual([true, 1]);
});

it("forgets an agent after a week, before the store drops its record, and not earlier", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.register("k-2");
  engine.lose("k-1");
  const week = 7 * 86_400_000;
  const known = [week - 3 * 3_600_000, 2 * 3_600_000].map((ms) => {
    engine.pass(ms);
    return [...engine.core.ledger.agents.keys()];
  });
  expect(known).toEqual([["k-1", "k-2"], ["k-2"]]);
  expect(engine.register("k-1")).toMatchObject({ incarnation: 1 });
});

it("gives a task to another agent when its own lives on without the attempt", () => {
  const engine = givenRunning();
  const { token } = engine.task("t-1");
  engine.heartbeat("k-1", { incarnation: 1, tokens: [token ?? ""] });
  engine.heartbeat("k-1", { incarnation: 1, tokens: [] });
  engine.now += 2_999;
  engine.heartbeat("k-1", { incarnation: 1, tokens: [] });
  expect(engine.states("t-1")).toEqual(["running"]);
  engine.now += 1;
  engine.heartbeat("k-1", { incarnation: 1, tokens: [] });
  expect(engine.task("t-1")).toMatchObject({ state: "assigned", attempt: 2, failure: { type: "ATTEMPT_LOST" } });
});

it.each<[string, object]>([
  ["lists no attempts at all", { incarnation: 1 }],
  ["speaks of another incarnation", { incarnation: 2, tokens: [] }],
])("takes nothing from an agent whose heartbeat %s", (_what, change) => {
  const engine = givenRunning();
  for (let beat = 0; beat < 5; beat += 1) {
    engine.now += 1_000;
    engine.heartbeat("k-1", change);
  }
  expect(engine.states("t-1")).toEqual(["running"]);
});

it("counts the time an attempt is missing from the last heartbeat that had it", () => {
  const engine = givenRunning();
  const held = [engine.task("t-1").token ?? ""];
  for (const tokens of [[], [], held, [], []]) {
    engine.now += 1_000;
    engine.heartbeat("k-1", { incarnation: 1, tokens });
  }
  expect(engine.states("t-1")).toEqual(["running"]);
});
