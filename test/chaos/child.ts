/** One child process of a run: started, killed, frozen, thawed. Its output goes to a file of its own. */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface ChildOptions {
  readonly name: string;
  /** Beside this file. */
  readonly script: string;
  readonly options: object;
  readonly logFolder: string;
  readonly onWord?: (word: unknown) => void;
  readonly onEnd: (end: ChildEnd) => void;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether somebody here wanted it to end. */
  readonly wanted: "killed" | "stopped" | "no";
}

export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #wanted: ChildEnd["wanted"] = "no";
  #state: "running" | "frozen" | "ended" = "running";

  constructor({ name, script, options, logFolder, onWord, onEnd }: ChildOptions) {
    this.name = name;
    const output = openSync(join(logFolder, `${name}.log`), "a");
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(options)], {
      stdio: ["ignore", output, output, "ipc"],
    });
    closeSync(output);
    this.#process.on("message", (word) => onWord?.(word));
    this.#ended = new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => {
        this.#state = "ended";
        onEnd({ code, signal, wanted: this.#wanted });
        resolve();
      });
    });
  }

  get state(): "running" | "frozen" | "ended" {
    return this.#state;
  }

  /** Resolves when the kernel has reaped it. */
  async kill(): Promise<void> {
    this.#wanted = "killed";
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  freeze(): void {
    if (this.#state !== "running") return;
    this.#state = "frozen";
    this.#process.kill("SIGSTOP");
  }

  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "running";
    this.#process.kill("SIGCONT");
  }

  /** Asks it to end in order. */
  stop(): void {
    if (this.#state === "ended") return;
    this.#wanted = "stopped";
    this.#process.kill("SIGTERM");
  }
}
