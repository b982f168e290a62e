/**
 * The agents behind the cameras. One process may do both: an alert then waits for the same hands as the analyses, and it
 * is its priority that brings it to the front.
 */
import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type AgentOptions, withInput } from "perdure";
import type { z } from "zod";
import { findChange } from "./find-change.js";
import { Alert, Analysis, CapturedFrame, FrameName, frameFault, taskType } from "./messages.js";
import { type Image, readPngFile } from "./png-file.js";

type Handlers = AgentOptions["tasks"];
type DependencyResults = Readonly<Record<string, unknown>>;

/** `frame.analyse`: depends on the captures of the frame and of the one before. */
export function analysing(): Handlers {
  const analyse = withInput(FrameName, async ({ dependencyResults }, { camera, frame }): Promise<Analysis> => {
    const captured = outputs(CapturedFrame, dependencyResults);
    const [now, before] = [frame, frame - 1].map((wanted) =>
      captured.find((candidate) => candidate.camera === camera && candidate.frame === wanted),
    );
    if (now === undefined || before === undefined) {
      throw frameFault("DEPENDENCIES_UNFIT", `frames ${frame - 1} and ${frame} of camera ${camera} are needed`);
    }
    if (now.width !== before.width || now.height !== before.height) {
      const sizes = [before, now].map(({ width, height }) => `${width} x ${height}`).join(" and ");
      throw frameFault("FRAME_SIZES_DIFFER", `${before.path} and ${now.path} have ${sizes} pixels`);
    }
    return { frame: now, change: findChange(await imageOf(before), await imageOf(now)) };
  });
  return { [taskType.analyse]: analyse };
}

/**
 * `alert.raise`: depends on an analysis that found a change. The alert is `<folder>/<taskId>.json`; whatever raises it
 * again, a second attempt or a second submission, finds it there and gives the same answer.
 */
export function alerting(folder: string): Handlers {
  const raise = withInput(FrameName, async ({ taskId, dependencyResults }, { camera, frame }): Promise<Alert> => {
    const analysis = outputs(Analysis, dependencyResults).find(
      (candidate) => candidate.frame.camera === camera && candidate.frame.frame === frame,
    );
    if (analysis === undefined || analysis.change === null) {
      throw frameFault("DEPENDENCIES_UNFIT", `no analysis says that frame ${frame} of camera ${camera} changed`);
    }
    const alert: Alert = { alertId: taskId, frame: analysis.frame, change: analysis.change };
    return await recordedOnce(resolve(folder, `${taskId}.json`), alert);
  });
  return { [taskType.alert]: raise };
}

function outputs<S extends z.ZodType>(schema: S, results: DependencyResults): readonly z.infer<S>[] {
  return Object.entries(results).map(([taskId, output]) => {
    const parsed = schema.safeParse(output);
    if (!parsed.success) {
      throw frameFault("DEPENDENCIES_UNFIT", `the output of task ${taskId} is unexpected: ${parsed.error.message}`);
    }
    return parsed.data;
  });
}

async function imageOf({ path, sha256 }: CapturedFrame): Promise<Image> {
  const file = await readPngFile(path);
  if (file.sha256 !== sha256) {
    throw frameFault("FRAME_CHANGED", `${path} is not the file that was captured: its SHA-256 is ${file.sha256}`);
  }
  return file.image;
}

/** The first record stays. Linked into its place whole, so a crash leaves either all of it or none. */
async function recordedOnce(path: string, alert: Alert): Promise<Alert> {
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}.part`;
  await writeFile(unfinished, `${JSON.stringify(alert, null, 2)}\n`);
  try {
    await link(unfinished, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    await unlink(unfinished);
  }
  return Alert.parse(JSON.parse(await readFile(path, "utf8")));
}
