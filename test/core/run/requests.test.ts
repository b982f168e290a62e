import { expect, it } from "vitest";
import type { Command } from "../../../src/protocol/command.js";
import { FLUSH_BYTES_MAX } from "../../../src/protocol/limits.js";
import { taskId } from "../../support/given.js";
import type { Submission } from "../engine.js";
import { child, complete, fail, Scripted, timer } from "./scripted.js";

function givenWaiting(): Scripted {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [timer(1, 1_000_000)]);
  return engine;
}

it("takes a signal once, in its place or while it waits for that", () => {
  const engine = givenWaiting();
  engine.signal("o-1", "a", "id-1");
  engine.signal("o-1", "a", "id-1");
  engine.signal("o-1", "b", "id-2");
  engine.signal("o-1", "b", "id-2");
  engine.answer("o-1", []);
  engine.signal("o-1", "b", "id-2");
  expect(engine.types("o-1").filter((type) => type.startsWith("signal"))).toEqual(["signal a", "signal b"]);
});

it("takes ten thousand signals and no more, those that wait for their place counted", () => {
  const engine = givenWaiting();
  for (let count = 0; count < 10_000; count += 1) engine.signal("o-1", "again", `id-${count}`);
  expect(engine.signal("o-1", "again", "one more")).toMatchObject({ ok: false, refusal: { code: "QUEUE_FULL" } });
  expect(engine.signal("o-1", "again", "id-77")).toMatchObject({ ok: true });
});

it("takes fewer signals where their ids are long, for the run keeps each of them", () => {
  const engine = givenWaiting();
  const id = (count: number) => `${count}`.padStart(128, "0");
  let taken = 0;
  while (taken < 10_000 && engine.signal("o-1", "again", id(taken)).ok) taken += 1;
  expect(JSON.stringify(engine.run("o-1").signalIds).length).toBeLessThan(420 * 1024);
  expect(taken).toBeGreaterThan(3_000);
  engine.answer("o-1", []);
  expect(JSON.stringify(engine.run("o-1").signalIds).length).toBeGreaterThan(419 * 1024);
  expect([engine.signal("o-1", "again", id(taken)).ok, engine.signal("o-1", "again", id(1)).ok]).toEqual([false, true]);
});

it("asks the code about an update whose id every object knows", () => {
  const engine = givenWaiting();
  expect(engine.update("o-1", "constructor")).toMatchObject({ ok: true, known: null });
  expect(engine.activation("o-1")?.updates).toMatchObject([{ updateId: "constructor" }]);
});

it("writes each signal to the journal once, however many wait", () => {
  const engine = givenWaiting();
  const bytes = (count: number) => {
    const before = JSON.stringify(engine.facts).length;
    for (let sent = 0; sent < count; sent += 1) engine.signal("o-1", "again", `${before}-${sent}`);
    return JSON.stringify(engine.facts).length - before;
  };
  const few = bytes(50);
  expect(bytes(500) / few).toBeLessThan(12);
});

it.each([
  ["a workflow that nobody knows", "nobody", "NOT_FOUND"],
  ["one whose run has closed", "closed", "NOT_FOUND"],
  ["one that waits for its dependencies", "waiting", "NOT_READY"],
])("refuses a signal, an update and a termination of %s", (_what, id, code) => {
  const engine = givenWaiting();
  engine.start("closed");
  engine.answer("closed", [complete()]);
  engine.start("waiting", { dependencies: ["o-1"] });
  const refusal = { ok: false, refusal: { code } };
  expect([engine.signal(id, "a"), engine.update(id, "u-1"), engine.terminate(id)]).toMatchObject([
    refusal,
    refusal,
    refusal,
  ]);
});

it("answers a query from the worker, and writes nothing", () => {
  const engine = givenWaiting();
  const events = engine.types("o-1");
  engine.query("o-1", "q-1");
  expect(engine.activation("o-1")).toMatchObject({
    queries: [{ queryId: "q-1" }],
    queriesOnly: true,
    from: "previous",
  });
  engine.answer("o-1", [], { queries: [{ queryId: "q-1", output: 5 }] });
  expect([engine.outcomes("o-1/q-1"), engine.types("o-1")]).toEqual([[{ state: "completed", output: 5 }], events]);
});

