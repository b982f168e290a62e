import { expect, it } from "vitest";
import { Ledger } from "../../../src/core/ledger.js";
import { FLUSH_BYTES_MAX } from "../../../src/protocol/limits.js";
import { taskId } from "../../support/given.js";
import { activity, child, complete, fail, Scripted, step, timer } from "./scripted.js";

/** A run that has made three workflow tasks and is open: `go` came behind the first, `stop` behind the last. */
function givenOrder(): Scripted {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [timer(1, 60_000)]);
  engine.signal("o-1", "go");
  engine.answer("o-1", [{ type: "RecordPatch", patchId: "p", deprecated: false }]);
  engine.signal("o-1", "more");
  engine.answer("o-1", [{ type: "RecordPatch", patchId: "q", deprecated: false }]);
  engine.signal("o-1", "stop");
  return engine;
}

it("begins a new run with what the old one had seen before the workflow task, and what came in since", () => {
  const engine = givenOrder();
  const before = engine.run("o-1");
  expect(engine.reset("o-1")).toEqual({ ok: true, runId: engine.run("o-1").runId });
  const { runId, spec, state } = engine.run("o-1");
  expect([before.state, state, engine.task("o-1").state]).toEqual(["terminated", "running", "open"]);
  expect(runId).not.toBe(before.runId);
  expect(spec.firstExecutionRunId).toBe(before.spec.firstExecutionRunId);
  expect(engine.types("o-1")).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "TimerStarted",
    "signal go",
    "WorkflowTaskCompleted",
    "PatchRecorded",
    "signal more",
    "WorkflowTaskFailed",
    "signal stop",
  ]);
  expect(engine.events("o-1")[7]).toMatchObject({ baseRunId: before.runId, newRunId: runId, reason: "a bug" });
  expect(engine.activation("o-1")).toMatchObject({ runId, from: "start", previousToken: null, queriesOnly: false });
  expect(engine.broadcasts("WORKFLOW_RESET")).toEqual([
    { taskId: "o-1", runId, baseRunId: before.runId, eventId: 8, reason: "a bug" },
  ]);
});

it("ends the old run with a reason that names the new one", () => {
  const engine = givenOrder();
  const { tail } = engine.open("o-1");
  engine.reset("o-1");
  const reason = `reset to event 8 as run ${engine.run("o-1").runId}: a bug`;
  expect(tail.at(-1)).toMatchObject({ type: "WorkflowExecutionTerminated", reason });
});

it("goes back to the first workflow task, or to any other by its event", () => {
  const engine = givenOrder();
  engine.reset("o-1", { to: 5 });
  expect(engine.types("o-1").slice(3)).toEqual(["signal go", "WorkflowTaskFailed", "signal more", "signal stop"]);
  engine.answer("o-1", []);
  engine.reset("o-1", { to: "firstWorkflowTask" });
  expect(engine.types("o-1")).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskFailed",
    "signal go",
    "signal more",
    "signal stop",
  ]);
});

it.each([
  ["all", ["signal go", "WorkflowExecutionUpdateAdmitted"]],
  ["signals", ["signal go"]],
  ["updates", ["WorkflowExecutionUpdateAdmitted"]],
  ["none", []],
] as const)("gives the new run %s of what came in since", (reapply, since) => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [timer(1, 60_000)]);
  engine.signal("o-1", "go");
  engine.answer("o-1", []);
  engine.update("o-1", "u-1");
  engine.answer("o-1", [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "CompleteUpdate", updateId: "u-1", output: 1 },
  ]);
  engine.reset("o-1", { to: "firstWorkflowTask", reapply });
  expect(engine.types("o-1").slice(2)).toEqual(since);
  const asked = engine.activation("o-1")?.updates.map(({ updateId }) => updateId);
  expect(asked).toEqual(since.length > 0 && since.at(-1) !== "signal go" ? ["u-1"] : []);
});

/** Two that the old run accepted and the new one is asked again. */
function givenReappliedUpdates(): Scripted {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.update("o-1", "u-1");
  engine.update("o-1", "u-2");
  engine.answer("o-1", [
    timer(1, 60_000),
    ...["u-1", "u-2"].map((updateId) => ({ type: "AcceptUpdate", updateId }) as const),
  ]);
  engine.reset("o-1");
  return engine;
}

