import { expect, it } from "vitest";
import { taskId } from "../../support/given.js";
import { child, complete, fail, Scripted, timer } from "./scripted.js";

function givenParent(change: object = {}): Scripted {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1", change)]);
  engine.answer("o-1", []);
  return engine;
}

const ends: readonly (readonly [string, (engine: Scripted) => void, object])[] = [
  [
    "completes",
    (engine) => engine.answer("c-1", [complete(4)]),
    { type: "ChildWorkflowExecutionCompleted", output: 4 },
  ],
  ["fails", (engine) => engine.answer("c-1", [fail()]), { type: "ChildWorkflowExecutionFailed" }],
  [
    "is terminated",
    (engine) => engine.terminate("c-1"),
    { type: "ChildWorkflowExecutionTerminated", reason: "enough" },
  ],
  [
    "is cancelled",
    (engine) => {
      engine.cancel("c-1");
      engine.answer("c-1", []);
      engine.answer("c-1", [{ type: "CancelWorkflow" }]);
    },
    { type: "ChildWorkflowExecutionCanceled" },
  ],
];

it.each(ends)("tells the parent how a child that %s ended", (_how, end, event) => {
  const engine = givenParent();
  end(engine);
  expect(engine.events("o-1").at(-1)).toMatchObject(event);
});

it("tells the parent only of the end of the child's chain", () => {
  const engine = givenParent();
  engine.answer("c-1", [{ type: "ContinueAsNew", input: 2 }]);
  expect(engine.activation("o-1")).toBeNull();
  engine.answer("c-1", [complete(4)]);
  expect(engine.events("o-1").at(-1)).toMatchObject({ type: "ChildWorkflowExecutionCompleted", output: 4 });
});

it.each([
  ["terminate", "terminated"],
  ["requestCancel", "open"],
  ["abandon", "open"],
] as const)("when its parent closes, the policy %s leaves a child %s", (parentClosePolicy, state) => {
  const engine = givenParent({ parentClosePolicy });
  engine.terminate("o-1");
  expect(engine.task("c-1").state).toBe(state);
  const asked = engine.run("c-1").cancelRequested || engine.run("c-1").buffered.length > 0;
  expect(asked).toBe(parentClosePolicy === "requestCancel");
});

it("applies the policy when the parent continues as new", () => {
  const engine = givenParent();
  engine.signal("o-1", "go");
  engine.answer("o-1", [{ type: "ContinueAsNew" }]);
  expect([engine.task("o-1").state, engine.task("c-1").state]).toEqual(["open", "terminated"]);
});

it("never starts a child whose parent closes with the same answer, not even one to be abandoned", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1", { parentClosePolicy: "abandon" }), complete()]);
  expect(engine.core.ledger.tasks.has(taskId("c-1"))).toBe(false);
});

it("leaves another workflow alone that has the id of a child by now", () => {
  const engine = givenParent({ parentClosePolicy: "terminate" });
  engine.answer("c-1", [complete()]);
  engine.answer("o-1", [timer(2, 99_000)]);
  engine.start("p-2");
  engine.answer("p-2", [child(1, "c-1")]);
  engine.terminate("o-1");
  expect(engine.task("c-1").state).toBe("open");
});

it("does not start a child under an id that is taken", () => {
  const engine = Scripted.withWorker();
  engine.start("c-1");
  engine.start("o-1");
  engine.submit({ taskId: "t-1" }, { messageId: "plain" });
  engine.answer("o-1", [child(1, "c-1"), child(2, "t-1")]);
  expect(engine.events("o-1").slice(-2)).toMatchObject([
    { type: "StartChildWorkflowExecutionFailed", seq: 1, failure: { type: "WORKFLOW_ALREADY_STARTED" } },
    { type: "StartChildWorkflowExecutionFailed", seq: 2, failure: { type: "WORKFLOW_ALREADY_STARTED" } },
  ]);
});