it("answers a query of a run that has closed", () => {
  const engine = givenWaiting();
  engine.terminate("o-1");
  engine.query("o-1", "q-1");
  engine.answer("o-1", [], { queries: [{ queryId: "q-1", output: 5 }] });
  expect([engine.outcomes("o-1/q-1"), engine.core.ledger.tasks.size]).toEqual([[{ state: "completed", output: 5 }], 1]);
});

it("fails queries at once of a run that is stuck for good, and those that waited with it", () => {
  const engine = givenWaiting();
  engine.signal("o-1", "a");
  engine.failActivation("o-1");
  engine.pass(0);
  engine.query("o-1", "q-1");
  engine.failActivation("o-1");
  engine.pass(10_000);
  engine.failActivation("o-1");
  expect(engine.outcomes("o-1/q-1")).toMatchObject([{ state: "failed", failure: { type: "NONDETERMINISM" } }]);
  expect(engine.query("o-1", "q-2")).toMatchObject({ ok: false, refusal: { code: "WORKFLOW_TASK_FAILED" } });
});

it("forgets a query of a closed run that nobody waits for any more", () => {
  const engine = new Scripted();
  engine.start("o-1");
  engine.terminate("o-1");
  engine.query("o-1", "q-1");
  engine.core.withdrawQuery(taskId("o-1"), "q-1", engine.now);
  expect([...engine.core.ledger.tasks.keys()]).toEqual(["o-1"]);
});

it("tells whoever asked a closed run when another one took its place before it could answer", () => {
  const engine = givenWaiting();
  engine.terminate("o-1");
  engine.query("o-1", "q-1");
  const late = engine.resultOf(engine.run("o-1").runId, {
    activation: { commands: [], steps: [], queries: [{ queryId: "q-1", output: 5 }] },
  });
  engine.start("o-1", { idReusePolicy: "allowDuplicate" });
  engine.handIn(late);
  expect(engine.outcomes("o-1/q-1")).toMatchObject([{ state: "runClosed" }]);
  engine.answer("o-1", [complete()]);
  expect(engine.task("o-1").state).toBe("completed");
});

it("takes two thousand updates of one run, and still knows each of them then", () => {
  const engine = givenWaiting();
  for (let count = 0; count < 2_000; count += 1) {
    engine.update("o-1", `u-${count}`);
    engine.answer("o-1", [
      { type: "AcceptUpdate", updateId: `u-${count}` },
      { type: "CompleteUpdate", updateId: `u-${count}`, output: count },
    ]);
  }
  expect(engine.update("o-1", "u-2000")).toMatchObject({ ok: false, refusal: { code: "QUEUE_FULL" } });
  expect(engine.update("o-1", "u-7")).toMatchObject({ ok: true, known: { state: "completed" } });
});

it("accepts, finishes and rejects updates, and knows an update again", () => {
  const engine = givenWaiting();
  engine.update("o-1", "u-1");
  engine.update("o-1", "u-2");
  engine.answer("o-1", []);
  engine.answer("o-1", [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "RejectUpdate", updateId: "u-2", failure: { type: "TooLate", message: "it has shipped" } },
  ]);
  expect(engine.outcomes("o-1/u-2")).toMatchObject([{ state: "rejected", failure: { type: "TooLate" } }]);
  expect(engine.update("o-1", "u-1")).toMatchObject({ known: { state: "accepted" } });
  engine.signal("o-1", "go");
  engine.answer("o-1", [{ type: "CompleteUpdate", updateId: "u-1", output: 8 }]);
  expect(engine.outcomes("o-1/u-1")).toEqual([{ state: "accepted" }, { state: "completed", output: 8 }]);
  expect(engine.update("o-1", "u-1")).toMatchObject({ known: { state: "completed", runId: engine.run("o-1").runId } });
});

it("leaves no trace of an update that was rejected", () => {
  const engine = givenWaiting();
  const before = engine.types("o-1");
  engine.update("o-1", "u-1");
  engine.answer("o-1", [{ type: "RejectUpdate", updateId: "u-1", failure: { type: "TooLate", message: "no" } }]);
  expect([engine.types("o-1"), engine.activation("o-1")]).toEqual([before, null]);
});

it("takes ten updates at a time", () => {
  const engine = givenWaiting();
  for (let count = 0; count < 10; count += 1) engine.update("o-1", `u-${count}`);
  expect(engine.update("o-1", "u-10")).toMatchObject({ ok: false, refusal: { code: "QUEUE_FULL" } });
});

