/** The agent that is checked: started by its command and started again, or by its author at another terminal. */
import { type ChildProcess, spawn } from "node:child_process";
import { surroundings } from "./perdure-dev.js";
import type { AgentAtHand } from "./rule.js";
import { within } from "./within.js";

const LAST_WORDS_MAX = 2_000;
/** What it has in hand when the check is over is of no interest any more. */
const STOP_MS = 5_000;

export interface AgentSurroundings {
  readonly command: readonly string[];
  readonly url: string;
  readonly namespace: string;
}

export class CheckedAgent implements AgentAtHand {
  readonly #surroundings: AgentSurroundings;
  #process: ChildProcess | null = null;
  #end: string | null = null;
  #lastWords = "";

  constructor(surroundings: AgentSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Whether the check may start and stop it. */
  get isOurs(): boolean {
    return this.#surroundings.command.length > 0;
  }

  /** How it ended, or null while it runs, as far as anybody knows. */
  get end(): string | null {
    return this.#end;
  }

  /** A sentence where it is known to have ended. */
  missing(): string | null {
    return this.#end === null ? null : `the agent has ended: ${this.#end}`;
  }

  /** What it printed last. */
  get lastWords(): string {
    return this.#lastWords.trim();
  }

  /** Does nothing where it runs, or where its author starts it. */
  start(): void {
    if (!this.isOurs || (this.#process !== null && this.#end === null)) return;
    const { url, namespace } = this.#surroundings;
    const { hostname, port } = new URL(url);
    const values: Readonly<Record<string, string>> = { url, host: hostname, port, namespace };
    const [file = "", ...args] = this.#surroundings.command.map((word) =>
      word.replace(/\{(url|host|port|namespace)\}/g, (_, name: string) => values[name] ?? ""),
    );
    this.#end = null;
    const child = spawn(file, args, {
      env: { ...surroundings(), NATS_URL: url, PERDURE_NAMESPACE: namespace },
      // A group of its own, so that nothing it starts is left behind.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text: string) => {
        this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_MAX);
      });
    }
    child.once("error", (error) => {
      this.#end = `could not be started: ${error.message}`;
    });
    child.once("exit", (code, signal) => {
      this.#end = signal === null ? `exit status ${code}` : `killed by ${signal}`;
    });
  }

  send(signal: NodeJS.Signals): void {
    if (this.#end === null) this.#process?.kill(signal);
  }

  /** How it ended; null if it has not in time. */
  ended(limitMs: number): Promise<string | null> {
    return within(limitMs, () => this.#end);
  }

  /** Lets it end by itself, if it does, and leaves nothing of it. */
  async stop(): Promise<void> {
    this.send("SIGTERM");
    await this.ended(STOP_MS);
    await this.#kill();
  }

  async #kill(): Promise<void> {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
    await this.ended(5_000);
  }
}
