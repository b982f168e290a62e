/** One task pod: a child process that is given its input on stdin, bounded in time and in what it may print. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";

export interface PodOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly input: unknown;
  readonly timeoutMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string>>;
  readonly onStarted: (pid: number) => void;
}

export type PodFault = "POD_NOT_STARTED" | "POD_FAILED" | "POD_KILLED" | "POD_TIMED_OUT" | "POD_STOPPED";

export interface PodEnd {
  readonly exitCode: number | null;
  /** What it printed, up to 256 KiB. */
  readonly stdout: string;
  readonly stderr: string;
  readonly isTruncated: boolean;
  readonly fault: { readonly type: PodFault; readonly message: string } | null;
}

export const outputBytesMax = 256 * 1024;
const errorBytesMax = 16 * 1024;
/** From the request to end until it is ended. */
const endGraceMs = 2_000;

export async function runPod(options: PodOptions): Promise<PodEnd> {
  const { command, input, timeoutMs, signal, environment, onStarted } = options;
  const [program = "", ...args] = command;
  // A group of its own, so that what it starts ends with it.
  const child = spawn(program, args, { env: { ...environment }, stdio: "pipe", detached: true });
  const outputs = [collect(child.stdout, outputBytesMax), collect(child.stderr, errorBytesMax)] as const;
  const timeUp = AbortSignal.timeout(timeoutMs);
  const stop = (): void => end(child);
  for (const reason of [timeUp, signal]) reason.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();

  const ended = await new Promise<{ code: number | null; by: NodeJS.Signals | null; error?: Error }>((resolve) => {
    child.once("spawn", () => onStarted(child.pid ?? 0));
    child.once("error", (error) => resolve({ code: null, by: null, error }));
    child.once("close", (code, by) => resolve({ code, by }));
    // Of a program that does not read it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input === undefined ? "" : JSON.stringify(input));
  });
  for (const reason of [timeUp, signal]) reason.removeEventListener("abort", stop);

  const [stdout, stderr] = outputs.map((output) => output());
  const fault = (type: PodFault, message: string) => ({ type, message });
  const why = (): PodEnd["fault"] => {
    if (ended.error !== undefined) return fault("POD_NOT_STARTED", `${program}: ${ended.error.message}`);
    if (signal.aborted) return fault("POD_STOPPED", "the launcher was stopped");
    if (timeUp.aborted) return fault("POD_TIMED_OUT", `not done after ${timeoutMs} ms; it was ended`);
    if (ended.by !== null) return fault("POD_KILLED", `ended by ${ended.by}`);
    if (ended.code !== 0) return fault("POD_FAILED", `exit status ${ended.code}`);
    return null;
  };
  return {
    exitCode: ended.code,
    stdout: stdout?.text ?? "",
    stderr: stderr?.text ?? "",
    isTruncated: stdout?.isTruncated === true || stderr?.isTruncated === true,
    fault: why(),
  };
}

/** Reads to the end and keeps the beginning. */
function collect(stream: Readable, bytesMax: number): () => { readonly text: string; readonly isTruncated: boolean } {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    if (bytes < bytesMax) chunks.push(chunk.subarray(0, bytesMax - bytes));
    bytes += chunk.byteLength;
  });
  return () => ({ text: Buffer.concat(chunks).toString("utf8"), isTruncated: bytes > bytesMax });
}

function end(child: ChildProcess): void {
  if (child.pid === undefined) return;
  signalGroup(child.pid, "SIGTERM");
  const late = setTimeout(() => child.pid !== undefined && signalGroup(child.pid, "SIGKILL"), endGraceMs);
  child.once("close", () => clearTimeout(late));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (fault) {
    // It ended meanwhile.
    if (!(fault instanceof Error && "code" in fault && fault.code === "ESRCH")) throw fault;
  }
}
