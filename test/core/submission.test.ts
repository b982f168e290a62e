import { expect, it } from "vitest";
import type { Submitted } from "../../src/core/submission.js";
import { FIELD_BYTES_MAX, FLUSH_BYTES_MAX } from "../../src/protocol/limits.js";
import type { TaskRecord } from "../../src/protocol/task-record.js";
import { givenEnvelope, givenFailure, givenTask, taskId } from "../support/given.js";
import { Engine } from "./engine.js";

const { messageId } = givenEnvelope;

/** The ids, or the code of the refusal. */
const outcomeOf = (submitted: Submitted) => (submitted.ok ? submitted.taskIds : submitted.refusal.code);

const endedWith = (...records: TaskRecord[]) => ({
  ended: new Map(records.map((record) => [record.spec.taskId, record])),
});

it("fills in every default", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1", type: "ocr" });
  expect(engine.task("t-1").spec).toEqual({
    taskId: "t-1",
    type: "ocr",
    priority: "normal",
    dependencies: [],
    requiredCapabilities: ["ocr"],
    retry: {
      maximumAttempts: 3,
      initialIntervalMs: 1_000,
      backoffCoefficient: 2,
      maximumIntervalMs: 100_000,
      nonRetryableErrorTypes: [],
    },
  });
});

it("names a task after its message", () => {
  expect(outcomeOf(new Engine().submit({}))).toEqual([messageId]);
});

it("names the tasks of a batch after their message and place", () => {
  expect(outcomeOf(new Engine().submit([{}, { taskId: "mine" }, {}]))).toEqual([
    `${messageId}-0`,
    "mine",
    `${messageId}-2`,
  ]);
});

it("keeps an empty list of capabilities: any agent will do", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1", requiredCapabilities: [] });
  expect(engine.task("t-1").spec.requiredCapabilities).toEqual([]);
});

it.each([
  ["word for word", {}, "same"],
  ["with the defaults spelled out", { priority: "normal", requiredCapabilities: ["ocr"], dependencies: [] }, "same"],
  ["with the members of its input in another order", { input: { b: { d: 2, c: 3 }, a: 1 } }, "same"],
  ["with another input", { input: { a: 2 } }, "another"],
  ["without its input", { input: undefined }, "another"],
  ["with another priority", { priority: "high" }, "another"],
  ["with another type", { type: "scan", requiredCapabilities: ["ocr"] }, "another"],
  ["with another time-out", { timeoutMs: 5 }, "another"],
  ["with another retry policy", { retry: { maximumAttempts: 4 } }, "another"],
  ["with metadata", { metadata: {} }, "another"],
] as const)("takes a task that is submitted again %s for: %s", (_how, change, verdict) => {
  const engine = new Engine();
  const task = { taskId: "t-1", input: { a: 1, b: { c: 3, d: 2 } } };
  engine.submit(task);
  const before = structuredClone(engine.task("t-1"));
  const again = engine.submit({ ...task, ...(change as object) });
  expect([outcomeOf(again), engine.task("t-1"), engine.core.ledger.tasks.size]).toEqual([
    verdict === "same" ? ["t-1"] : "ID_CONFLICT",
    before,
    1,
  ]);
});

it("takes a task for the same whichever agent is preferred this time", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1" });
  expect(outcomeOf(engine.submit({ taskId: "t-1" }, { preferredAgentId: "k-1" as never }))).toEqual(["t-1"]);
});

it("knows a task again that it restored from its JSON", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1", input: undefined });
  const restored = JSON.parse(JSON.stringify(engine.task("t-1"))) as TaskRecord;
  expect(outcomeOf(new Engine().submit({ taskId: "t-1" }, endedWith(restored)))).toEqual(["t-1"]);
});

it.each(["completed", "failed", "cancelled", "timed_out"] as const)(
  "answers with the task that %s long ago and starts nothing",
  (state) => {
    const engine = new Engine();
    const submitted = engine.submit({ taskId: "t-1" }, endedWith(givenTask({ state })));
    expect([outcomeOf(submitted), engine.facts]).toEqual([["t-1"], []]);
  },
);

