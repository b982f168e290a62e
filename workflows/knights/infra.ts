/** Domain infra: what this machine says of its memory, processors, disks and processes, and what of it wants attention. */
import { readdir, readFile, statfs } from "node:fs/promises";
import { availableParallelism, freemem, hostname, loadavg, totalmem, uptime } from "node:os";
import { resolve } from "node:path";
import { type Executor, nothingSpent } from "./executor.js";
import { table } from "./markdown.js";

/** Of what there is. Above it, somebody should look. */
const limits = { disk: 0.85, memory: 0.9, load: 1.5 } as const;
const processesShown = 5;
const gib = 1024 ** 3;

interface Fact {
  readonly name: string;
  readonly value: string;
  readonly warning: string | null;
}

export const infraExecutor: Executor = {
  async execute(_task, { signal, log }) {
    const facts = [await memory(), load(), ...(await disks())];
    signal.throwIfAborted();
    const processes = await largestProcesses(signal);
    const warnings = facts.flatMap(({ warning }) => warning ?? []);
    log.info({ facts: facts.length, warnings: warnings.length }, "looked at this machine");
    const parts = [
      `# ${hostname()}, up ${(uptime() / 3_600).toFixed(1)} h`,
      warnings.length === 0 ? "Nothing wants attention." : warnings.map((text) => `- **${text}**`).join("\n"),
      table(
        ["What", "How much"],
        facts.map(({ name, value }) => [name, value]),
      ),
    ];
    if (processes.length > 0) {
      parts.push("## Largest processes", table(["Process", "PID", "Memory"], processes));
    }
    return { ...nothingSpent, result: parts.join("\n\n") };
  },
};

async function memory(): Promise<Fact> {
  const total = totalmem();
  const share = 1 - (await availableMemory()) / total;
  const value = `${percent(share)} of ${(total / gib).toFixed(1)} GiB in use`;
  return { name: "Memory", value, warning: share > limits.memory ? `Memory is short: ${value}` : null };
}

/** What Linux calls free leaves out what it would give back at once. */
async function availableMemory(): Promise<number> {
  const text = await textOf("/proc/meminfo");
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(text ?? "")?.[1];
  return kib === undefined ? freemem() : Number(kib) * 1024;
}

function load(): Fact {
  const processors = availableParallelism();
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  const value = `${[one, five, fifteen].map((average) => average.toFixed(2)).join(", ")} on ${processors} processors`;
  return {
    name: "Load",
    value,
    warning: five > limits.load * processors ? `More work than processors: ${value}` : null,
  };
}

async function disks(): Promise<readonly Fact[]> {
  const places = [...new Set([resolve("/"), process.cwd()])];
  const seen = new Set<string>();
  const facts: Fact[] = [];
  for (const place of places) {
    const { blocks, bavail, bsize } = await statfs(place);
    const key = `${blocks} ${bavail}`;
    if (blocks === 0 || seen.has(key)) continue;
    seen.add(key);
    const share = 1 - bavail / blocks;
    const value = `${percent(share)} of ${((blocks * bsize) / gib).toFixed(0)} GiB in use`;
    facts.push({
      name: `Disk of ${place}`,
      value,
      warning: share > limits.disk ? `${place} fills up: ${value}` : null,
    });
  }
  return facts;
}

/** Where there is /proc; nothing elsewhere. */
async function largestProcesses(signal: AbortSignal): Promise<readonly (readonly string[])[]> {
  const names = await readdir("/proc").catch(() => []);
  const found: { readonly name: string; readonly pid: string; readonly kib: number }[] = [];
  for (const pid of names.filter((name) => /^\d+$/.test(name))) {
    signal.throwIfAborted();
    // Null where it has ended meanwhile.
    const status = await textOf(`/proc/${pid}/status`);
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status ?? "")?.[1] ?? 0);
    if (kib > 0) found.push({ name: /^Name:\s+(.+)$/m.exec(status ?? "")?.[1] ?? "?", pid, kib });
  }
  return found
    .sort((a, b) => b.kib - a.kib)
    .slice(0, processesShown)
    .map(({ name, pid, kib }) => [name, pid, `${(kib / 1024).toFixed(0)} MiB`]);
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Not a Linux, or the process has ended.
    return null;
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
