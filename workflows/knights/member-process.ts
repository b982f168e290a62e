/** A member of the demonstration's fleet: a process that gets its environment and nothing else, and ends with this one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Loaded before its own script: where this process is gone without a word, the broken channel ends it. */
const endWithParent = `data:text/javascript,${encodeURIComponent(
  'process.once("disconnect", () => process.kill(process.pid, "SIGTERM")); process.channel?.unref();',
)}`;
const endGraceMs = 10_000;
const lastWordsLength = 2_000;

export class MemberProcess {
  readonly name: string;
  readonly pid: number;
  /** What it printed first: `ready <name> …`. Rejects where it ends before. */
  readonly ready: Promise<string>;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(name: string, script: URL, environment: Readonly<Record<string, string>>) {
    this.name = name;
    this.#child = spawn(process.execPath, ["--import", endWithParent, fileURLToPath(script)], {
      env: environment,
      // A group of its own: a Ctrl-C reaches the demonstration alone, which ends its members in order.
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const { pid, stdout, stderr } = this.#child;
    if (pid === undefined || stdout === null || stderr === null) throw new Error(`${name} got no process`);
    this.pid = pid;
    let lastWords = "";
    stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-lastWordsLength);
    });
    this.#closed = once(this.#child, "close");
    const firstLine = new Promise<string>((resolve) => createInterface({ input: stdout }).once("line", resolve));
    const ended = this.#closed.then(() => Promise.reject(new Error(`${name} ended before it was ready: ${lastWords}`)));
    this.ready = Promise.race([firstLine, ended]);
    // Told by whoever awaits `ready`, if anybody still does.
    ended.catch(() => undefined);
  }

  async end(): Promise<void> {
    const late = setTimeout(() => this.kill(), endGraceMs);
    this.#child.kill("SIGTERM");
    await this.#closed;
    clearTimeout(late);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
