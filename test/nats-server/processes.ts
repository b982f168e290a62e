/** What runs on this machine, read from /proc. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { untilSome } from "../support/until.js";

interface RunningProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Processes with `text` in their command line: the server, its guard, and whatever else was started for a folder. */
export async function processesNaming(text: string): Promise<readonly RunningProcess[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  const processes = await Promise.all(pids.map(async (pid) => ({ pid, commandLine: await commandLineOf(pid) })));
  return processes.filter(({ commandLine }) => commandLine.includes(text));
}

export async function untilNothingNames(text: string): Promise<void> {
  await untilSome(`the end of every process that names ${text}`, async () =>
    (await processesNaming(text)).length === 0 ? true : undefined,
  );
}

export async function untilGone(pid: number): Promise<void> {
  await untilSome(`the end of process ${pid}`, async () => ((await isRunning(pid)) ? undefined : true));
}

/** A zombie counts as gone: it only waits for its parent to notice. */
export async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(join("/proc", String(pid), "stat"), "utf8").catch(() => "");
  return status !== "" && status.slice(status.lastIndexOf(")") + 2, status.lastIndexOf(")") + 3) !== "Z";
}

/** Empty for a process that is gone, a zombie or a kernel thread. */
async function commandLineOf(pid: number): Promise<string> {
  const text = await readFile(join("/proc", String(pid), "cmdline"), "utf8").catch(() => "");
  return text.replaceAll("\0", " ");
}