it("tells those whose update was accepted and whose run closed, and takes the others to the next run", () => {
  const engine = givenWaiting();
  engine.update("o-1", "u-1");
  engine.answer("o-1", [{ type: "AcceptUpdate", updateId: "u-1" }]);
  engine.signal("o-1", "go");
  engine.update("o-1", "u-2");
  engine.answer("o-1", [{ type: "ContinueAsNew" }]);
  expect(engine.outcomes("o-1/u-1").at(-1)).toMatchObject({
    state: "failed",
    failure: { type: "AcceptedUpdateCompletedWorkflow" },
  });
  expect([engine.outcomes("o-1/u-2"), engine.activation("o-1")?.updates]).toMatchObject([[], [{ updateId: "u-2" }]]);
  engine.answer("o-1", [
    { type: "AcceptUpdate", updateId: "u-2" },
    { type: "CompleteUpdate", updateId: "u-2", output: 1 },
  ]);
  expect(engine.outcomes("o-1/u-2").at(-1)).toEqual({ state: "completed", output: 1 });
});

it("asks again when an update was accepted that this leader never heard of", () => {
  const engine = givenWaiting();
  engine.signal("o-1", "go");
  engine.answer("o-1", [{ type: "AcceptUpdate", updateId: "u-1" }]);
  expect([engine.run("o-1").state, engine.activation("o-1")?.from]).toEqual(["running", "start"]);
});

it("records one request for cancellation, and ends cancelled when the code says so", () => {
  const engine = givenWaiting();
  engine.cancel("o-1");
  engine.cancel("o-1");
  engine.answer("o-1", []);
  engine.cancel("o-1");
  expect(engine.types("o-1").filter((type) => type === "WorkflowExecutionCancelRequested")).toHaveLength(1);
  engine.signal("o-1", "go");
  engine.answer("o-1", [{ type: "CancelWorkflow" }]);
  expect(engine.task("o-1").state).toBe("cancelled");
});

it("terminates a run without a word of its code, and takes no late answer", () => {
  const engine = givenWaiting();
  engine.signal("o-1", "go");
  const late = engine.resultOf(engine.run("o-1").runId, {
    activation: { commands: [complete()], steps: [], queries: [] },
  });
  engine.terminate("o-1");
  engine.handIn(late);
  expect(engine.task("o-1")).toMatchObject({ state: "terminated", failure: { type: "TERMINATED", message: "enough" } });
});

it("does not let a client touch an activation", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  expect(engine.cancel(engine.run("o-1").runId)).toMatchObject({ ok: false, refusal: { code: "NOT_FOUND" } });
});

interface IdCase {
  readonly sentence: string;
  readonly before: "open" | "completed" | "failed";
  readonly change: Submission;
  readonly outcome: "same" | "new" | "refused";
}
const signal = { name: "poke" };
const update = { name: "change" };
const idCases: readonly IdCase[] = [
  { sentence: "the same again is the same", before: "open", change: {}, outcome: "same" },
  { sentence: "another is refused", before: "open", change: { input: 2 }, outcome: "refused" },
  { sentence: "the same of a closed one is the same", before: "completed", change: {}, outcome: "same" },
  { sentence: "fail", before: "open", change: { idConflictPolicy: "fail" }, outcome: "refused" },
  { sentence: "useExisting", before: "open", change: { idConflictPolicy: "useExisting", input: 2 }, outcome: "same" },
  { sentence: "terminateExisting", before: "open", change: { idConflictPolicy: "terminateExisting" }, outcome: "new" },
  {
    sentence: "terminateExisting",
    before: "completed",
    change: { idConflictPolicy: "terminateExisting" },
    outcome: "new",
  },
  { sentence: "allowDuplicate", before: "completed", change: { idReusePolicy: "allowDuplicate" }, outcome: "new" },
  { sentence: "allowDuplicate", before: "open", change: { idReusePolicy: "allowDuplicate" }, outcome: "refused" },
  {
    sentence: "allowDuplicateFailedOnly",
    before: "failed",
    change: { idReusePolicy: "allowDuplicateFailedOnly" },
    outcome: "new",
  },
  {
    sentence: "allowDuplicateFailedOnly",
    before: "completed",
    change: { idReusePolicy: "allowDuplicateFailedOnly" },
    outcome: "refused",
  },
  { sentence: "rejectDuplicate", before: "failed", change: { idReusePolicy: "rejectDuplicate" }, outcome: "refused" },
  { sentence: "signal-with-start", before: "open", change: { signal, input: 2 }, outcome: "same" },
  { sentence: "signal-with-start", before: "completed", change: { signal, input: 2 }, outcome: "new" },
  { sentence: "update-with-start", before: "open", change: { update, input: 2 }, outcome: "same" },
  { sentence: "update-with-start", before: "completed", change: { update, input: 2 }, outcome: "new" },
  {
    sentence: "update-with-start under fail",
    before: "open",
    change: { update, idConflictPolicy: "fail" },
    outcome: "refused",
  },
  {
    sentence: "update-with-start under rejectDuplicate",
    before: "completed",
    change: { update, idReusePolicy: "rejectDuplicate" },
    outcome: "refused",
  },
];

