/** Starts the processes of a benchmark and waits until each says that it is ready. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface ReadyProcess {
  /** The line in which it said so. */
  readonly line: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** @param script path below dist/, as in "bench/echo-agent.js" */
export function startProcess(script: string, args: readonly string[]): Promise<ReadyProcess> {
  const file = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("ready")) resolve({ line, pid: pidOf(child), stop: () => stop(child, exited) });
    });
    exited.then((code) => reject(new Error(`${script} ended with ${code} before it was ready`))).catch(reject);
  });
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill("SIGTERM");
  await exited;
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("the process has no pid");
  return child.pid;
}
