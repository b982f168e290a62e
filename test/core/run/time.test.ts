import { expect, it } from "vitest";
import { activity, complete, fail, Scripted, timer, WORKER } from "./scripted.js";

it("is tried again at once, then at a growing pace up to ten minutes, and is healed by one answer", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  const delays: number[] = [];
  for (let failures = 1; failures <= 9; failures += 1) {
    engine.failActivation("o-1");
    const { stuck } = engine.run("o-1");
    delays.push((stuck?.retryAt ?? 0) - engine.now);
    engine.pass(stuck?.retryAt === null ? 0 : Math.max(0, (stuck?.retryAt ?? 0) - engine.now));
  }
  expect(delays).toEqual([0, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000]);
  expect(engine.core.view(engine.task("o-1"), engine.now).state).toBe("stuck");
  engine.answer("o-1", [timer(1, 5)]);
  expect(engine.run("o-1")).toMatchObject({ state: "running", stuck: null });
});

it("says once that a run is stuck", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.failActivation("o-1");
  engine.pass(0);
  engine.failActivation("o-1");
  expect(engine.broadcasts("WORKFLOW_STUCK")).toMatchObject([{ taskId: "o-1", error: { type: "NONDETERMINISM" } }]);
});

it("tries a stuck run again at once when a worker with its code registers, and only then", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.failActivation("o-1");
  engine.pass(0);
  engine.failActivation("o-1");
  engine.register("k-1", { capabilities: ["workflow:leaf"] });
  expect(engine.activation("o-1")).toBeNull();
  engine.register("k-2", WORKER);
  expect(engine.activation("o-1")).not.toBeNull();
});

it("keeps what comes in while it is stuck, and shows all of it to the worker that heals it", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.failActivation("o-1");
  engine.pass(0);
  engine.failActivation("o-1");
  engine.signal("o-1", "one");
  engine.cancel("o-1");
  engine.pass(10_000);
  expect(engine.activation("o-1")?.events.map(({ type }) => type)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowExecutionSignaled",
    "WorkflowExecutionCancelRequested",
  ]);
});

it("is stuck, not lost, when three workers die with one activation", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  for (let died = 1; died <= 3; died += 1) engine.register("k-w", { ...WORKER, instanceId: `again-${died}` });
  expect(engine.run("o-1")).toMatchObject({ state: "stuck", stuck: { failure: { type: "AGENT_SUPERSEDED" } } });
  engine.pass(0);
  engine.answer("o-1", [complete()]);
  expect(engine.task("o-1").state).toBe("completed");
});

it("repeats a failed run by its policy, after its delay, under the same workflow", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { input: 9, retry: { maximumAttempts: 2, initialIntervalMs: 500 } });
  const first = engine.run("o-1").runId;
  engine.answer("o-1", [fail()]);
  expect([engine.task("o-1").state, engine.run("o-1").attempt, engine.activation("o-1")]).toEqual(["open", 2, null]);
  expect(engine.events("o-1")[0]).toMatchObject({
    input: 9,
    attempt: 2,
    continuedFromRunId: first,
    firstExecutionRunId: first,
    lastFailure: { type: "OutOfStock" },
  });
  engine.pass(500);
  engine.answer("o-1", [fail()]);
  expect(engine.task("o-1")).toMatchObject({ state: "failed", failure: { type: "OutOfStock" } });
});

it.each([
  ["has no policy", {}, {}, "retryPolicyNotSet"],
  ["says that it is not retryable", { retry: { maximumAttempts: 5 } }, { nonRetryable: true }, "nonRetryableFailure"],
  [
    "is of a type that the policy excludes",
    { retry: { nonRetryableErrorTypes: ["OutOfStock"] } },
    {},
    "nonRetryableFailure",
  ],
  ["is a cancellation that nobody asked for", { retry: {} }, { type: "CANCELLED" }, "nonRetryableFailure"],
  [
    "is that nobody took its task in time",
    { retry: {} },
    { type: "TASK_SCHEDULE_TO_START_TIMED_OUT" },
    "nonRetryableFailure",
  ],
  ["was the last that the policy allows", { retry: { maximumAttempts: 1 } }, {}, "maximumAttemptsReached"],
  ["comes too late for another run", { retry: { initialIntervalMs: 2_000 }, scheduleToCloseMs: 1_500 }, {}, "timeout"],
  [
    "asks for more time than there is",
    { retry: { initialIntervalMs: 1 }, scheduleToCloseMs: 1_500 },
    { nextRetryDelayMs: 1_500 },
    "timeout",
  ],
])("does not repeat a run whose failure %s", (_what, submission, failure, retryState) => {
  const engine = Scripted.withWorker();
  engine.start("o-1", submission);
  engine.answer("o-1", [fail(failure)]);
  expect([engine.task("o-1").state, engine.events("o-1").at(-1)]).toMatchObject(["failed", { retryState }]);
});