it("asks a reapplied update of the new run until that has decided, whoever leads by then", () => {
  const engine = givenReappliedUpdates();
  expect(engine.outcomes("o-1/u-1")).toEqual([{ state: "accepted" }]);
  const next = afterCrash(engine);
  expect(next.activation("o-1")?.updates.map(({ updateId }) => updateId)).toEqual(["u-1", "u-2"]);
  next.answer("o-1", [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "RejectUpdate", updateId: "u-2", failure: { type: "No", message: "no" } },
  ]);
  expect(next.run("o-1")).toMatchObject({ updates: { "u-1": { state: "accepted" } }, admitted: {} });
});

it("schedules again what had not ended, and gives up the old run's", () => {
  const engine = Scripted.withWorker();
  engine.register("k-1", { capabilities: ["ocr"], maxConcurrentTasks: 9 });
  engine.start("o-1");
  engine.answer("o-1", [activity(1), activity(2), step(3), timer(4, 1_000)]);
  const old = engine.run("o-1").runId;
  engine.complete(`${old}-1`, "first");
  engine.answer("o-1", []);
  engine.complete(`${old}-2`, "second");
  engine.reset("o-1");
  const { runId, activities, steps, timers } = engine.run("o-1");
  expect([Object.keys(activities), Object.keys(steps), Object.keys(timers)]).toEqual([["2"], ["3"], ["4"]]);
  expect(engine.task(`${runId}-2`).state).toBe("assigned");
  expect(engine.task(`${runId}-s3`).spec.role).toMatchObject({ kind: "step", runId, seq: 3 });
  expect(engine.core.ledger.tasks.has(taskId(`${old}-s3`))).toBe(false);
  engine.complete(`${runId}-2`, "again");
  engine.pass(1_000);
  engine.answer("o-1", []);
  const since = engine.events("o-1").slice(engine.types("o-1").indexOf("WorkflowTaskFailed") + 1);
  expect(since).toMatchObject(
    [
      { type: "WorkflowTaskCompleted" },
      { type: "ActivityTaskCompleted", seq: 2, output: "again" },
      { type: "TimerFired", seq: 4 },
    ].toSorted((a, b) => order(a.type) - order(b.type)),
  );
});
const order = (type: string): number => ["WorkflowTaskCompleted", "TimerFired", "ActivityTaskCompleted"].indexOf(type);

it("cancels again a task whose cancellation was asked for before the point", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [activity(1)]);
  engine.signal("o-1", "go");
  engine.register("k-1", { capabilities: ["ocr"] });
  engine.answer("o-1", [{ type: "RequestCancelActivityTask", seq: 1 }]);
  engine.signal("o-1", "more");
  engine.answer("o-1", []);
  engine.reset("o-1");
  expect(engine.task(`${engine.run("o-1").runId}-1`).state).toMatch(/^cancel/);
});

const closes: readonly (readonly [string, (engine: Scripted) => void])[] = [
  ["completed", (engine) => engine.answer("o-1", [complete("wrong")])],
  ["failed", (engine) => engine.answer("o-1", [fail()])],
  ["cancelled", (engine) => engine.answer("o-1", [{ type: "CancelWorkflow" }])],
  ["terminated", (engine) => engine.terminate("o-1")],
  ["timed_out", (engine) => engine.pass(90_000)],
];
it.each(closes)("opens a workflow again that has %s", (state, close) => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { timeoutMs: 90_000, scheduleToCloseMs: 100_000 });
  engine.answer("o-1", [timer(1, 80_000)]);
  engine.signal("o-1", "go");
  close(engine);
  expect(engine.task("o-1").state).toBe(state);
  expect(engine.reset("o-1", { to: "firstWorkflowTask" }).ok).toBe(true);
  expect(engine.task("o-1")).toMatchObject({ state: "open", output: null, failure: null, endedAt: null });
  expect(engine.task("o-1").closeDeadlineAt).toBe(engine.now + 100_000);
  expect(engine.run("o-1").runDeadlineAt).toBe(engine.now + 90_000);
  expect(engine.core.ledger.counts).toMatchObject({ open: 1, completed: 0, failed: 0, cancelled: 0, terminated: 0 });
  engine.answer("o-1", [complete("right")]);
  expect(engine.task("o-1")).toMatchObject({ state: "completed", output: "right" });
});

