import { expect, it } from "vitest";
import { faultsIn, overtakenBy } from "../../../workflows/camera/judge.js";
import type { Verdict } from "../../../workflows/camera/pipeline.js";

const frameOf = (camera: string, frame: number) => ({
  ...{ camera, frame, path: "/frame.png", sha256: "0".repeat(64), width: 8, height: 8, capturedAt: 0 },
});
const change = { box: { left: 0, top: 0, width: 8, height: 8 }, score: 2 };

function verdict(camera: string, frame: number, kind: "still" | "alert" | "failed"): Verdict {
  const name = { camera, frame };
  if (kind === "failed") return { ...name, analysis: { failed: "the file is damaged" }, alert: null };
  if (kind === "still") return { ...name, analysis: { frame: frameOf(camera, frame), change: null }, alert: null };
  const found = { frame: frameOf(camera, frame), change };
  return { ...name, analysis: found, alert: { ...found, alertId: `alert-${frame}` } };
}

const quiet = verdict("gate", 2, "still");

it.each<[string, Verdict[], number | null | undefined, string?]>([
  ["nothing to find, and nothing found", [quiet, verdict("gate", 3, "still")], null],
  ["what was to be found", [quiet, verdict("gate", 3, "alert")], 3],
  ["nobody knows what there is to find", [quiet, verdict("gate", 3, "alert")], undefined],
  ["an alert too many", [verdict("gate", 2, "alert"), verdict("gate", 3, "alert")], 3, "alert for frame 2, 3, not 3"],
  ["an alert for nothing", [quiet, verdict("gate", 3, "alert")], null, "alert for frame 3, not none"],
  ["no alert", [quiet, verdict("gate", 3, "still")], 3, "alert for frame none, not 3"],
  ["a frame that was not analysed", [quiet, verdict("gate", 3, "failed")], undefined, "no analysis of frame 3"],
  ["a verdict that is missing", [quiet], null, "1 verdicts on 3 frames"],
  ["another camera's alert", [quiet, verdict("gate", 3, "still"), verdict("yard", 3, "alert")], null],
])("judges %s", (_, verdicts, plantedAt, fault) => {
  const expected = { camera: "gate", frames: 3, plantedAt };

  expect(faultsIn(verdicts, [expected])).toEqual(fault === undefined ? [] : [`camera gate: ${fault}`]);
});

it("counts as overtaken what came earlier, was given out later, and for the first time", () => {
  const alert = { submittedAt: 5, assignedAt: 10, attempt: 1 };

  const overtaken = overtakenBy(alert, [
    { taskId: "before", submittedAt: 1, assignedAt: 9, attempt: 1 },
    { taskId: "after", submittedAt: 1, assignedAt: 11, attempt: 1 },
    { taskId: "again", submittedAt: 1, assignedAt: 11, attempt: 2 },
    { taskId: "younger", submittedAt: 6, assignedAt: 11, attempt: 1 },
    { taskId: "never given out", submittedAt: 1, attempt: 0 },
  ]);

  expect(overtaken.map(({ taskId }) => taskId)).toEqual(["after"]);
});
