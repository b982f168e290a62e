import { expect, it } from "vitest";
import { stepRun } from "../../src/machines/step.js";
import { type RunEvent, stuckRetryDelayMs, workflowRunMachine } from "../../src/machines/workflow-run.machine.js";
import { type RunChange, runStates, type Stuck } from "../../src/protocol/run-record.js";
import { givenFailure, givenRun } from "../support/given.js";
import { branchTaken, coverageOf, declaredBranches, declaredEvents, undeclaredPairs } from "./transition-coverage.js";

const at = 10_000;
const failure = givenFailure({ type: "NONDETERMINISM", message: "the code has changed" });
const other = givenFailure({ type: "WORKFLOW_TASK_FAILED", message: "x is not a function" });

const answered: RunEvent = { type: "ActivationAnswered", at };
const failed: RunEvent = { type: "ActivationFailed", at, failure };
const stuckOnce: Stuck = { failure: other, since: 9_000, failures: 1, retryAt: null };
const stuckOften = (failures: number): Stuck => ({ ...stuckOnce, failures });

const ends = [
  ["Completed", "completed"],
  ["Failed", "failed"],
  ["Cancelled", "cancelled"],
  ["Terminated", "terminated"],
  ["TimedOut", "timed_out"],
  ["ContinuedAsNew", "continued_as_new"],
] as const;

interface Row {
  readonly sentence: string;
  readonly state: "running" | "stuck";
  readonly stuck: Stuck | null;
  readonly event: RunEvent;
  readonly change: RunChange;
}

const retried = (failures: number, delayMs: number): Row => ({
  sentence: `stuck: waits ${delayMs} ms after failure ${failures + 1}, and remembers since when it is stuck`,
  state: "stuck",
  stuck: stuckOften(failures),
  event: failed,
  change: { stuck: { failure, since: 9_000, failures: failures + 1, retryAt: at + delayMs } },
});

const rows: readonly Row[] = [
  { sentence: "running: goes on when its code answered", state: "running", stuck: null, event: answered, change: {} },
  {
    sentence: "running: is stuck when its code cannot go on, and is tried again at once",
    state: "running",
    stuck: null,
    event: failed,
    change: { state: "stuck", stuck: { failure, since: at, failures: 1, retryAt: at } },
  },
  retried(1, 10_000),
  retried(2, 20_000),
  retried(3, 40_000),
  retried(6, 320_000),
  retried(7, 600_000),
  retried(500, 600_000),
  {
    sentence: "stuck: is healed by one answer",
    state: "stuck",
    stuck: stuckOnce,
    event: answered,
    change: { state: "running", stuck: null },
  },
  ...ends.flatMap(([type, state]): Row[] => [
    { sentence: `running: ends ${state}`, state: "running", stuck: null, event: { type, at }, change: { state } },
    {
      sentence: `stuck: ends ${state} all the same`,
      state: "stuck",
      stuck: stuckOnce,
      event: { type, at },
      change: { state, stuck: null },
    },
  ]),
];

it.each(rows)("$sentence", ({ state, stuck, event, change }) => {
  expect(stepRun(givenRun({ state, stuck }), event)).toEqual({ accepted: true, change, effects: [] });
});

const coverage = coverageOf(
  workflowRunMachine,
  rows.map(({ state, stuck, event }) => branchTaken(workflowRunMachine, state, givenRun({ state, stuck }), event)),
);

it(`has a row for ${coverage.percent} % of the run machine's ${declaredBranches(workflowRunMachine).length} transitions`, () => {
  expect(coverage).toEqual({ percent: 100, missing: [] });
});

it("knows every event that the machine declares", () => {
  expect([...new Set(rows.map((row) => row.event.type))].sort()).toEqual(declaredEvents(workflowRunMachine).sort());
});

it.each(undeclaredPairs(workflowRunMachine))("$state: refuses $event and stays as it is", ({ state, event }) => {
  const record = givenRun({ state: state as (typeof runStates)[number] });
  const untouched = structuredClone(record);
  const step = stepRun(record, { type: event, at, failure } as RunEvent);
  expect({ step, record }).toEqual({ step: { accepted: false }, record: untouched });
});

it("has exactly the states that are stored", () => {
  expect(Object.keys(workflowRunMachine.states).sort()).toEqual([...runStates].sort());
});

it("never waits longer than ten minutes", () => {
  expect(Math.max(...Array.from({ length: 2_000 }, (_, failures) => stuckRetryDelayMs(failures + 1)))).toBe(600_000);
});
