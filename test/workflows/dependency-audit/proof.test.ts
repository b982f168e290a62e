import { readFileSync } from "node:fs";
import type { HistoryEvent } from "perdure";
import { expect, it } from "vitest";
import { checkCountOf, faultsOf, type RecordedRun, replayFaultsOf } from "../../../workflows/dependency-audit/proof.js";

interface Recorded {
  readonly workflowId: string;
  readonly events: readonly HistoryEvent[];
}

/** The checks of four packages, as the demo recorded them. */
function recordedRun(): RecordedRun {
  const file = new URL("../../histories/package-checks.json", import.meta.url);
  const { workflowId, events } = JSON.parse(readFileSync(file, "utf8")) as Recorded;
  return { workflowId, history: events };
}

function pathsIn({ history }: RecordedRun): readonly string[] {
  const [started] = history;
  if (started?.type !== "WorkflowExecutionStarted") throw new Error("the fixture has no start");
  return (started.input as { readonly packagePaths: readonly string[] }).packagePaths;
}

it("finds nothing wrong with a run that checked each package once", async () => {
  const run = recordedRun();

  expect(faultsOf([run], pathsIn(run))).toEqual([]);
  expect(await replayFaultsOf([run])).toEqual([]);
  expect(checkCountOf([run])).toBe(3 * pathsIn(run).length);
});

it("names checks that are missing", () => {
  const run = recordedRun();

  expect(faultsOf([run], [...pathsIn(run), "node_modules/zod"])).toEqual([
    "3 checks are in no history (audit-licence of node_modules/zod, audit-size of node_modules/zod, audit-engines of node_modules/zod)",
  ]);
});

it("names checks that were recorded twice, in one history or in two", () => {
  const run = recordedRun();
  const outcome = run.history.find(({ type }) => type === "ActivityTaskCompleted");
  if (outcome === undefined) throw new Error("the fixture has no outcome");
  const doubled = { ...run, history: run.history.toSpliced(-1, 0, outcome) };

  expect(faultsOf([doubled], pathsIn(run))).toEqual([expect.stringMatching(/^1 checks were recorded more than once/)]);
  expect(faultsOf([run, run], pathsIn(run))).toEqual([
    expect.stringMatching(/^12 checks were recorded more than once/),
  ]);
});

it("names checks that nobody asked for, and runs that did not complete", () => {
  const run = recordedRun();
  const [first, ...others] = pathsIn(run);
  const open = { ...run, history: run.history.slice(0, -1) };

  expect(faultsOf([open], others)).toEqual([
    expect.stringContaining(`3 checks were not asked for (audit-licence of ${first}`),
    `1 runs did not complete (${run.workflowId})`,
  ]);
});

it("names a history that does not replay", async () => {
  const run = recordedRun();
  const changed = run.history.map((event) =>
    event.type === "ActivityTaskScheduled" && event.seq === 1 ? { ...event, activityType: "audit-weight" } : event,
  );

  expect(await replayFaultsOf([{ ...run, history: changed }])).toEqual([
    expect.stringMatching(new RegExp(`^the history of ${run.workflowId} does not replay: .*audit-weight`)),
  ]);
});
