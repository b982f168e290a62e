/** One task pod: a child process that is given its input on stdin, bounded in time and in what it may print. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { PodReaper } from "./pod-reaper.js";

export interface PodOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly input: unknown;
  readonly timeoutMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string>>;
  /** Knows it while it runs. */
  readonly reaper: PodReaper;
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
/** From the request to end until it is ended, and from its end until nobody waits for what another one may print in its name. */
const endGraceMs = 2_000;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
  /** Before it ended. */
  readonly isStopped: boolean;
  readonly isLate: boolean;
}

export async function runPod(options: PodOptions): Promise<PodEnd> {
  const { command, input, timeoutMs, signal, environment, reaper, onStarted } = options;
  const [program = "", ...args] = command;
  // A group of its own, so that what it starts ends with it.
  const child = spawn(program, args, { env: { ...environment }, stdio: "pipe", detached: true });
  const { pid } = child;
  if (pid !== undefined) reaper.add(pid);
  const outputs = [collect(child.stdout, outputBytesMax), collect(child.stderr, errorBytesMax)] as const;
  const timeUp = AbortSignal.timeout(timeoutMs);
  const stop = (): void => end(child);
  for (const reason of [timeUp, signal]) reason.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();

  const ended = await new Promise<Ended>((resolve) => {
    let by: Pick<Ended, "isStopped" | "isLate"> = { isStopped: false, isLate: false };
    child.once("spawn", () => onStarted(pid ?? 0));
    child.once("error", (error) => resolve({ ...by, code: null, signal: null, error }));
    child.once("exit", () => {
      by = { isStopped: signal.aborted, isLate: timeUp.aborted };
      if (pid !== undefined) endRest(child, pid);
    });
    child.once("close", (code, killer) => resolve({ ...by, code, signal: killer }));
    // Of a program that does not read it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input === undefined ? "" : JSON.stringify(input));
  });
  for (const reason of [timeUp, signal]) reason.removeEventListener("abort", stop);
  if (pid !== undefined) reaper.remove(pid);

  const [stdout, stderr] = outputs.map((output) => output());
  return {
    exitCode: ended.code,
    stdout: stdout?.text ?? "",
    stderr: stderr?.text ?? "",
    isTruncated: stdout?.isTruncated === true || stderr?.isTruncated === true,
    fault: faultOf(ended, program, timeoutMs),
  };
}

function faultOf(
  { error, isStopped, isLate, signal, code }: Ended,
  program: string,
  timeoutMs: number,
): PodEnd["fault"] {
  if (error !== undefined) return { type: "POD_NOT_STARTED", message: `${program}: ${error.message}` };
  if (isStopped) return { type: "POD_STOPPED", message: "the launcher was stopped" };
  if (isLate) return { type: "POD_TIMED_OUT", message: `not done after ${timeoutMs} ms; it was ended` };
  if (signal !== null) return { type: "POD_KILLED", message: `ended by ${signal}` };
  if (code !== 0) return { type: "POD_FAILED", message: `exit status ${code}` };
  return null;
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

/** What the program has left behind ends with it, and is not waited for where it left the group and holds the outputs. */
function endRest(child: ChildProcess, pid: number): void {
  signalGroup(pid, "SIGKILL");
  const late = setTimeout(() => {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, endGraceMs);
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
