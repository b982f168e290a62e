/** The built command line as a real process, the way a shell or a script runs it. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** Lives until it ends by itself or the test ends it. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** Lines of stdout, as they come. */
  readonly lines: readonly string[];
  readonly errors: () => string;
  readonly ended: Promise<Ended>;
  readonly exited: () => boolean;
  kill(signal: NodeJS.Signals): void;
  /** Reads no more, as `| head -1` does. */
  closeOutput(): void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** What a developer has set, or selected with the nats CLI, must not reach the tests. */
export function testEnvironment(environment: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(NATS|PERDURE)_/.test(name));
  return { ...Object.fromEntries(inherited), XDG_CONFIG_HOME: "/nonexistent", ...environment };
}

function start(args: readonly string[], { environment, stdin = "" }: RunOptions): Child {
  const child = spawn(process.execPath, [main, ...args], {
    env: testEnvironment(environment),
    stdio: ["pipe", "pipe", "pipe"],
  });
  // One that ends without reading its input is fine.
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  return child;
}

function endOf(child: Child): Promise<number | null> {
  return new Promise((resolve) => child.once("close", (code) => resolve(code)));
}

export async function perdure(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = start(args, options);
  const [status, stdout, stderr] = await Promise.all([endOf(child), text(child.stdout), text(child.stderr)]);
  return { status, stdout, stderr };
}

export function startPerdure(args: readonly string[], options: RunOptions = {}): Running {
  const child = start(args, options);
  const lines: string[] = [];
  let stderr = "";
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const ended = endOf(child).then((status) => ({ status, stdout: lines.join("\n"), stderr }));
  return {
    pid: child.pid ?? 0,
    lines,
    errors: () => stderr,
    ended,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    kill: (signal) => {
      child.kill(signal);
    },
    closeOutput: () => {
      child.stdout.destroy();
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