it.each(idCases)("id of an $before run, $sentence: $outcome", ({ before, change, outcome }) => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", before === "open" ? [timer(1, 99_000)] : [before === "failed" ? fail() : complete()]);
  const { runId } = engine.run("o-1");
  const started = engine.start("o-1", change);
  const now = engine.run("o-1").runId === runId ? "same" : "new";
  expect(started.ok ? now : started.refusal.code).toBe(outcome === "refused" ? "ID_CONFLICT" : outcome);
  const signals = engine.types("o-1").filter((type) => type === "signal poke").length;
  expect(signals).toBe(change.signal === undefined ? 0 : 1);
});

it("starts another in place of one that still waits for its dependencies", () => {
  const engine = Scripted.withWorker();
  engine.start("o-0");
  engine.start("o-1", { dependencies: ["o-0"] });
  expect(engine.start("o-1", { idConflictPolicy: "terminateExisting" }).ok).toBe(true);
  expect(engine.task("o-1").state).toBe("open");
});

it("refuses a signal-with-start whose signal is refused", () => {
  const engine = givenWaiting();
  for (let count = 0; count < 10_000; count += 1) engine.signal("o-1", "again", `id-${count}`);
  expect(engine.start("o-1", { signal })).toMatchObject({ ok: false, refusal: { code: "QUEUE_FULL" } });
});

it("starts a run and asks it for the update in one decision, and answers it again whatever the policies say", () => {
  const engine = Scripted.withWorker();
  const start = (policies: object) => engine.start("o-1", { update: { ...update, updateId: "u-1" }, ...policies });
  const decisions = engine.decisions.length;
  expect(start({}).ok).toBe(true);
  expect(engine.decisions.slice(decisions).filter(({ facts }) => facts.length > 0)).toHaveLength(2);
  expect(engine.activation("o-1")).toMatchObject({ lastEventId: 1, updates: [{ updateId: "u-1", name: "change" }] });
  const { runId } = engine.run("o-1");
  engine.answer("o-1", [{ type: "AcceptUpdate", updateId: "u-1" }, timer(1, 1_000)]);
  expect([start({ idConflictPolicy: "fail" }).ok, start({ idConflictPolicy: "terminateExisting" }).ok]).toEqual([
    true,
    true,
  ]);
  engine.terminate("o-1");
  expect(start({ idReusePolicy: "allowDuplicate" }).ok).toBe(true);
  expect(engine.run("o-1").runId).toBe(runId);
});

it.each<[string, Submission | Submission[]]>([
  ["in a batch", [{ taskId: "o-2", type: "workflow:order", update }]],
  ["with a signal", { taskId: "o-2", type: "workflow:order", update, signal }],
  ["with dependencies", { taskId: "o-2", type: "workflow:order", update, dependencies: ["o-1"] }],
])("refuses an update-with-start %s", (_, submission) => {
  expect(givenWaiting().submit(submission)).toMatchObject({
    ok: false,
    refusal: { code: "INVALID_MESSAGE", details: { taskId: "o-2", field: "update" } },
  });
});

