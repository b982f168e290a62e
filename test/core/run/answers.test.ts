import { expect, it } from "vitest";
import type { Command } from "../../../src/protocol/command.js";
import { activity, complete, Scripted, step, timer, WORKER } from "./scripted.js";

function givenStarted(): Scripted {
  const engine = Scripted.withWorker();
  engine.start("o-1", { input: 3 });
  return engine;
}

it("sends a worker the start, takes its answer and ends the workflow with it", () => {
  const engine = givenStarted();
  expect(engine.activation("o-1")).toMatchObject({ from: "start", lastEventId: 1, previousToken: null });
  engine.answer("o-1", [complete(7)]);
  expect([engine.task("o-1").state, engine.task("o-1").output, engine.types("o-1")]).toEqual([
    "completed",
    7,
    ["WorkflowExecutionStarted", "WorkflowTaskCompleted", "WorkflowExecutionCompleted"],
  ]);
});

it("costs no worker anything while it waits", () => {
  const engine = givenStarted();
  engine.answer("o-1", [timer(1, 10_000)]);
  expect([engine.activation("o-1"), engine.core.ledger.activeCount]).toEqual([null, 0]);
});

it("keeps what comes in while a worker is at it, and places completions behind the rest", () => {
  const engine = givenStarted();
  engine.register("k-1");
  engine.answer("o-1", [activity(1), timer(2, 10)]);
  engine.signal("o-1", "wake");
  const { runId } = engine.run("o-1");
  engine.complete(`${runId}-1`);
  engine.signal("o-1", "first");
  engine.pass(10);
  engine.signal("o-1", "second");
  const before = engine.types("o-1").length;
  engine.answer("o-1", [timer(3, 99)]);
  expect(engine.types("o-1").slice(before)).toEqual([
    "WorkflowTaskCompleted",
    "TimerStarted",
    "signal first",
    "TimerFired",
    "signal second",
    "ActivityTaskCompleted",
  ]);
  expect(engine.activation("o-1")).toMatchObject({ from: "previous", events: [{}, {}, {}, {}] });
});

it("refuses a close whose code has not seen everything, and sends it what it has not seen", () => {
  const engine = givenStarted();
  engine.signal("o-1", "late");
  engine.answer("o-1", [complete()]);
  expect([engine.run("o-1").state, engine.types("o-1")]).toEqual([
    "running",
    ["WorkflowExecutionStarted", "signal late"],
  ]);
  expect(engine.signal("o-1", "too late")).toMatchObject({ ok: false, refusal: { code: "NOT_READY" } });
  engine.answer("o-1", [complete()]);
  expect(engine.task("o-1").state).toBe("completed");
});

it("moves a run whose close was refused to another worker, and lets signals in meanwhile", () => {
  const engine = givenStarted();
  engine.signal("o-1", "late");
  engine.answer("o-1", [complete()]);
  engine.register("k-w", { ...WORKER, instanceId: "k-w-process-2" });
  engine.pass(5_000);
  expect(engine.isOut("o-1")).toBe(true);
  engine.answer("o-1", [complete()]);
  expect(engine.task("o-1").state).toBe("completed");
});

it("keeps signals in their order when a worker is lost between them", () => {
  const engine = givenStarted();
  engine.signal("o-1", "one");
  engine.lose("k-w");
  engine.signal("o-1", "two");
  engine.register("k-x", WORKER);
  engine.pass(1_000);
  expect(engine.types("o-1")).toEqual(["WorkflowExecutionStarted", "signal one", "signal two"]);
  expect(engine.activation("o-1")).toMatchObject({ from: "start", lastEventId: 3 });
});

it("ignores the answer of a worker that was given up, and does not lose the run over it", () => {
  const engine = givenStarted();
  const stale = engine.resultOf(engine.run("o-1").runId, {
    activation: { commands: [complete()], steps: [], queries: [] },
  });
  engine.lose("k-w");
  engine.handIn(stale);
  expect(engine.task("o-1").state).toBe("open");
  engine.register("k-x", WORKER);
  engine.pass(1_000);
  engine.answer("o-1", [complete("second")]);
  expect(engine.task("o-1").output).toBe("second");
});

it("refuses a second answer to one activation", () => {
  const engine = givenStarted();
  const { runId } = engine.run("o-1");
  const first = engine.resultOf(runId, { activation: { commands: [timer(1, 50)], steps: [], queries: [] } });
  engine.handIn(first);
  const commands = [complete()];
  const second = { ...first, activation: { commands, steps: [], queries: [] } };
  expect(engine.handIn(second)).toMatchObject({ kind: "refused", code: "RESULT_UNKNOWN_TASK" });
  engine.signal("o-1", "next");
  expect(engine.handIn(second)).toMatchObject({ kind: "refused", code: "RESULT_STALE" });
  expect(engine.task("o-1").state).toBe("open");
});

