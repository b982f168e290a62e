import { expect, it } from "vitest";
import { Distribution } from "../../src/core/distribution.js";
import { LabelledCounts, Labels } from "../../src/core/labelled-counts.js";
import { Tally } from "../../src/core/tally.js";
import { givenFailure, givenTask, givenUsage } from "../support/given.js";
import { Engine } from "./engine.js";

it("counts a value under the first bound that it does not pass", () => {
  const distribution = new Distribution([1, 10]);
  for (const value of [0.5, 1, 1.25, 10, 11]) distribution.observe(value);
  expect([distribution.counts, distribution.sum]).toEqual([[2, 2, 1], 23.75]);
});

it("takes a duration below nothing, which a clock that was set back makes, for nothing", () => {
  const distribution = new Distribution([0.1]);
  distribution.observe(-5);
  expect([distribution.counts, distribution.sum]).toEqual([[1, 0], 0]);
});

it("gives labels to whoever comes first, and keeps them", () => {
  const labels = new Labels(2);
  expect(["a", "b", "c", "a", "d"].map((name) => labels.of(name))).toEqual(["a", "b", "other", "a", "other"]);
});

it("adds up by label", () => {
  const counts = new LabelledCounts();
  counts.add("a");
  counts.add("b", 2.5);
  counts.add("a");
  expect([...counts.entries()]).toEqual([
    ["a", 2],
    ["b", 2.5],
  ]);
});

it("counts failures of the engine by their code, however many names agents make up", () => {
  const tally = new Tally();
  for (let index = 0; index < 100; index += 1) {
    const failure = givenFailure({ type: `made-up-${index}` });
    tally.countTask(givenTask({ state: "backoff", failure }), "running", "TaskAttemptFailed", 3_000);
  }
  const failure = givenFailure({ type: "AGENT_LOST" });
  tally.countTask(givenTask({ state: "backoff", failure }), "running", "TaskAttemptFailed", 3_000);
  const counts = new Map(tally.failedAttempts.entries());
  expect([counts.size, counts.get("other"), counts.get("AGENT_LOST"), tally.retries]).toEqual([32, 70, 1, 101]);
});

it("counts the queue time of first attempts only, from when they could start", () => {
  const tally = new Tally();
  const queued = { state: "assigned", readyAt: 1_000 } as const;
  tally.countTask(givenTask({ ...queued, attempt: 1 }), "queued", "TaskAssigned", 1_700);
  tally.countTask(givenTask({ ...queued, attempt: 2 }), "queued", "TaskAssigned", 9_000);
  expect([tally.attempts, tally.queueSeconds.sum]).toEqual([2, 0.7]);
});

it("counts what each attempt cost under its own model, also where the task's record adds them up", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1", retry: { initialIntervalMs: 100 } });
  const error = givenFailure();
  engine.handIn(engine.resultOf("t-1", { status: "failed", error, usage: givenUsage({ model: "small" }) }));
  engine.pass(1_000);
  engine.handIn(engine.resultOf("t-1", { usage: givenUsage({ model: "large" }) }));
  // Said twice, counted once.
  engine.handIn(engine.resultOf("t-1", { usage: givenUsage({ model: "large" }) }));
  expect([...engine.core.ledger.tally.costDollars.entries()]).toEqual([
    ["small", 0.25],
    ["large", 0.25],
  ]);
});

it("counts nothing of what a new leader reads back", () => {
  const before = new Engine();
  before.register("k-1");
  before.submit({ taskId: "t-1" });
  before.complete("t-1");
  const after = new Engine();
  for (const fact of before.facts) after.core.ledger.restoreFact(fact);
  after.core.ledger.deriveIndexes();
  const { tally } = after.core.ledger;
  expect([[...tally.submitted.entries()], [...tally.ended.completed.entries()], tally.attempts]).toEqual([[], [], 0]);
});