it("keeps children that it had started, and hears of their ends", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1"), child(2, "c-2")]);
  engine.answer("o-1", []);
  engine.answer("c-1", [complete(1)]);
  engine.answer("o-1", [child(3, "c-3")]);
  engine.answer("o-1", []);
  const third = engine.events("o-1").find((event) => "seq" in event && event.seq === 3)?.eventId ?? 0;
  engine.reset("o-1", { to: third - 1 });
  expect(Object.keys(engine.run("o-1").children)).toEqual(["2"]);
  expect(engine.run("c-3").abandoned).toBe(true);
  const next = afterCrash(engine);
  expect(next.states("c-2", "c-3")).toEqual(["open", "open"]);
  next.answer("c-2", [complete(2)]);
  next.answer("c-3", [complete(3)]);
  next.answer("o-1", []);
  expect(next.types("o-1").filter((type) => type.startsWith("ChildWorkflowExecutionCompleted"))).toHaveLength(2);
});

it("tells the new run of children that ended with the old one", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1")]);
  engine.answer("o-1", []);
  engine.signal("o-1", "go");
  engine.answer("o-1", [fail()]);
  expect(engine.task("c-1").state).toBe("terminated");
  engine.reset("o-1");
  expect(engine.events("o-1").at(-1)).toMatchObject({ type: "ChildWorkflowExecutionTerminated", seq: 1 });
});

it("applies the policy to kept children when the new run closes", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1")]);
  engine.answer("o-1", []);
  engine.signal("o-1", "go");
  engine.answer("o-1", []);
  engine.reset("o-1");
  engine.answer("o-1", [complete()]);
  expect(engine.task("c-1").state).toBe("terminated");
});

it("lets a child that is open again go on when its parent, which has heard of its end, closes", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1")]);
  engine.answer("o-1", []);
  engine.answer("c-1", [fail()]);
  engine.reset("c-1");
  engine.answer("o-1", [complete()]);
  const next = afterCrash(engine);
  expect(next.states("o-1", "c-1")).toEqual(["completed", "open"]);
});

it("sends no signal a second time that another run has had", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.start("o-2");
  engine.answer("o-2", [timer(1, 60_000)]);
  engine.answer("o-1", [
    {
      type: "SignalExternalWorkflow",
      seq: 1,
      workflowId: taskId("o-2") as never,
      signalName: "poke",
      childOnly: false,
    },
  ]);
  engine.answer("o-1", []);
  engine.reset("o-1");
  engine.answer("o-1", []);
  expect(engine.run("o-2").signalCount).toBe(1);
});

it("answers the same request with the same run, also when that has gone on", () => {
  const engine = givenOrder();
  const first = engine.reset("o-1", { requestId: "once" });
  expect(engine.reset("o-1", { requestId: "once" })).toEqual(first);
  engine.answer("o-1", [{ type: "ContinueAsNew" }]);
  expect(engine.reset("o-1", { requestId: "once" })).toEqual(first);
  expect(engine.facts.filter(({ type }) => type === "RunStarted")).toHaveLength(3);
});

const refusals: readonly (readonly [string, object, string, RegExp])[] = [
  ["an event that there is not", { to: 99 }, "RESET_REFUSED", /has 10 events and no event 99/],
  ["an event that ends no workflow task", { to: 4 }, "RESET_REFUSED", /nearest being event 2 and event 5/],
  ["a run that is not the last", { runId: "r-old" }, "RESET_REFUSED", /only that can be/],
];
it.each(refusals)("refuses %s and changes nothing", (_what, request, code, message) => {
  const engine = givenOrder();
  const before = engine.facts.length;
  expect(engine.reset("o-1", request)).toMatchObject({
    ok: false,
    refusal: { code, message: expect.stringMatching(message) },
  });
  expect(engine.facts).toHaveLength(before);
});