it("refuses another task under the id of one that ended long ago", () => {
  const submitted = new Engine().submit({ taskId: "t-1", input: 7 }, endedWith(givenTask({ state: "completed" })));
  expect(submitted).toMatchObject({ refusal: { code: "ID_CONFLICT", details: { taskId: "t-1", state: "completed" } } });
});

it("takes the new ones of a batch of which some are known", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1" });
  const submitted = engine.submit([{ taskId: "t-1" }, { taskId: "t-2", dependencies: ["t-1"] }]);
  expect([outcomeOf(submitted), engine.states("t-1", "t-2")]).toEqual([
    ["t-1", "t-2"],
    ["queued", "waiting"],
  ]);
});

const many = (count: number) => Array.from({ length: count }, (_, index) => ({ taskId: `many-${index}` }));
const large = (bytes: number) => "x".repeat(bytes);

it.each<[string, Parameters<Engine["submit"]>[0], object]>([
  [
    "an id twice",
    [{ taskId: "a" }, { taskId: "b" }, { taskId: "a" }],
    { code: "ID_CONFLICT", details: { taskId: "a" } },
  ],
  [
    "an id that another task has",
    [{ taskId: "a" }, { taskId: "known", input: 7 }],
    { code: "ID_CONFLICT", details: { taskId: "known" } },
  ],
  [
    "an unknown dependency",
    [{ taskId: "a" }, { taskId: "b", dependencies: ["nobody"] }],
    { code: "DEPENDENCY_UNKNOWN", details: { taskId: "b", dependency: "nobody" } },
  ],
  [
    "a task that depends on itself",
    [{ taskId: "a" }, { taskId: "b", dependencies: ["b"] }],
    { code: "DEPENDENCY_CYCLE", details: { cycle: ["b", "b"] } },
  ],
  [
    "a circle",
    [
      { taskId: "a", dependencies: ["c"] },
      { taskId: "b", dependencies: ["a"] },
      { taskId: "c", dependencies: ["b"] },
    ],
    { code: "DEPENDENCY_CYCLE", details: { cycle: ["a", "c", "b", "a"] } },
  ],
  ["more tasks than may wait", many(1_000), { code: "QUEUE_FULL", details: { maxQueuedTasks: 1_000, queued: 1 } }],
  [
    "an input that is too large",
    [{ taskId: "a" }, { taskId: "b", input: large(FIELD_BYTES_MAX) }],
    { code: "PAYLOAD_TOO_LARGE", details: { taskId: "b", bytes: FIELD_BYTES_MAX + 2, maximumBytes: FIELD_BYTES_MAX } },
  ],
  [
    "more than fits into one journal message",
    many(8).map((task) => ({ ...task, input: large(FIELD_BYTES_MAX - 2) })),
    { code: "BATCH_TOO_LARGE", details: { tasks: 8, maximumBytes: FLUSH_BYTES_MAX } },
  ],
])("refuses a batch with %s, and takes nothing of it", (_what, tasks, refusal) => {
  const engine = new Engine();
  engine.submit({ taskId: "known" });
  const { facts } = engine;
  expect(engine.submit(tasks)).toMatchObject({ ok: false, refusal });
  expect([[...engine.core.ledger.tasks.keys()], engine.facts, engine.core.ledger.nextOrder]).toEqual([
    ["known"],
    facts,
    2,
  ]);
});

it("refuses a single task that depends on itself", () => {
  expect(outcomeOf(new Engine().submit({ taskId: "t-1", dependencies: ["t-1"] }))).toBe("DEPENDENCY_CYCLE");
});

it("counts the bytes of an input, not its characters", () => {
  const input = "ä".repeat(FIELD_BYTES_MAX / 2);
  expect(outcomeOf(new Engine().submit({ input }, { bytes: FIELD_BYTES_MAX + 100 }))).toBe("PAYLOAD_TOO_LARGE");
});