it.each([
  ["rejectDuplicate", "completed", "refused"],
  ["rejectDuplicate", "failed", "refused"],
  ["allowDuplicateFailedOnly", "completed", "refused"],
  ["allowDuplicateFailedOnly", "failed", "started"],
  ["allowDuplicate", "completed", "started"],
] as const)("%s of a child's id whose workflow has %s and left memory: it is %s", (idReusePolicy, state, outcome) => {
  const engine = Scripted.withWorker();
  engine.start("c-1");
  engine.answer("c-1", [state === "completed" ? complete() : fail()]);
  const ended = engine.task("c-1");
  engine.core.ledger.forgetTask(taskId("c-1"));
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1", { idReusePolicy })]);
  for (const { taskId: id, parent } of engine.effects("lookUpEnded")) {
    expect([id, engine.types("o-1").at(-1)]).toEqual(["c-1", "StartChildWorkflowExecutionInitiated"]);
    engine.core.lookedUp(parent, ended, engine.now);
    // Asked twice, for instance by the next leader.
    engine.core.lookedUp(parent, ended, engine.now);
  }
  const ends = engine.types("o-1").filter((type) => type.includes("Child") && !type.includes("Initiated"));
  expect(ends).toEqual([outcome === "refused" ? "StartChildWorkflowExecutionFailed" : "ChildWorkflowExecutionStarted"]);
});

it("starts a child under an id that nobody had, and none whose parent closed meanwhile", () => {
  const engine = Scripted.withWorker();
  for (const id of ["o-1", "o-2"]) {
    engine.start(id);
    engine.answer(id, [child(1, `c-${id}`, { idReusePolicy: "rejectDuplicate" })]);
  }
  engine.terminate("o-2");
  for (const { parent } of engine.effects("lookUpEnded")) engine.core.lookedUp(parent, null, engine.now);
  expect([engine.task("c-o-1").state, engine.core.ledger.tasks.has(taskId("c-o-2"))]).toEqual(["open", false]);
});

const signalTo = (seq: number, workflowId: string, childOnly = false) =>
  ({ type: "SignalExternalWorkflow", seq, workflowId: taskId(workflowId), signalName: "poke", childOnly }) as const;

it("tells a run whose signal another one has no room for", () => {
  const engine = Scripted.withWorker();
  engine.start("o-2");
  engine.answer("o-2", [timer(1, 99_000)]);
  for (let count = 0; count < 10_000; count += 1) engine.signal("o-2", "again", `id-${count}`);
  engine.start("o-1");
  engine.answer("o-1", [signalTo(1, "o-2")]);
  expect(engine.events("o-1").at(-1)).toMatchObject({
    type: "SignalExternalWorkflowExecutionFailed",
    failure: { type: "NOT_FOUND", message: expect.stringMatching(/no open run that takes signals/) },
  });
});

it("signals and cancels another run, once, and says whether that could be done", () => {
  const engine = Scripted.withWorker();
  engine.start("o-2");
  engine.answer("o-2", [timer(1, 99_000)]);
  engine.start("o-1");
  engine.answer("o-1", [
    signalTo(1, "o-2"),
    signalTo(2, "nobody"),
    signalTo(3, "o-2", true),
    { type: "RequestCancelExternalWorkflow", seq: 4, workflowId: taskId("o-2"), childOnly: false },
    { type: "RequestCancelExternalWorkflow", seq: 5, workflowId: taskId("nobody"), childOnly: false },
  ]);
  expect(engine.types("o-2").slice(-2)).toEqual(["signal poke", "WorkflowExecutionCancelRequested"]);
  expect(engine.types("o-1").slice(-5)).toEqual([
    "ExternalWorkflowExecutionSignaled",
    "SignalExternalWorkflowExecutionFailed",
    "SignalExternalWorkflowExecutionFailed",
    "ExternalWorkflowExecutionCancelRequested",
    "RequestCancelExternalWorkflowExecutionFailed",
  ]);
});
