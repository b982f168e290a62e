/**
 * One agent of the camera system, as a process. It prints `registered <id>` when an orchestrator has confirmed it, logs to
 * stderr, and drains on SIGTERM and Ctrl-C.
 */
import { parseArgs } from "node:util";
import { type AgentOptions, agent, drainOnSignals, PerdureError } from "perdure";
import { alerting, analysing } from "./analyst.js";
import { camera } from "./camera.js";
import { type FrameSource, folderSource, sceneSource } from "./frame-source.js";
import { CameraName } from "./messages.js";
import { newScene } from "./scene.js";

const usage = `usage: member.js --id ID [--server URL] [--namespace NAME] and what it does:
  --camera NAME --images FOLDER              a camera whose frames are the PNG files of a folder
  --camera NAME --frames FOLDER --seed N     a camera that draws its frames into a folder,
                [--planted-at N]             with something in them from frame N on
                [--frame-interval MS]        at least this long between two frames; default 0
  --analyse                                  compares frames
  --alerts FOLDER                            writes alerts into a folder
`;

class UsageError extends Error {
  override readonly name = "UsageError";
}

type Options = ReturnType<typeof parseOptions>;

function parseOptions(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = {
    ...{ id: text, server: text, namespace: text, camera: text, images: text, frames: text, seed: text },
    ...{ "planted-at": text, "frame-interval": text, alerts: text, analyse: { type: "boolean" } as const },
  };
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function numberIn(options: Options, name: "seed" | "planted-at" | "frame-interval"): number | null {
  const text = options[name];
  if (text === undefined) return null;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}

function roleOf(options: Options): AgentOptions {
  const { analyse, alerts } = options;
  const works = analyse === true || alerts !== undefined;
  if (works === (options.camera !== undefined)) throw new UsageError("it is either a camera, or it analyses or alerts");
  if (options.camera !== undefined) return cameraIn(options, options.camera);
  return { tasks: { ...(analyse === true && analysing()), ...(alerts !== undefined && alerting(alerts)) } };
}

function cameraIn(options: Options, text: string): AgentOptions {
  const name = CameraName.safeParse(text);
  if (!name.success) throw new UsageError(`--camera ${text}: ${name.error.issues[0]?.message}`);
  return camera({
    name: name.data,
    source: sourceIn(options),
    frameIntervalMs: numberIn(options, "frame-interval") ?? 0,
  });
}

function sourceIn(options: Options): FrameSource {
  const { images, frames } = options;
  const seed = numberIn(options, "seed");
  const plantedAt = numberIn(options, "planted-at");
  if (images !== undefined && frames === undefined && seed === null && plantedAt === null) return folderSource(images);
  if (images === undefined && frames !== undefined && seed !== null) {
    return sceneSource(newScene({ seed, plantedAt }), frames);
  }
  throw new UsageError("a camera needs either --images, or --frames and --seed");
}

async function run(options: Options): Promise<void> {
  const { id, server = "nats://127.0.0.1:4222", namespace = "mcp" } = options;
  if (id === undefined) throw new UsageError("--id is needed");
  const member = agent(id, { ...roleOf(options), servers: server, namespace });
  drainOnSignals(member);
  await member.start();
  process.stdout.write(`registered ${id}\n`);
  await member.closed;
}

try {
  await run(parseOptions(process.argv.slice(2)));
} catch (fault) {
  const isUsage = fault instanceof UsageError;
  const text = fault instanceof PerdureError ? `${fault.code}: ${fault.message}` : isUsage ? fault.message : null;
  process.stderr.write(`member: ${text ?? (fault instanceof Error ? fault.stack : String(fault))}\n`);
  if (isUsage) process.stderr.write(usage);
  process.exitCode = isUsage ? 2 : 1;
}
