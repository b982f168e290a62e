/** Starts the processes of a benchmark, waits until each says that it is ready, and asks them how they are. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { OwnReport } from "./own-report.js";

export interface ReadyProcess {
  /** The line in which it said so. */
  readonly line: string;
  readonly pid: number;
  /** Of a script that calls `reportOnRequest`; others never answer. */
  report(): Promise<OwnReport>;
  stop(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/**
 * @param script path below dist/, as in "bench/echo-agent.js"
 * @param word the line that is waited for begins with it
 */
export function startProcess(script: string, args: readonly string[], word = "ready"): Promise<ReadyProcess> {
  const file = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    // Does nothing to one that is gone.
    child.kill(signal);
    await exited;
  };
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      if (!line.startsWith(word)) return;
      resolve({
        line,
        pid: pidOf(child),
        report: () => askForReport(child),
        stop: () => end("SIGTERM"),
        kill: () => end("SIGKILL"),
      });
    });
    exited.then((code) => reject(new Error(`${script} ended with ${code} before it was ready`))).catch(reject);
  });
}

function askForReport(child: ChildProcess): Promise<OwnReport> {
  return new Promise((resolve, reject) => {
    child.once("message", (report) => resolve(report as OwnReport));
    child.send("report", (error) => {
      if (error !== null) reject(error);
    });
  });
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("the process has no pid");
  return child.pid;
}
