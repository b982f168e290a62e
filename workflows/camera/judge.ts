/** Holds what happened against what had to happen. */
import type { TaskView } from "perdure";
import type { Verdict, Watch } from "./pipeline.js";

export interface Expected extends Watch {
  /** The frame that must raise an alert, and no other; null: none must; undefined: nobody knows. */
  readonly plantedAt: number | null | undefined;
}

/** Each a sentence; none means that everything held. */
export function faultsIn(verdicts: readonly Verdict[], expected: readonly Expected[]): readonly string[] {
  return expected.flatMap(({ camera, frames, plantedAt }) => {
    const own = verdicts.filter((verdict) => verdict.camera === camera);
    const failed = own.filter(({ analysis }) => "failed" in analysis).map(({ frame }) => frame);
    const alerts = own.filter(({ alert }) => alert !== null).map(({ frame }) => frame);
    const wanted = plantedAt === undefined ? alerts : plantedAt === null ? [] : [plantedAt];
    return [
      ...(own.length === frames - 1 ? [] : [`camera ${camera}: ${own.length} verdicts on ${frames} frames`]),
      ...(failed.length === 0 ? [] : [`camera ${camera}: no analysis of frame ${list(failed)}`]),
      ...(list(alerts) === list(wanted)
        ? []
        : [`camera ${camera}: alert for frame ${list(alerts)}, not ${list(wanted)}`]),
    ];
  });
}

function list(frames: readonly number[]): string {
  return frames.length === 0 ? "none" : frames.toSorted((a, b) => a - b).join(", ");
}

type Turn = Pick<TaskView, "submittedAt" | "assignedAt" | "attempt">;

/** Analyses that were submitted before the alert and whose turn came after it. */
export function overtakenBy<Task extends Turn>(alert: Turn, analyses: readonly Task[]): readonly Task[] {
  const { submittedAt, assignedAt = 0 } = alert;
  // When a task was given out again says nothing about when its turn came.
  return analyses.filter(
    (analysis) =>
      analysis.attempt === 1 && analysis.submittedAt < submittedAt && (analysis.assignedAt ?? 0) > assignedAt,
  );
}
