import { expect, it } from "vitest";
import { ANSWER_TIMEOUT_MS } from "../../src/core/settings.js";
import { agentId } from "../support/given.js";
import { Engine, type Submission } from "./engine.js";

function givenAssigned(task: Submission = {}): Engine {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1", ...task });
  return engine;
}

/** Time passes step by step, as timers fire, until the task changed its state or ten minutes are over. */
function msUntilChange(engine: Engine): number {
  const before = engine.task("t-1").state;
  const since = engine.now;
  while (engine.task("t-1").state === before && engine.now - since < 600_000) engine.pass(500);
  return engine.now - since;
}

it("retries after 1, 2, 4… seconds and fails with the last error", () => {
  const engine = givenAssigned({ retry: { maximumAttempts: 4 } });
  const waits: number[] = [];
  for (let attempt = 1; attempt < 4; attempt += 1) {
    engine.fail("t-1", { message: `jam ${attempt}` });
    waits.push(msUntilChange(engine));
  }
  engine.fail("t-1", { message: "jam 4" });
  expect([waits, engine.task("t-1")]).toMatchObject([
    [1_000, 2_000, 4_000],
    { state: "failed", attempt: 4, failure: { message: "jam 4" } },
  ]);
});

it("gives every attempt a token of its own", () => {
  const engine = givenAssigned();
  engine.fail("t-1");
  engine.pass(1_000);
  const tokens = engine.effects("dispatchTask").map((effect) => effect.token);
  expect([tokens.length, new Set(tokens).size]).toEqual([2, 2]);
});

it("frees the agent's place between two attempts", () => {
  const engine = givenAssigned();
  engine.submit({ taskId: "t-2" });
  engine.fail("t-1");
  expect(engine.states("t-1", "t-2")).toEqual(["backoff", "assigned"]);
});

it("tells everybody of each retry, with the error", () => {
  const engine = givenAssigned();
  engine.fail("t-1");
  expect(engine.broadcasts("TASK_RETRYING")).toMatchObject([
    { taskId: "t-1", attempt: 1, error: { type: "OutOfPaper" } },
  ]);
});

it("takes a failure without a reason for one of unknown type", () => {
  const engine = givenAssigned({ retry: { maximumAttempts: 1 } });
  engine.handIn(engine.resultOf("t-1", { status: "failed" }));
  expect(engine.task("t-1").failure).toEqual({ type: "UNKNOWN", message: "the agent gave no reason" });
});

it("retries what its agent cancelled unasked", () => {
  const engine = givenAssigned();
  engine.handIn(engine.resultOf("t-1", { status: "cancelled" }));
  expect(engine.task("t-1")).toMatchObject({ state: "backoff", failure: { type: "CANCELLED_BY_AGENT" } });
});

it("stops an attempt that takes longer than it may, retries it, and times out with the last one", () => {
  const engine = givenAssigned({ timeoutMs: 2_000, retry: { maximumAttempts: 2 } });
  engine.accept("t-1");
  engine.pass(2_000);
  const first = structuredClone(engine.task("t-1"));
  engine.pass(1_000);
  engine.accept("t-1");
  engine.pass(2_000);
  expect([first, engine.task("t-1"), engine.effects("cancelAttempt").map((effect) => effect.attempt)]).toMatchObject([
    { state: "backoff", failure: { type: "TASK_TIMED_OUT" } },
    { state: "timed_out", failure: { type: "TASK_TIMED_OUT" } },
    [1, 2],
  ]);
});

it("ends a task whose time as a whole is up, and stops its attempt", () => {
  const engine = givenAssigned({ scheduleToCloseMs: 3_000 });
  engine.accept("t-1");
  engine.pass(3_000);
  expect([engine.task("t-1"), engine.effects("cancelAttempt").length]).toMatchObject([
    { state: "timed_out", failure: { type: "TASK_SCHEDULE_TO_CLOSE_TIMED_OUT" } },
    1,
  ]);
});

it("ends a task whose time is up before any agent could take it", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1", scheduleToCloseMs: 3_000 });
  engine.pass(3_000);
  expect(engine.states("t-1")).toEqual(["timed_out"]);
});

it("fails at once with the real error when the next retry would come too late", () => {
  const engine = givenAssigned({ scheduleToCloseMs: 1_000 });
  engine.fail("t-1");
  expect(engine.task("t-1")).toMatchObject({ state: "failed", failure: { type: "OutOfPaper" } });
});

it("sends an assignment again that nobody answered, then moves it, counted", () => {
  const engine = givenAssigned();
  const first = engine.task("t-1").token;
  engine.pass(ANSWER_TIMEOUT_MS);
  const second = engine.task("t-1").token;
  engine.pass(ANSWER_TIMEOUT_MS);
  const sent = engine.effects("dispatchTask").map((effect) => effect.token);
  expect([second, sent.slice(0, 2), engine.task("t-1")]).toMatchObject([
    first,
    [first, first],
    { state: "assigned", attempt: 2, failure: { type: "TASK_NOT_ACCEPTED" } },
  ]);
});

it("gives a task that nobody accepted to another agent, however loaded that is", () => {
  const engine = new Engine();
  engine.register("deaf");
  engine.register("k-2", { maxConcurrentTasks: 3 });
  engine.submit({ taskId: "t-0" }, { preferredAgentId: agentId("k-2") });
  engine.submit({ taskId: "t-1" }, { preferredAgentId: agentId("deaf") });
  engine.accept("t-0");
  engine.pass(ANSWER_TIMEOUT_MS);
  engine.pass(ANSWER_TIMEOUT_MS);
  expect(engine.task("t-1")).toMatchObject({ state: "assigned", attempt: 2, agentId: "k-2" });
});

it("waits no longer for an answer once the agent gave one", () => {
  const engine = givenAssigned();
  engine.accept("t-1");
  engine.pass(10 * ANSWER_TIMEOUT_MS);
  expect([engine.states("t-1"), engine.effects("dispatchTask").length]).toEqual([["running"], 1]);
});

it("looks again exactly when something is due", () => {
  const engine = givenAssigned({ timeoutMs: 2_000 });
  engine.accept("t-1");
  expect(engine.core.ledger.deadlines.nextAt).toBe(engine.now + 2_000);
});

it("counts the cost of what ended", () => {
  const engine = givenAssigned();
  engine.handIn(engine.resultOf("t-1", { usage: { cost: 0.5, tokens: { input: 10, output: 2 }, model: "small-1" } }));
  expect([engine.core.status().usage, engine.core.status().endedTaskCounts]).toEqual([
    { cost: 0.5, tokens: { input: 10, output: 2 } },
    { completed: 1, failed: 0, cancelled: 0, timed_out: 0, terminated: 0 },
  ]);
});