it("refuses a run that has completed no workflow task, and one whose history is not whole", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  expect(engine.reset("o-1")).toMatchObject({ ok: false, refusal: { code: "RESET_REFUSED" } });
  engine.answer("o-1", [timer(1, 60_000)]);
  engine.open("o-1").tail = engine.events("o-1").slice(1);
  expect(engine.reset("o-1")).toMatchObject({ ok: false, refusal: { code: "NOT_FOUND" } });
});

it("refuses what would not fit into one flush of the journal", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [timer(1, 60_000)]);
  for (let count = 0; count < 10; count += 1) {
    engine.core.signal(taskId("o-1"), { name: "go", signalId: `s-${count}`, input: "x".repeat(100_000) }, engine.now);
  }
  expect(engine.reset("o-1")).toMatchObject({ ok: false, refusal: { code: "PAYLOAD_TOO_LARGE" } });
  expect(engine.reset("o-1", { reapply: "none" })).toMatchObject({ ok: true });
});

it("takes no more than one flush of the journal holds, whatever else is said of the workflow", () => {
  const capabilities = Array.from({ length: 200 }, (_, index) => `${index}-${"c".repeat(120)}`);
  const nonRetryableErrorTypes = Array.from({ length: 80 }, (_, index) => `${index}-${"e".repeat(250)}`);
  const reason = "\u0001".repeat(5_000);
  const given = (lastBytes: number) => {
    const engine = new Scripted();
    engine.register("k-w", { capabilities, maxConcurrentTasks: 9 });
    engine.start("o-1", { requiredCapabilities: capabilities, retry: { nonRetryableErrorTypes } });
    engine.answer("o-1", [child(1, `c-${"c".repeat(100)}`)]);
    engine.answer("o-1", []);
    for (const [index, bytes] of [...Array<number>(7).fill(100_000), lastBytes].entries()) {
      engine.core.signal(taskId("o-1"), { name: "go", signalId: `s-${index}`, input: "x".repeat(bytes) }, engine.now);
    }
    const before = engine.decisions.length;
    return {
      reset: engine.reset("o-1", { to: "firstWorkflowTask", reason }),
      decision: () => engine.decisions[before],
    };
  };
  const { reset } = given(225_000);
  if (reset.ok) throw new Error("it was taken");
  const excess = Number(reset.refusal.details?.["bytes"]) - FLUSH_BYTES_MAX;
  const { reset: taken, decision } = given(225_000 - excess);
  expect(taken.ok).toBe(true);
  expect(JSON.stringify(decision()?.facts).length).toBeLessThan(FLUSH_BYTES_MAX);
});

it("refuses to take back the end of a workflow that a task under way depends on", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.submit({ taskId: "t-2", type: "ocr", dependencies: ["o-1"] });
  engine.answer("o-1", [complete()]);
  expect(engine.reset("o-1")).toMatchObject({ ok: false, refusal: { code: "RESET_REFUSED" } });
  engine.cancel("t-2");
  expect(engine.reset("o-1")).toMatchObject({ ok: true });
});

it("is one decision: the old run's end, the open workflow and the new run stand or fall together", () => {
  const engine = givenOrder();
  engine.answer("o-1", [complete()]);
  const before = engine.decisions.length;
  engine.reset("o-1");
  const [decision] = engine.decisions.slice(before);
  expect(decision?.facts.map(({ type }) => type)).toEqual([
    "TaskRetained",
    "RunStarted",
    "RunAdvanced",
    "TaskSubmitted",
  ]);
});

/** Another leader, with what the journal holds. */
function afterCrash(engine: Scripted): Scripted {
  const ledger = new Ledger();
  for (const fact of engine.facts) ledger.restoreFact(fact);
  ledger.deriveIndexes();
  const next = new Scripted({ ledger, now: engine.now + 1 });
  next.core.resume(next.now);
  next.core.place(next.now);
  return next;
}

