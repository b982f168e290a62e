import { expect, it } from "vitest";
import { CANCEL_GRACE_MS } from "../../src/protocol/limits.js";
import { Engine } from "./engine.js";

/** A task in the state that it is named after. */
function givenStates(): Engine {
  const engine = new Engine();
  engine.submit([
    { taskId: "running" },
    { taskId: "assigned" },
    { taskId: "backoff" },
    { taskId: "completed" },
    { taskId: "queued", requiredCapabilities: ["gpu"] },
    { taskId: "waiting", dependencies: ["queued"] },
  ]);
  engine.register("k-1", { maxConcurrentTasks: 4 });
  engine.accept("running");
  engine.fail("backoff");
  engine.complete("completed");
  return engine;
}

it.each(["queued", "waiting", "backoff"])("ends a task at once that is %s", (state) => {
  const engine = givenStates();
  expect([engine.states(state), engine.cancel(state).ok, engine.states(state)]).toEqual([[state], true, ["cancelled"]]);
});

it.each(["assigned", "running"])("tells the agent to stop a task that is %s", (state) => {
  const engine = givenStates();
  const { attempt, token } = engine.task(state);
  engine.cancel(state);
  expect([engine.states(state), engine.effects("cancelAttempt")]).toEqual([
    ["cancelling"],
    [{ kind: "cancelAttempt", taskId: state, agentId: "k-1", attempt, token }],
  ]);
});

it("leaves an ended task as it ended", () => {
  const engine = givenStates();
  const before = structuredClone(engine.task("completed"));
  expect([engine.cancel("completed").ok, engine.task("completed")]).toEqual([true, before]);
});

it("knows nothing of a task that never was", () => {
  expect(new Engine().cancel("t-1")).toMatchObject({
    ok: false,
    refusal: { code: "NOT_FOUND", details: { taskId: "t-1" } },
  });
});

it("tells the agent once, however often the client asks", () => {
  const engine = givenStates();
  engine.cancel("running");
  engine.cancel("running");
  expect(engine.effects("cancelAttempt")).toHaveLength(1);
});

function givenCancelling(): Engine {
  const engine = givenStates();
  engine.cancel("running");
  return engine;
}

it.each<[string, (engine: Engine) => void, string]>([
  ["stopped", (engine) => engine.handIn(engine.resultOf("running", { status: "cancelled" })), "cancelled"],
  ["failed meanwhile", (engine) => engine.fail("running"), "cancelled"],
  ["was done already", (engine) => engine.complete("running"), "completed"],
  [
    "hands it back",
    (engine) => engine.report("k-1", { state: "released", taskId: engine.task("running").spec.taskId }),
    "cancelled",
  ],
  ["is replaced by a new process", (engine) => engine.register("k-1", { instanceId: "process-2" }), "cancelled"],
  ["is not there", (engine) => engine.undeliverable("running"), "cancelled"],
  ["says nothing for 5 s", (engine) => engine.pass(CANCEL_GRACE_MS), "cancelled"],
  ["has 1 ms left to answer", (engine) => engine.pass(CANCEL_GRACE_MS - 1), "cancelling"],
])("ends a cancelled task as it should when its agent %s", (_what, answer, state) => {
  const engine = givenCancelling();
  answer(engine);
  expect(engine.states("running")).toEqual([state]);
});

it("keeps the place of a cancelled task taken until its agent answered", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit([{ taskId: "t-1" }, { taskId: "t-2" }]);
  engine.cancel("t-1");
  const meanwhile = engine.states("t-2");
  engine.handIn(engine.resultOf("t-1", { status: "cancelled" }));
  expect([meanwhile, engine.states("t-2")]).toEqual([["queued"], ["assigned"]]);
});

it("refuses what the agent says after the task was cancelled without it", () => {
  const engine = givenCancelling();
  const late = engine.resultOf("running", { output: "too late" });
  engine.pass(CANCEL_GRACE_MS);
  expect([engine.handIn(late), engine.task("running").output]).toMatchObject([
    { kind: "refused", code: "RESULT_STALE" },
    null,
  ]);
});

it("answers those who wait when a task ends cancelled", () => {
  const engine = givenStates();
  engine.cancel("queued");
  expect(engine.effects("answerWaiters").map((effect) => effect.taskId)).toEqual(["completed", "queued", "waiting"]);
});
