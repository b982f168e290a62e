/** The agents of workflows/any-language as processes, each with what it needs to run: none outlives its test. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { untilHolds } from "../../support/until.js";

export interface Language {
  readonly name: string;
  readonly interpreter: string;
  readonly script: string;
}

const scriptOf = (name: string): string =>
  fileURLToPath(new URL(`../../../workflows/any-language/${name}`, import.meta.url));

export const python: Language = { name: "Python", interpreter: "python3", script: scriptOf("agent.py") };
export const shell: Language = { name: "shell", interpreter: "bash", script: scriptOf("agent.sh") };

/** Without its interpreter an agent is not tested, and nobody should believe it was. */
export function expectInterpreters(): void {
  for (const { name, interpreter } of [python, shell]) {
    const { error } = spawnSync(interpreter, ["--version"]);
    if (error !== undefined) {
      expect.fail(
        `the ${name} agent cannot be tested: there is no ${interpreter} here; apt-get install ${interpreter}`,
      );
    }
  }
}

export class AgentProcess {
  readonly agentId: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #printed = "";

  constructor({ interpreter, script }: Language, agentId: string, args: readonly string[]) {
    this.agentId = agentId;
    this.#process = spawn(interpreter, [script, "--id", agentId, ...args], {
      // A group of its own, as its tasks may be processes too.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const output of [this.#process.stdout, this.#process.stderr]) {
      output?.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
      });
    }
    this.#ended = once(this.#process, "close");
    onTestFinished(() => this.kill());
  }

  /** What it printed so far, both outputs in one. */
  get printed(): string {
    return this.#printed;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async registered(times = 1): Promise<void> {
    const seen = await untilHolds(
      `agent ${this.agentId} is registered for the ${times}. time`,
      () => ({ printed: this.#printed, hasEnded: this.#process.exitCode !== null }),
      ({ printed, hasEnded }) => hasEnded || printed.split(`registered ${this.agentId}\n`).length > times,
      { deadlineMs: 40_000 },
    );
    if (seen.hasEnded) throw new Error(`agent ${this.agentId} ended: ${seen.printed}`);
  }

  send(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Resolves with its exit status when it has ended by itself. */
  async ended(): Promise<number | null> {
    await untilHolds(
      `agent ${this.agentId} ends`,
      () => ({ code: this.#process.exitCode, signal: this.#process.signalCode, printed: this.#printed }),
      ({ code, signal }) => code !== null || signal !== null,
      { deadlineMs: 40_000 },
    );
    await this.#ended;
    return this.#process.exitCode;
  }

  /** `kill -9`, of its tasks' processes too. */
  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) process.kill(-this.pid, "SIGKILL");
    await this.#ended;
  }
}