it("repeats a run when its failure says, and notes that it does", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { retry: { initialIntervalMs: 1 } });
  engine.signal("o-1", "a");
  engine.answer("o-1", [timer(1, 60_000)]);
  engine.answer("o-1", [fail({ nextRetryDelayMs: 9_000 })]);
  const ends = engine.facts.flatMap((fact) => (fact.type === "RunAdvanced" ? fact.events : [])).slice(-2);
  expect(ends).toMatchObject([{ type: "WorkflowExecutionFailed", retryState: "inProgress" }, { attempt: 2 }]);
  engine.pass(8_999);
  expect(engine.activation("o-1")).toBeNull();
  engine.pass(1);
  expect(engine.activation("o-1")).not.toBeNull();
});

it("times a run out and repeats it, but not the whole chain", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { timeoutMs: 2_000, scheduleToCloseMs: 5_000, retry: { initialIntervalMs: 100 } });
  engine.answer("o-1", [timer(1, 60_000)]);
  engine.pass(2_000);
  expect([engine.task("o-1").state, engine.run("o-1").attempt]).toEqual(["open", 2]);
  engine.pass(3_000);
  expect(engine.task("o-1")).toMatchObject({ state: "timed_out", failure: { type: "WORKFLOW_TIMED_OUT" } });
  engine.pass(60_000);
  expect(engine.core.ledger.tasks.size).toBe(1);
});

it("times out an activity that nobody took, before the time-out of the whole", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [activity(1, { scheduleToCloseMs: 700 })]);
  engine.pass(700);
  expect(engine.events("o-1").at(-1)).toMatchObject({
    type: "ActivityTaskTimedOut",
    failure: { type: "TASK_SCHEDULE_TO_START_TIMED_OUT" },
  });
});

it("hands what an attempt last reported to the next one when it falls silent", () => {
  const engine = Scripted.withWorker();
  engine.register("k-1");
  engine.start("o-1");
  engine.answer("o-1", [activity(1, { heartbeatTimeoutMs: 900, startToCloseMs: 60_000 })]);
  const id = `${engine.run("o-1").runId}-1`;
  engine.accept(id);
  engine.report("k-1", { state: "progress", taskId: id as never, token: engine.task(id).token ?? "", progress: 42 });
  engine.pass(899);
  expect(engine.task(id).state).toBe("running");
  engine.pass(1);
  expect(engine.task(id)).toMatchObject({ state: "backoff", failure: { type: "TASK_HEARTBEAT_TIMED_OUT" } });
  engine.pass(1_000);
  expect([engine.task(id).attempt, engine.task(id).progress]).toEqual([2, 42]);
});

it("drops what a closed run had asked for", () => {
  const engine = Scripted.withWorker();
  engine.register("k-1");
  engine.start("o-1");
  engine.answer("o-1", [activity(1), activity(2), timer(3, 50)]);
  const { runId } = engine.run("o-1");
  engine.signal("o-1", "stop");
  engine.answer("o-1", [complete()]);
  expect(engine.states(`${runId}-1`, `${runId}-2`)).toEqual(["cancelling", "cancelled"]);
  expect(engine.run("o-1").timers).toEqual({});
});

it("is not tried again once it was asked to end", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { retry: { initialIntervalMs: 500 } });
  engine.cancel("o-1");
  engine.answer("o-1", []);
  engine.answer("o-1", [fail()]);
  expect(engine.events("o-1").at(-1)).toMatchObject({ type: "WorkflowExecutionFailed", retryState: "cancelRequested" });
  expect(engine.task("o-1").state).toBe("failed");
});

it("ends at once when it is cancelled between two tries", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { retry: { initialIntervalMs: 60_000 } });
  engine.answer("o-1", [fail()]);
  engine.cancel("o-1");
  expect(engine.task("o-1").state).toBe("cancelled");
  engine.pass(60_000);
  expect(engine.activation("o-1")).toBeNull();
});
