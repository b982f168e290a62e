/**
 * capture -> analyse -> alert, as tasks. Captures and analyses are planned ahead, each analysis behind its two captures;
 * an alert is submitted when an analysis asks for one. Every id follows from the run, the camera and the frame, so a
 * director that died is simply run again: what it submits a second time is the same task.
 */
import type { Client, NewTask } from "perdure";
import { Alert, Analysis, cameraCapability, type FrameName, taskType } from "./messages.js";

export interface Watch {
  readonly camera: string;
  /** From the first one on. A thousand at most: captures and analyses of a camera are one submission. */
  readonly frames: number;
}

export const framesMax = 1_000;

type Step = keyof typeof taskType;

export function taskIdOf(runId: string, step: Step, { camera, frame }: FrameName): string {
  return `${runId}-${step}-${camera}-${frame}`;
}

/** Frame 1 has none before it and is only captured. */
export function framesOf({ camera, frames }: Watch, first: 1 | 2): readonly FrameName[] {
  return Array.from({ length: Math.max(0, frames - first + 1) }, (_, index) => ({ camera, frame: first + index }));
}

export function planWatch(runId: string, watch: Watch): readonly NewTask[] {
  const captureId = (camera: string, frame: number): string => taskIdOf(runId, "capture", { camera, frame });
  const captures = framesOf(watch, 1).map((input) => ({
    taskId: taskIdOf(runId, "capture", input),
    type: taskType.capture,
    input,
    requiredCapabilities: [taskType.capture, cameraCapability(watch.camera)],
  }));
  const analyses = framesOf(watch, 2).map((input) => ({
    taskId: taskIdOf(runId, "analyse", input),
    type: taskType.analyse,
    input,
    dependencies: [captureId(input.camera, input.frame - 1), captureId(input.camera, input.frame)],
  }));
  return [...captures, ...analyses];
}

/** What became of a frame: an analysis, or the reason why there is none; and the alert, if one was due. */
export interface Verdict extends FrameName {
  readonly analysis: Analysis | { readonly failed: string };
  readonly alert: Alert | null;
}

export interface Direction {
  readonly client: Client;
  readonly runId: string;
  readonly signal: AbortSignal;
  /** As they come. */
  readonly onVerdict?: (verdict: Verdict) => void;
}

/** Waits for every analysis of a camera and raises the alerts they ask for. */
export async function direct(watch: Watch, direction: Direction): Promise<readonly Verdict[]> {
  return await Promise.all(
    framesOf(watch, 2).map(async (name) => {
      const verdict = await verdictOn(name, direction);
      direction.onVerdict?.(verdict);
      return verdict;
    }),
  );
}

async function verdictOn(name: FrameName, { client, runId, signal }: Direction): Promise<Verdict> {
  const analysisId = taskIdOf(runId, "analyse", name);
  const task = await client.wait(analysisId, { signal });
  if (task.state !== "completed") {
    return { ...name, analysis: { failed: task.error?.message ?? task.reason ?? task.state }, alert: null };
  }
  const analysis = Analysis.parse(task.output);
  if (analysis.change === null) return { ...name, analysis, alert: null };
  const raised = await client.submit(
    {
      taskId: taskIdOf(runId, "alert", name),
      type: taskType.alert,
      input: name,
      dependencies: [analysisId],
      priority: "critical",
    },
    { signal },
  );
  return { ...name, analysis, alert: Alert.parse(await raised.result({ signal })) };
}
