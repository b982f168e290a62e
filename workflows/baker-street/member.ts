/**
 * One member of the fleet, as a process. Prints `ready <id>`, a brain with its URL behind it, logs to stderr, and leaves in
 * order on SIGTERM and Ctrl-C. A brain also ends, with status 0, when another one took over.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PerdureError } from "perdure";
import { connectFleet } from "perdure/bridges";
import { z } from "zod";
import { startBrain } from "./brain.js";
import { Extension } from "./extension.js";
import { startJobWorker } from "./job-worker.js";
import { type MemberSettings, memberDefaults } from "./member-settings.js";
import { PodLauncher } from "./pods.js";
import { tools } from "./tools.js";
import { startTracing } from "./tracing.js";

const usage = `usage: member.js brain|worker|extension|pods --id ID [options]
  --server URL         default: NATS_URL, or nats://127.0.0.1:4222
  --namespace NAME     of the engine; default mcp
  --heartbeat MS       default 1000
  --ack-wait MS        how long a worker may say nothing of a job before another one gets it; default 30000
  --http-port PORT     of a brain; default 0, a free one
  --programs FILE      what pods may run: JSON, {"name": ["command", "argument"]}
`;

class UsageError extends Error {
  override readonly name = "UsageError";
}

interface Started {
  readonly ready: string;
  stop(): Promise<void>;
  /** Settles where it ends by itself. */
  readonly ended?: Promise<void>;
}

type Options = ReturnType<typeof parseOptions>;

function parseOptions(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = {
    ...{ id: text, server: text, namespace: text, heartbeat: text },
    ...{ "ack-wait": text, "http-port": text, programs: text },
  };
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { ...values, role: positionals.length === 1 ? positionals[0] : undefined };
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function numberIn(options: Options, name: "heartbeat" | "ack-wait" | "http-port", unless: number): number {
  const text = options[name] ?? String(unless);
  if (!/^\d{1,8}$/.test(text)) throw new UsageError(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}

async function startBrainMember(settings: MemberSettings, options: Options): Promise<Started> {
  const brain = await startBrain({ ...settings, httpPort: numberIn(options, "http-port", 0) });
  return { ready: `${settings.id} ${brain.url}`, stop: () => brain.stop(), ended: brain.handoff.gone };
}

async function startWorkerMember(settings: MemberSettings): Promise<Started> {
  return { ready: settings.id, ...(await startJobWorker(settings)) };
}

async function startExtensionMember({ id, servers, namespace, heartbeatMs }: MemberSettings): Promise<Started> {
  const tracing = startTracing("baker-street.extension");
  const fleet = await connectFleet({ servers, namespace, name: `extension ${id}` });
  const extension = new Extension({ fleet, id, tools, tracing, heartbeatMs });
  const stop = async (): Promise<void> => {
    extension.stop();
    await fleet.close();
    await tracing.close();
  };
  return { ready: id, stop };
}

function programsIn(file: string): Readonly<Record<string, readonly string[]>> {
  try {
    return z.record(z.string(), z.array(z.string()).min(1)).parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new UsageError(`--programs ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function startPodsMember(settings: MemberSettings, options: Options): Promise<Started> {
  const { id, servers, namespace, heartbeatMs } = settings;
  if (options.programs === undefined) throw new UsageError("pods needs --programs");
  const programs = programsIn(options.programs);
  const tracing = startTracing("baker-street.pods");
  const fleet = await connectFleet({ servers, namespace, name: `pods ${id}` });
  const launcher = new PodLauncher({ fleet, id, programs, tracing, heartbeatMs });
  const stop = async (): Promise<void> => {
    await launcher.stop();
    await fleet.close();
    await tracing.close();
  };
  return { ready: id, stop };
}

const roles: Readonly<Record<string, (settings: MemberSettings, options: Options) => Promise<Started>>> = {
  brain: startBrainMember,
  worker: startWorkerMember,
  extension: startExtensionMember,
  pods: startPodsMember,
};

async function run(options: Options): Promise<void> {
  const start = roles[options.role ?? ""];
  if (start === undefined) throw new UsageError(`a member is one of ${Object.keys(roles).join(", ")}`);
  if (options.id === undefined) throw new UsageError("--id is needed");
  if (!/^[\w-]{1,64}$/.test(options.id)) throw new UsageError("--id takes 1 to 64 letters, digits, _ and -");
  const settings = {
    id: options.id,
    servers: options.server ?? process.env["NATS_URL"] ?? "nats://127.0.0.1:4222",
    namespace: options.namespace ?? memberDefaults.namespace,
    heartbeatMs: numberIn(options, "heartbeat", memberDefaults.heartbeatMs),
    ackWaitMs: numberIn(options, "ack-wait", memberDefaults.ackWaitMs),
  };
  const started = await start(settings, options);
  const asked = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  process.stdout.write(`ready ${started.ready}\n`);
  try {
    await Promise.race([asked, started.ended ?? asked]);
  } finally {
    await started.stop();
  }
}

try {
  await run(parseOptions(process.argv.slice(2)));
} catch (fault) {
  const isUsage = fault instanceof UsageError;
  const text = fault instanceof PerdureError ? `${fault.code}: ${fault.message}` : isUsage ? fault.message : null;
  process.stderr.write(`member: ${text ?? (fault instanceof Error ? fault.stack : String(fault))}\n`);
  if (isUsage) process.stderr.write(usage);
  // What it has connected already would keep it here, without a part in the fleet.
  process.exit(isUsage ? 2 : 1);
}
