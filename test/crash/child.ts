/** A child process that a test starts, talks to, kills and freezes. None outlives its test. */
import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { until, untilHolds, untilSome } from "../support/until.js";

export class Child {
  readonly said: unknown[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<string>;
  #end: string | null = null;

  constructor(script: string, options: object) {
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#process.on("message", (message) => this.said.push(message));
    this.#ended = new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => {
        this.#end = signal ?? `exit ${code}`;
        resolve(this.#end);
      });
    });
    onTestFinished(async () => {
      if (this.#end === null) this.#process.kill("SIGKILL");
      await this.#ended;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resolves with the signal it died of, or "exit <code>". */
  get ended(): Promise<string> {
    return this.#ended;
  }

  /** Resolves when it has said a word; an end before that is a failure. */
  async untilSaid(word: string): Promise<void> {
    const seen = await untilHolds(
      `the process says ${word}`,
      () => ({ said: this.said, end: this.#end }),
      ({ said, end }) => said.includes(word) || end !== null,
      { deadlineMs: 40_000 },
    );
    if (!seen.said.includes(word)) throw new Error(`it ended of ${seen.end} and said ${JSON.stringify(seen.said)}`);
  }

  /** What it said under a key, oldest first. */
  saidOf(key: string): unknown[] {
    return this.said.flatMap((message) =>
      typeof message === "object" && message !== null && key in message
        ? [(message as Record<string, unknown>)[key]]
        : [],
    );
  }

  tell(message: string | object): void {
    this.#process.send(message);
  }

  /** Really killed, and reaped: nobody takes it for alive any more. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  /** Resolves when the kernel has stopped it. */
  async freeze(): Promise<void> {
    this.#process.kill("SIGSTOP");
    await until("the process stands still", async () => (await stateOf(this.pid)) === "T");
  }

  thaw(): void {
    this.#process.kill("SIGCONT");
  }

  /** Asks it to end in order, and waits until it has. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await untilSome("the process ends", () => this.#end, { deadlineMs: 40_000 });
  }
}

/** The kernel's letter for what a process does; T: stopped. */
async function stateOf(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8");
  return status.slice(status.lastIndexOf(")") + 2).slice(0, 1);
}