it("gives an activation that nobody answers to another worker", () => {
  const engine = givenStarted();
  const { runId } = engine.run("o-1");
  engine.accept(runId);
  engine.register("k-x", WORKER);
  for (let passed = 0; passed < 65_000; passed += 1_000) engine.pass(1_000);
  expect(engine.task(runId)).toMatchObject({ attempt: 2, agentId: "k-x" });
});

it("records the outcome of a step with the answer that began it, and begins the unfinished ones", () => {
  const engine = givenStarted();
  const { runId } = engine.run("o-1");
  engine.answer("o-1", [step(1, { token: "a".repeat(20) }), step(2, { token: "b".repeat(20) })], {
    steps: [{ seq: 1, output: 5 }],
  });
  expect(engine.types("o-1").slice(1)).toEqual([
    "WorkflowTaskCompleted",
    "StepScheduled",
    "StepScheduled",
    "StepCompleted",
  ]);
  expect([engine.task(`${runId}-s2`).state, engine.core.ledger.tasks.size]).toEqual(["running", 3]);
  engine.complete(`${runId}-s2`, 6);
  engine.answer("o-1", []);
  engine.answer("o-1", [complete()]);
  expect([engine.task("o-1").state, engine.core.ledger.tasks.size]).toEqual(["completed", 1]);
});

it("sends an attempt of a step that its worker did not begin itself", () => {
  const engine = givenStarted();
  engine.answer("o-1", [step(1, { retry: { maximumAttempts: 2 } })]);
  const { runId } = engine.run("o-1");
  expect(engine.core.workflows.dispatch.stepOf(engine.task(`${runId}-s1`))).toMatchObject({ seq: 1, name: "charge" });
});

it("tells the agent of an activity that was cancelled, and ends one that nobody has", () => {
  const engine = givenStarted();
  engine.register("k-1");
  engine.answer("o-1", [activity(1), activity(2)]);
  const { runId } = engine.run("o-1");
  engine.signal("o-1", "stop");
  engine.answer("o-1", [
    { type: "RequestCancelActivityTask", seq: 1 },
    { type: "RequestCancelActivityTask", seq: 2 },
  ]);
  expect(engine.states(`${runId}-1`, `${runId}-2`)).toEqual(["cancelling", "cancelled"]);
  expect(engine.effects("cancelAttempt")).toHaveLength(1);
  expect(engine.types("o-1").at(-1)).toBe("ActivityTaskCanceled");
});

it("drops a step that its code gave up, and tells its worker", () => {
  const engine = givenStarted();
  engine.answer("o-1", [step(1)]);
  const { runId } = engine.run("o-1");
  engine.signal("o-1", "stop");
  engine.answer("o-1", [{ type: "CancelStep", seq: 1 }]);
  expect([engine.core.ledger.tasks.has(runId), engine.effects("cancelAttempt").length]).toEqual([false, 1]);
  expect([...engine.core.ledger.tasks.keys()]).toEqual(["o-1"]);
});

it("takes back the firing of a timer that was cancelled before its code saw it", () => {
  const engine = givenStarted();
  engine.answer("o-1", [timer(1, 10)]);
  engine.signal("o-1", "stop");
  engine.pass(10);
  engine.answer("o-1", [{ type: "CancelTimer", seq: 1 }]);
  expect(engine.types("o-1").at(-1)).toBe("TimerCanceled");
  expect(engine.activation("o-1")).toBeNull();
});

it("lets a close through that takes back the one timer whose firing it has not seen", () => {
  const engine = givenStarted();
  engine.answer("o-1", [timer(1, 10)]);
  engine.signal("o-1", "stop");
  engine.pass(10);
  engine.answer("o-1", [{ type: "CancelTimer", seq: 1 }, complete()]);
  expect(engine.task("o-1").state).toBe("completed");
});

it("records what the code was told about the length of its history, for a replay to tell it again", () => {
  const engine = givenStarted();
  const grow = (): Command[] =>
    Array.from({ length: 6_000 }, () => ({ type: "ModifyWorkflowProperties" as const, memo: {} }));
  const told: unknown[] = [];
  for (const signal of ["one", "two", "three"]) {
    engine.signal("o-1", signal);
    engine.answer("o-1", grow());
    told.push(engine.activation("o-1")?.continueAsNewSuggested);
  }
  const recorded = engine
    .events("o-1")
    .flatMap((event) => (event.type === "WorkflowTaskCompleted" ? [event.continueAsNewSuggested] : []));
  expect([told, recorded]).toEqual([
    [false, true, true],
    [undefined, undefined, true],
  ]);
});

it("is stuck where what it has under way would outgrow its record, and goes on with less", () => {
  const engine = givenStarted();
  engine.answer(
    "o-1",
    Array.from({ length: 5_000 }, (_, index) => activity(index + 1)),
  );
  expect(engine.run("o-1").stuck?.failure.message).toMatch(/bytes of its record and may take .* Start fewer at a time/);
  engine.pass(0);
  engine.answer("o-1", [activity(1)]);
  expect(engine.run("o-1").state).toBe("running");
});

