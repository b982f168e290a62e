/** What the kernel says of a process (Linux). */
import { readdir, readFile } from "node:fs/promises";

/** `sysconf(_SC_CLK_TCK)`, which Linux has fixed for user space. */
const TICKS_PER_S = 100;

export interface Usage {
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** The most it ever had. */
  readonly peakRssBytes: number;
}

export async function usageOf(pid: number): Promise<Usage> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything; user and system ticks are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const bytesOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
  return { cpuMs: (ticks * 1000) / TICKS_PER_S, rssBytes: bytesOf("VmRSS"), peakRssBytes: bytesOf("VmHWM") };
}

export async function openFilesOf(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
