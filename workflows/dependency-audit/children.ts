/**
 * The demo's child processes, none of which outlives it. Each has a process group of its own, so that a Ctrl-C reaches
 * the demo alone and the demo ends them in order; an IPC channel tells them when the demo is gone without having done so.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { DemoStopped, demoExit } from "./demo-exit.js";

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly script: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

const endWithParent = new URL("./end-with-parent.js", import.meta.url).href;

/** Of what a child said on stderr, enough to see why it ended. */
const errorLinesKept = 12;

export class Child {
  readonly name: string;
  readonly pid: number;
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  readonly #errorLines: string[] = [];
  readonly #printed: Promise<string>;
  #isRunning = true;
  #isWanted = true;

  constructor(name: string, { script, args, environment }: ChildOptions, onUnexpectedEnd: (end: DemoStopped) => void) {
    this.name = name;
    this.#process = spawn(process.execPath, ["--import", endWithParent, script, ...args], {
      env: environment,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const { pid, stdout, stderr } = this.#process;
    // Of a kill that comes too late, or of a channel that broke: `ended` tells whoever needs to know.
    this.#process.on("error", () => undefined);
    if (pid === undefined || stdout === null || stderr === null) {
      throw new DemoStopped(demoExit.failed, `${name} could not be started: the system gave it no process.`);
    }
    this.pid = pid;
    this.#printed = new Promise((resolve) => createInterface({ input: stdout }).once("line", resolve).resume());
    createInterface({ input: stderr }).on("line", (line) => {
      this.#errorLines.push(line);
      if (this.#errorLines.length > errorLinesKept) this.#errorLines.shift();
    });
    this.ended = new Promise((resolve) => {
      this.#process.once("close", (code, signal) => {
        this.#isRunning = false;
        if (this.#isWanted) onUnexpectedEnd(new DemoStopped(demoExit.failed, this.#describe({ code, signal })));
        resolve({ code, signal });
      });
    });
  }

  send(signal: NodeJS.Signals): void {
    if (this.#isRunning) this.#process.kill(signal);
  }

  /** The first line it prints: how it says that it is ready. Throws DemoStopped for one that says nothing in time. */
  async firstLine(limitMs: number): Promise<string> {
    const line = await withinLimit(Promise.race([this.#printed, this.ended]), limitMs);
    if (typeof line === "string") return line;
    const how = line === null ? `was not ready after ${limitMs / 1_000} s` : "ended before it was ready";
    throw new DemoStopped(demoExit.failed, `${this.name} (pid ${this.pid}) ${how}.${this.#lastWords()}`);
  }

  /** `kill -9`. Its end is no surprise from here on. */
  kill(): void {
    this.#isWanted = false;
    this.send("SIGKILL");
  }

  /** SIGTERM, and SIGKILL for one that has not ended after `graceMs`. */
  async end(graceMs: number): Promise<void> {
    this.#isWanted = false;
    // A process that was stopped takes no SIGTERM before it goes on.
    this.send("SIGCONT");
    this.send("SIGTERM");
    if ((await withinLimit(this.ended, graceMs)) === null) this.kill();
    await this.ended;
  }

  /** How it ended and, as far as it said so, why. */
  #describe({ code, signal }: ChildEnd): string {
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
    return `${this.name} (pid ${this.pid}) ${how}, and nobody had asked for it.${this.#lastWords()}`;
  }

  #lastWords(): string {
    return this.#errorLines.length === 0 ? "" : ` Its last words:\n  ${this.#errorLines.join("\n  ")}`;
  }
}

export class Children {
  readonly #children: Child[] = [];
  readonly #onUnexpectedEnd: (reason: DemoStopped) => void;

  constructor(onUnexpectedEnd: (reason: DemoStopped) => void) {
    this.#onUnexpectedEnd = onUnexpectedEnd;
    // The last resort, for an end that leaves no time for an orderly one.
    process.once("exit", this.killAll);
  }

  start(name: string, options: ChildOptions): Child {
    const child = new Child(name, options, this.#onUnexpectedEnd);
    this.#children.push(child);
    return child;
  }

  /**
   * What was started last ends first, so that an agent can still hand in what it has. Those started after the first one
   * do not depend on each other and end together.
   */
  async endAll(graceMs: number): Promise<void> {
    const [first, ...others] = this.#children;
    await Promise.all(others.map((child) => child.end(graceMs)));
    await first?.end(graceMs);
    process.off("exit", this.killAll);
  }

  readonly killAll = (): void => {
    for (const child of this.#children) child.kill();
  };
}

/** Null if it takes longer. */
async function withinLimit<T>(awaited: Promise<T>, limitMs: number): Promise<T | null> {
  const patience = new AbortController();
  // Aborted only once nobody waits for it.
  const late = delay(limitMs, null, { signal: patience.signal }).catch(() => null);
  try {
    return await Promise.race([awaited, late]);
  } finally {
    patience.abort();
  }
}