it("tells the parent of a child's first end only, also where that waits for its place when the child is reset", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1")]);
  engine.answer("o-1", []);
  engine.signal("o-1", "go");
  engine.answer("c-1", [complete("wrong")]);
  engine.reset("c-1");
  expect(engine.run("c-1").abandoned).toBe(true);
  engine.answer("c-1", [complete("right")]);
  engine.answer("o-1", []);
  const ends = engine.events("o-1").filter(({ type }) => type === "ChildWorkflowExecutionCompleted");
  expect(ends).toMatchObject([{ seq: 1, output: "wrong" }]);
});

it("knows each reset again that its history holds no more, also once the workflow has left memory", () => {
  const engine = givenOrder();
  const first = engine.reset("o-1", { requestId: "once" });
  engine.answer("o-1", []);
  const second = engine.reset("o-1", { to: "firstWorkflowTask", requestId: "twice" });
  expect(engine.reset("o-1", { requestId: "once" })).toEqual(first);
  engine.answer("o-1", [{ type: "ContinueAsNew" }]);
  engine.answer("o-1", [complete()]);
  const ended = engine.task("o-1");
  const history = { runId: engine.run("o-1").runId, events: [...engine.events("o-1")] };
  engine.core.ledger.forgetTask(ended.spec.taskId);
  const again = (requestId: string) =>
    engine.core.reset(ended, history, { requestId, to: "lastWorkflowTask", reason: "", reapply: "all" }, engine.now);
  expect([again("once"), again("twice")]).toEqual([first, second]);
});

it("keeps for the next run of the chain, whoever leads then, an update that this one has not decided on", () => {
  const engine = givenReappliedUpdates();
  const failure = { type: "No", message: "no" };
  engine.answer("o-1", [{ type: "RejectUpdate", updateId: "u-2", failure }, { type: "ContinueAsNew" }]);
  expect(engine.activation("o-1")?.updates.map(({ updateId }) => updateId)).toEqual(["u-1"]);
  expect(
    afterCrash(engine)
      .activation("o-1")
      ?.updates.map(({ updateId }) => updateId),
  ).toEqual(["u-1"]);
});

it("keeps to the retry policy that the run continued with, also once it has left memory", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1", { retry: { maximumAttempts: 1 } });
  engine.answer("o-1", [{ type: "ContinueAsNew", retry: { maximumAttempts: 7 } }]);
  engine.answer("o-1", [timer(1, 60_000)]);
  engine.terminate("o-1");
  const ended = engine.task("o-1");
  const history = { runId: engine.run("o-1").runId, events: [...engine.events("o-1")] };
  engine.core.ledger.forgetTask(ended.spec.taskId);
  const request = { requestId: "r-1", to: "lastWorkflowTask", reason: "", reapply: "all" } as const;
  expect(engine.core.reset(ended, history, request, engine.now).ok).toBe(true);
  expect(engine.run("o-1").spec.retry).toEqual({ maximumAttempts: 7 });
});

it("gives a task what a workflow's dependency came to, also when that workflow is open again and the leader changed", () => {
  const engine = Scripted.withWorker();
  engine.register("k-1", { capabilities: ["ocr"], maxConcurrentTasks: 9 });
  engine.submit({ taskId: "t-1", type: "ocr" });
  engine.start("o-1", { dependencies: ["t-1"] });
  engine.complete("t-1", "scan");
  engine.answer("o-1", [complete()]);
  const scanned = engine.task("t-1");
  engine.core.ledger.forgetTask(scanned.spec.taskId);
  engine.reset("o-1");
  const next = afterCrash(engine);
  next.core.ledger.tasks.delete(scanned.spec.taskId);
  for (const each of [engine, next]) {
    each.submit(
      { taskId: "t-2", type: "ocr", dependencies: ["t-1"] },
      { ended: new Map([[scanned.spec.taskId, scanned]]) },
    );
    expect(each.task("t-2").state).toMatch(/queued|assigned/);
    expect(each.core.ledger.graph.hasDependents(scanned.spec.taskId)).toBe(true);
    each.cancel("t-2");
    expect(each.core.ledger.graph.hasDependents(scanned.spec.taskId)).toBe(true);
  }
});