it.each<[Record<string, string | number | boolean>, string[]]>([
  [{ customer: "ann" }, ["o-3", "o-2", "o-1"]],
  [{ customer: "ann", floor: 3 }, ["o-2"]],
  [{ floor: "3" }, []],
  [{ urgent: true }, ["o-2"]],
  [{ tags: "red" }, ["o-2", "o-1"]],
  [{ tags: "re" }, []],
  [{ gone: "x" }, []],
  [{ constructor: "ann" }, []],
])(
  "lists the workflows with search attributes %j: what they were started with, and what they said since",
  (wanted, ids) => {
    const engine = Scripted.withWorker();
    engine.submit({ taskId: "t-1", type: "ocr" });
    engine.start("o-1", { searchAttributes: { customer: "ann", tags: ["red", "blue"], gone: "x", floor: [] } });
    engine.start("o-2", { searchAttributes: { customer: "bo", urgent: true } });
    engine.start("o-3", { searchAttributes: { customer: "ann", constructor: null }, dependencies: ["t-1"] });
    const upsert = (searchAttributes: Record<string, unknown>): Command => ({
      type: "UpsertSearchAttributes",
      searchAttributes: searchAttributes as never,
    });
    engine.answer("o-1", [upsert({ gone: null }), complete()]);
    engine.answer("o-2", [upsert({ customer: "ann", floor: 3, tags: "red" }), timer(1, 1_000)]);
    const { tasks, total } = engine.core.list({ searchAttributes: wanted }, 100, engine.now);
    expect([tasks.map((task) => task.taskId), total]).toEqual([ids, ids.length]);
  },
);

it.each(["idReusePolicy", "idConflictPolicy", "memo", "searchAttributes", "signal", "update"] as const)(
  "refuses %s on a task that is no workflow",
  (field) => {
    const value = {
      idReusePolicy: "allowDuplicate",
      idConflictPolicy: "fail",
      memo: {},
      searchAttributes: {},
      signal,
      update,
    };
    const started = new Scripted().start("t-1", { type: "ocr", [field]: value[field] });
    expect(started).toMatchObject({ ok: false, refusal: { code: "INVALID_MESSAGE", details: { field } } });
  },
);

/** A task that waits for another one still, behind a workflow that has completed. */
function givenNeeded(): Scripted {
  const engine = givenCompleted();
  engine.submit({ taskId: "t-1", type: "ocr" }, { messageId: "first" });
  engine.submit({ taskId: "t-2", type: "ocr", dependencies: ["o-1", "t-1"] }, { messageId: "second" });
  return engine;
}

function givenCompleted(): Scripted {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [complete("first")]);
  return engine;
}

it.each([{ idReusePolicy: "allowDuplicate" }, { idConflictPolicy: "terminateExisting" }] as const)(
  "takes from no task under way what it depends on: %j",
  (policy) => {
    const engine = givenNeeded();
    expect(engine.start("o-1", policy)).toMatchObject({
      ok: false,
      refusal: { code: "ID_CONFLICT", message: expect.stringContaining("tasks under way depend on what it came to") },
    });
    expect(engine.task("o-1").output).toBe("first");
    engine.cancel("t-2");
    expect(engine.start("o-1", policy).ok).toBe(true);
  },
);

it("starts no child under the id of a workflow that a task under way depends on", () => {
  const engine = givenNeeded();
  engine.start("o-2");
  engine.answer("o-2", [child(1, "o-1")]);
  expect(engine.events("o-2").at(-1)).toMatchObject({
    type: "StartChildWorkflowExecutionFailed",
    failure: { message: expect.stringContaining("tasks under way depend on what it came to") },
  });
  expect(engine.states("o-1", "t-2")).toEqual(["completed", "waiting"]);
});

it("starts an ended workflow again behind which another one has begun, which needs nothing of it any more", () => {
  const engine = givenCompleted();
  engine.start("o-2", { dependencies: ["o-1"] });
  expect(engine.start("o-1", { idReusePolicy: "allowDuplicate" }).ok).toBe(true);
  engine.answer("o-1", [complete("second")]);
  expect(engine.states("o-1", "o-2")).toEqual(["completed", "open"]);
});

it("sends no more updates at a time than one message takes, and the others behind them", () => {
  const engine = givenWaiting();
  engine.signal("o-1", "go");
  const ids = Array.from({ length: 10 }, (_, index) => `u-${index}`);
  for (const updateId of ids) {
    engine.core.update(taskId("o-1"), { updateId, name: "change", input: "x".repeat(120_000) }, engine.now);
  }
  const rounds: string[][] = [];
  for (engine.answer("o-1", []); engine.activation("o-1") !== null; ) {
    expect(JSON.stringify(engine.activation("o-1")?.updates).length).toBeLessThan(FLUSH_BYTES_MAX);
    rounds.push(engine.activation("o-1")?.updates.map(({ updateId }) => updateId) ?? []);
    engine.answer(
      "o-1",
      (rounds.at(-1) ?? []).map((updateId) => ({ type: "AcceptUpdate", updateId }) as const),
    );
  }
  expect(rounds.flat()).toEqual(ids);
});