const large = "x".repeat(70_000);
it.each<[what: string, said: readonly Command[], thenToo: readonly Command[]]>([
  [
    "its memo",
    [{ type: "ModifyWorkflowProperties", memo: { a: large } }],
    [{ type: "ModifyWorkflowProperties", memo: { b: large } }],
  ],
  [
    "its search attributes",
    [{ type: "UpsertSearchAttributes", searchAttributes: { a: large } }],
    [{ type: "UpsertSearchAttributes", searchAttributes: { b: large } }],
  ],
  ["the memo of its ContinueAsNew", [], [{ type: "ContinueAsNew", memo: { a: large, b: large } }]],
])("is stuck where its record would outgrow a message by %s, and goes on with less", (what, said, thenToo) => {
  const engine = givenStarted();
  engine.answer("o-1", [...said, timer(1, 5)]);
  engine.pass(5);
  engine.answer("o-1", thenToo);
  expect(engine.run("o-1").stuck?.failure.message).toMatch(new RegExp(`bytes in ${what}, which may have 131072`));
  engine.pass(0);
  engine.answer("o-1", []);
  expect(engine.run("o-1").state).toBe("running");
});

it("fires thousands of timers, each once and in their order", () => {
  const engine = givenStarted();
  const timers = Array.from({ length: 5_000 }, (_, index) => timer(index + 1, 1 + ((index * 7_919) % 5_000)));
  engine.answer("o-1", timers);
  engine.pass(2_500);
  engine.pass(3_000);
  engine.answer("o-1", []);
  const fired = engine.events("o-1").flatMap((event) => (event.type === "TimerFired" ? [event.seq] : []));
  expect([new Set(fired).size, fired.length, engine.run("o-1").timers]).toEqual([5_000, 5_000, {}]);
});

it.each([
  ["an answer that is none", undefined],
  ["a sequence number that was used", { commands: [timer(1, 5), timer(1, 5)], steps: [], queries: [] }],
  [
    "the cancellation of what was never asked for",
    { commands: [{ type: "CancelTimer", seq: 9 } as const], steps: [], queries: [] },
  ],
  ["the outcome of a step that it has not begun", { commands: [], steps: [{ seq: 4, output: 1 }], queries: [] }],
])("is stuck over %s, and goes on with the next worker", (_what, activation) => {
  const engine = givenStarted();
  engine.handIn(engine.resultOf(engine.run("o-1").runId, activation === undefined ? {} : { activation }));
  expect(engine.run("o-1")).toMatchObject({ state: "stuck", stuck: { failure: { type: "INVALID_MESSAGE" } } });
  expect(engine.types("o-1")).toEqual(["WorkflowExecutionStarted"]);
  engine.pass(1);
  engine.answer("o-1", [complete()]);
  expect(engine.task("o-1").state).toBe("completed");
});

it("takes no command for an answer where there was nothing to see but a query", () => {
  const engine = givenStarted();
  engine.answer("o-1", [timer(1, 9_000)]);
  engine.query("o-1", "q-1");
  expect(engine.activation("o-1")).toMatchObject({ queriesOnly: true });
  engine.answer("o-1", [complete()]);
  expect(engine.run("o-1").state).toBe("stuck");
});

it("counts what its tasks cost once, along the whole chain", () => {
  const engine = givenStarted();
  engine.register("k-1");
  const usage = { cost: 0.5, tokens: { input: 10, output: 2 }, model: "small-1" };
  engine.answer("o-1", [activity(1)]);
  engine.handIn(engine.resultOf(`${engine.run("o-1").runId}-1`, { usage }));
  engine.answer("o-1", [{ type: "ContinueAsNew" }]);
  engine.answer("o-1", [activity(1)]);
  engine.handIn(engine.resultOf(`${engine.run("o-1").runId}-1`, { usage }));
  engine.answer("o-1", [complete()]);
  expect([engine.task("o-1").usage?.cost, engine.core.status().usage.cost]).toEqual([1, 1]);
});

it("warns once when its history is long, and again each thousand events", () => {
  const engine = givenStarted();
  let seq = 0;
  const grow = (count: number) => {
    const first = seq + 1;
    seq += count;
    engine.signal("o-1", `wake-${seq}`);
    engine.answer(
      "o-1",
      Array.from({ length: count }, (_, index) => timer(first + index, 1_000_000)),
    );
  };
  grow(5_000);
  grow(5_000);
  const before = engine.broadcasts("WORKFLOW_HISTORY_LARGE").length;
  grow(400);
  grow(400);
  const warned = engine.broadcasts("WORKFLOW_HISTORY_LARGE").length;
  grow(600);
  expect([before, warned, engine.broadcasts("WORKFLOW_HISTORY_LARGE").length]).toEqual([0, 1, 2]);
});

it("is terminated when its history is longer than any may be", () => {
  const engine = givenStarted();
  engine.answer(
    "o-1",
    Array.from({ length: 51_200 }, (): Command => ({ type: "ModifyWorkflowProperties", memo: {} })),
  );
  expect(engine.task("o-1")).toMatchObject({ state: "terminated", failure: { type: "TERMINATED" } });
  expect(engine.core.nextDeadlineAt).toBeNull();
});
