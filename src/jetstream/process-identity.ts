import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process, as another one that may run on the same machine can look it up. */
export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** Where a pid means the same process: this boot of the machine and this namespace of pids. Null where unknown. */
  readonly pidScope: string | null;
}

export function thisProcess(): ProcessIdentity {
  return { host: hostname(), pid: process.pid, pidScope: pidScope() };
}

/** Linux only. Containers share the boot, and may share the host's name, but each counts its own pids. */
function pidScope(): string | null {
  try {
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${bootId}/${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return null;
  }
}

/** True only if it is certain: the process was on this machine, and its pid is nobody's now. */
export function isGone(other: ProcessIdentity): boolean {
  const own = thisProcess();
  if (own.pidScope === null || other.pidScope !== own.pidScope || other.host !== own.host) return false;
  try {
    process.kill(other.pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}