it("takes exactly as many tasks as may wait, and more once some have an agent", () => {
  const engine = new Engine({ settings: { maxQueuedTasks: 2 } });
  const first = outcomeOf(engine.submit([{ taskId: "a" }, { taskId: "b" }]));
  const second = outcomeOf(engine.submit({ taskId: "c" }));
  engine.register("k-1");
  expect([first, second, outcomeOf(engine.submit({ taskId: "c" }))]).toEqual([["a", "b"], "QUEUE_FULL", ["c"]]);
});

it("answers for a task that is known although no more may wait", () => {
  const engine = new Engine({ settings: { maxQueuedTasks: 1 } });
  engine.submit({ taskId: "a" });
  expect(outcomeOf(engine.submit({ taskId: "a" }))).toEqual(["a"]);
});

it("names a dependency once, however often it was given", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit([{ taskId: "a" }, { taskId: "b", dependencies: ["a", "a"] }]);
  engine.complete("a");
  expect([engine.task("b").spec.dependencies, engine.states("b")]).toEqual([["a"], ["assigned"]]);
});

it("writes a batch as one decision, and each member once", () => {
  const engine = new Engine();
  engine.submit([{ taskId: "b", dependencies: ["a"] }, { taskId: "a" }]);
  expect(engine.decisions.map(({ facts }) => facts.map((fact) => fact.type))).toEqual([
    ["TaskSubmitted", "TaskSubmitted"],
  ]);
});

it("tells everybody of each new task once", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1" });
  engine.submit({ taskId: "t-1" });
  expect(engine.broadcasts("TASK_SUBMITTED")).toEqual([{ taskId: "t-1", type: "ocr" }]);
});

it("starts a task at once whose dependency completed long ago, and keeps that one's output for it", () => {
  const engine = new Engine();
  engine.submit({ taskId: "b", dependencies: ["t-1"] }, endedWith(givenTask({ state: "completed", output: 42 })));
  expect([engine.states("t-1", "b"), engine.facts.map((fact) => fact.type)]).toEqual([
    ["completed", "queued"],
    ["TaskRetained", "TaskSubmitted"],
  ]);
});

it("fails a task at once whose dependency failed long ago", () => {
  const engine = new Engine();
  engine.submit(
    { taskId: "b", dependencies: ["t-1"] },
    endedWith(givenTask({ state: "failed", failure: givenFailure() })),
  );
  expect(engine.task("b")).toMatchObject({
    state: "failed",
    failure: { type: "DEPENDENCY_FAILED", message: "dependency t-1 failed: the printer is out of paper" },
  });
});

it("keeps a dependency that ended long ago until the last of its dependents ended", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "b", dependencies: ["t-1"] }, endedWith(givenTask({ state: "completed" })));
  engine.core.ledger.forgetTask(taskId("t-1"));
  const whileNeeded = engine.core.ledger.tasks.has(taskId("t-1"));
  engine.core.ledger.dirtyTasks.clear();
  engine.complete("b");
  const dirty = engine.core.ledger.dirtyTasks.has(taskId("t-1"));
  engine.core.ledger.forgetTask(taskId("t-1"));
  expect([whileNeeded, dirty, engine.core.ledger.tasks.has(taskId("t-1"))]).toEqual([true, true, false]);
});

it("takes a dependency back only once, whoever depends on it", () => {
  const engine = new Engine();
  const ended = endedWith(givenTask({ state: "completed" }));
  engine.submit(
    [
      { taskId: "b", dependencies: ["t-1"] },
      { taskId: "c", dependencies: ["t-1"] },
    ],
    ended,
  );
  engine.submit({ taskId: "d", dependencies: ["t-1"] }, ended);
  expect([
    engine.facts.filter((fact) => fact.type === "TaskRetained").length,
    engine.core.ledger.counts.completed,
  ]).toEqual([1, 1]);
});
