import { expect, it } from "vitest";
import type { ResultVerdict } from "../../src/core/result-screen.js";
import type { TaskResult } from "../../src/protocol/agent-message.js";
import { agentId, givenResult } from "../support/given.js";
import { Engine, type Submission } from "./engine.js";

const verdictOf = (verdict: ResultVerdict): string => (verdict.kind === "refused" ? verdict.code : verdict.kind);

function givenRunning(task: Submission = {}): Engine {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1", ...task });
  engine.accept("t-1");
  return engine;
}

it.each<[string, Partial<TaskResult>, string]>([
  ["its token", {}, "current"],
  ["its token and another attempt", { attempt: 2 }, "RESULT_STALE"],
  ["another token", { token: "guessed" }, "RESULT_STALE"],
  ["no token but the right attempt", { token: undefined }, "current"],
  ["no token but agent, incarnation and attempt", { token: undefined, incarnation: 1 }, "current"],
  ["no token and another attempt", { token: undefined, attempt: 2 }, "RESULT_STALE"],
  ["no token and another incarnation", { token: undefined, incarnation: 2 }, "RESULT_STALE"],
  ["another agent's id in its body", { agentId: agentId("k-2") }, "RESULT_STALE"],
])("judges a result with %s", (_what, change, verdict) => {
  const engine = givenRunning();
  expect(verdictOf(engine.handIn(engine.resultOf("t-1", change), "k-1"))).toBe(verdict);
});

it("refuses a result from an agent that does not have the task, even with its token", () => {
  const engine = givenRunning();
  engine.register("k-2");
  const stolen = engine.resultOf("t-1", { agentId: agentId("k-2") });
  expect([verdictOf(engine.handIn(stolen, "k-2")), engine.states("t-1")]).toEqual(["RESULT_STALE", ["running"]]);
});

it("refuses a result for a task that it does not know, and tells everybody", () => {
  const engine = new Engine();
  expect(verdictOf(engine.handIn(givenResult()))).toBe("RESULT_UNKNOWN_TASK");
  expect(engine.broadcasts("RESULT_REFUSED")).toMatchObject([
    { taskId: "t-1", agentId: "k-1", attempt: 1, code: "RESULT_UNKNOWN_TASK" },
  ]);
});

it("refuses a result without a token for a task that nobody has yet", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1" });
  expect(verdictOf(engine.handIn(givenResult({ token: undefined })))).toBe("RESULT_STALE");
});

it.each<[string, Partial<TaskResult>, Partial<TaskResult>, string]>([
  ["the same output", { output: { a: 1, b: 2 } }, { output: { b: 2, a: 1 } }, "duplicate"],
  ["null for no output", {}, { output: null }, "duplicate"],
  ["another output", { output: 1 }, { output: 2 }, "RESULT_CONFLICT"],
  ["0 for null", { output: null }, { output: 0 }, "RESULT_CONFLICT"],
  ["a failure after all", {}, { status: "failed" }, "RESULT_CONFLICT"],
  ["a failure again", { status: "failed" }, { status: "failed" }, "duplicate"],
  ["a completion after its failure", { status: "failed" }, {}, "RESULT_CONFLICT"],
])("judges a second result that says %s; the first one holds", (_what, first, second, verdict) => {
  const engine = givenRunning({ retry: { maximumAttempts: 1 } });
  engine.handIn(engine.resultOf("t-1", first));
  const ended = structuredClone(engine.task("t-1"));
  expect([verdictOf(engine.handIn(engine.resultOf("t-1", second))), engine.task("t-1")]).toEqual([verdict, ended]);
});

it("says nothing of a repeated result and everything of a different one", () => {
  const engine = givenRunning();
  const result = engine.resultOf("t-1", { output: 1 });
  for (const output of [1, 1, 2]) engine.handIn({ ...result, output });
  expect(engine.broadcasts("RESULT_REFUSED")).toMatchObject([{ code: "RESULT_CONFLICT" }]);
});

it.each<[string, Submission, (engine: Engine) => void]>([
  ["timed out", { timeoutMs: 1_000, retry: { maximumAttempts: 1 } }, (engine) => engine.pass(1_000)],
  ["timed out as a whole", { scheduleToCloseMs: 1_000 }, (engine) => engine.pass(1_000)],
  ["failed with its lost agent", { retry: { maximumAttempts: 1 } }, (engine) => engine.lose("k-1")],
  [
    "failed with its replaced agent",
    { retry: { maximumAttempts: 1 } },
    (engine) => engine.register("k-1", { instanceId: "process-2" }),
  ],
])("takes a first result for stale, not for a conflict, when the task %s before it came", (_how, task, end) => {
  const engine = givenRunning(task);
  const late = engine.resultOf("t-1", { output: "late" });
  end(engine);
  const ended = structuredClone(engine.task("t-1"));
  expect([verdictOf(engine.handIn(late)), engine.task("t-1")]).toEqual(["RESULT_STALE", ended]);
});

