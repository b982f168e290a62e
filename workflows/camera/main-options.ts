/** What the demonstration is asked for on its command line. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { pngFilesIn } from "./frame-source.js";
import type { Expected } from "./judge.js";
import { CameraName } from "./messages.js";
import { framesMax } from "./pipeline.js";

export const usage = `usage: node dist/workflows/camera/main.js [options]
  --frames N              frames of each camera that is drawn, 12 to 200; default 24
  --seed N                what is drawn follows from it; default 7
  --camera NAME=FOLDER    a camera of your own: the PNG files of a folder, in the order of their names;
                          may be given several times, and then nothing is drawn
  --alerts FOLDER         where alerts are kept; without it they are removed at the end
`;

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Cast extends Expected {
  /** Options of the camera's own process, but for the folder it draws into. */
  readonly args: readonly string[];
  readonly draws: boolean;
}

export interface MainOptions {
  readonly cast: readonly Cast[];
  readonly alertsFolder: string | null;
}

/** With fewer, no backlog is left by the time the alert is raised; with more, the frames fill the temp folder. */
const [drawnFramesMin, drawnFramesMax] = [12, 200];

/** @throws UsageError; "help" where that is what was asked for */
export async function parseMainOptions(args: readonly string[]): Promise<MainOptions | "help"> {
  const text = { type: "string" } as const;
  const help = { type: "boolean" } as const;
  const options = { frames: text, seed: text, alerts: text, help, camera: { ...text, multiple: true } } as const;
  const values = attempted(() => parseArgs({ args: [...args], options }).values);
  if (values.help === true) return "help";
  const { camera: named, frames = "24", seed = "7", alerts } = values;
  const cast =
    named === undefined ? drawnCast(numberIn("frames", frames), numberIn("seed", seed)) : await ownCast(named);
  return { cast, alertsFolder: alerts === undefined ? null : resolve(alerts) };
}

function drawnCast(frames: number, seed: number): readonly Cast[] {
  if (frames < drawnFramesMin || frames > drawnFramesMax) {
    throw new UsageError(`--frames takes ${drawnFramesMin} to ${drawnFramesMax}, not ${frames}`);
  }
  const plantedAt = Math.ceil(frames / 2);
  const pace = ["--frame-interval", "25"];
  const yard = ["--seed", String(seed + 1), "--planted-at", String(plantedAt), ...pace];
  return [
    { camera: "gate", frames, draws: true, plantedAt: null, args: ["--seed", String(seed), ...pace] },
    { camera: "yard", frames, draws: true, plantedAt, args: yard },
  ];
}

async function ownCast(named: readonly string[]): Promise<readonly Cast[]> {
  const cast = await Promise.all(named.map(ownCamera));
  const names = new Set(cast.map(({ camera }) => camera));
  if (names.size < cast.length) throw new UsageError("each --camera needs a name of its own");
  return cast;
}

async function ownCamera(text: string): Promise<Cast> {
  const [, name = "", path = ""] = /^([^=]*)=(.+)$/.exec(text) ?? [];
  const camera = CameraName.safeParse(name);
  if (!camera.success)
    throw new UsageError(`--camera takes NAME=FOLDER, not "${text}"; the name must match [a-z][a-z0-9-]{0,31}`);
  const folder = resolve(path);
  const files = await pngFilesIn(folder).catch((cause: unknown) => {
    throw new UsageError(`--camera ${text}: there is no folder ${folder} that can be read`, { cause });
  });
  if (files.length < 2 || files.length > framesMax) {
    throw new UsageError(`--camera ${text}: there are ${files.length} PNG files; it takes 2 to ${framesMax}`);
  }
  return { camera: camera.data, frames: files.length, draws: false, plantedAt: undefined, args: ["--images", folder] };
}

function numberIn(name: string, text: string): number {
  // One digit less than a camera takes, for each camera's seed is another one.
  if (!/^\d{1,8}$/.test(text))
    throw new UsageError(`--${name} takes a whole number of at most 8 digits, not "${text}"`);
  return Number(text);
}

function attempted<Values>(parse: () => Values): Values {
  try {
    return parse();
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