it("refuses a zombie's result once the next attempt was sent out, and names the one that counts", () => {
  const engine = givenRunning();
  const late = engine.resultOf("t-1");
  engine.register("k-2");
  engine.lose("k-1");
  engine.pass(1_000);
  expect(engine.handIn(late)).toEqual({
    kind: "refused",
    code: "RESULT_STALE",
    message: "dropped the result of task t-1 attempt 1 from agent k-1: attempt 2 runs on k-2.",
  });
});

it.each<[string, (engine: Engine) => void]>([
  ["was lost", (engine) => engine.lose("k-1")],
  ["took too long", (engine) => engine.pass(20_000)],
])("takes the result of an attempt whose agent %s as long as no other was sent out", (_how, giveUp) => {
  const engine = givenRunning({ timeoutMs: 20_000 });
  const late = engine.resultOf("t-1", { output: "saved" });
  giveUp(engine);
  const givenUp = engine.states("t-1");
  expect([givenUp, verdictOf(engine.handIn(late)), engine.task("t-1")]).toMatchObject([
    ["backoff"],
    "current",
    { state: "completed", output: "saved", attempt: 1 },
  ]);
});

it("takes no other word of an attempt that was given up", () => {
  const engine = givenRunning();
  const failed = engine.resultOf("t-1", { status: "failed" });
  engine.lose("k-1");
  const before = structuredClone(engine.task("t-1"));
  engine.handIn(failed);
  expect(engine.task("t-1")).toEqual(before);
});

it("refuses the result of an attempt that was handed back", () => {
  const engine = givenRunning();
  const after = engine.resultOf("t-1");
  engine.report("k-1", { state: "released", taskId: engine.task("t-1").spec.taskId });
  expect(verdictOf(engine.handIn(after))).toBe("RESULT_STALE");
});

it("is done with a failure that comes twice, though the task was retried meanwhile", () => {
  const engine = givenRunning();
  const failed = engine.resultOf("t-1", { status: "failed" });
  engine.handIn(failed);
  engine.pass(1_000);
  expect([verdictOf(engine.handIn(failed)), engine.task("t-1").attempt]).toEqual(["RESULT_STALE", 2]);
});

it("takes no completion of an attempt that its agent reported as failed before", () => {
  const engine = givenRunning();
  const completion = engine.resultOf("t-1", { output: "after all" });
  engine.fail("t-1");
  expect([verdictOf(engine.handIn(completion)), engine.states("t-1")]).toEqual(["RESULT_CONFLICT", ["backoff"]]);
});

it("keeps a sum that JSON has, whatever an agent says that it spent", () => {
  const usage = { cost: 1e308, tokens: { input: 1.5, output: 1e308 }, model: "m" };
  const engine = givenRunning();
  engine.handIn(engine.resultOf("t-1", { status: "failed", error: { type: "E", message: "no" }, usage }));
  engine.pass(1_000);
  engine.handIn(engine.resultOf("t-1", { usage }));
  const sum = { cost: Number.MAX_VALUE, tokens: { input: 3, output: Number.MAX_VALUE } };
  expect([engine.task("t-1").usage, engine.core.status().usage]).toEqual([{ ...sum, model: "m" }, sum]);
  expect(engine.core.status().agentStatuses.map((agent) => agent.usage)).toEqual([sum]);
});

it("adds up what the attempts of a task cost", () => {
  const usage = { cost: 0.25, tokens: { input: 10, output: 2 }, model: "m" };
  const engine = givenRunning();
  engine.handIn(engine.resultOf("t-1", { status: "failed", error: { type: "E", message: "no" }, usage }));
  engine.pass(1_000);
  engine.handIn(engine.resultOf("t-1", { usage }));
  const sum = { cost: 0.5, tokens: { input: 20, output: 4 } };
  expect([engine.task("t-1").usage, engine.core.status().usage]).toEqual([{ ...sum, model: "m" }, sum]);
  expect(engine.core.status().agentStatuses.map((agent) => agent.usage)).toEqual([sum]);
});
