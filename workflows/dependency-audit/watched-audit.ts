/**
 * Looks on while the audit runs: shows how far it is, and tells what the orchestrator says and does about an agent that
 * was killed.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "perdure";
import { Aftermath } from "./aftermath.js";
import { type ObservedEvent, observed } from "./audit-events.js";
import type { Child } from "./children.js";
import type { LiveOutput } from "./live-output.js";
import { Progress } from "./progress.js";
import { progressLine } from "./progress-line.js";
import type { AgentAtWork } from "./stop-at-work.js";

const lookIntervalMs = 150;
/** Between two looks at what is known already. */
const pollIntervalMs = 5;

export interface WatchedAuditOptions {
  readonly auditId: string;
  readonly client: Client;
  readonly agents: readonly Child[];
  /** The join included. */
  readonly taskCount: number;
  readonly output: LiveOutput;
  /** Prints a line of the story with the time it belongs to, by performance.now(). */
  readonly tell: (sentence: string, at: number) => void;
}

export class WatchedAudit {
  readonly #options: WatchedAuditOptions;
  readonly #progress: Progress;
  readonly #stopping = new AbortController();
  readonly #failures: ObservedEvent[] = [];
  #killedAt = 0;
  #aftermath: Aftermath | null = null;
  #unsubscribe: () => void = () => undefined;

  constructor(options: WatchedAuditOptions) {
    this.#options = options;
    this.#progress = new Progress(
      options.taskCount,
      options.agents.map(({ name }) => name),
    );
  }

  /** Before the first task is submitted, or events are missed. */
  start(): void {
    const subscription = this.#options.client.onEvent((event) => this.#note(observed(event)));
    this.#unsubscribe = () => subscription.unsubscribe();
    // Without an orchestrator to look at there is no progress to show; the submission says what is wrong.
    this.#look().catch(() => undefined);
  }

  stop(): void {
    this.#unsubscribe();
    this.#stopping.abort();
    this.#options.output.clear();
  }

  /** Resolves with true when so many tasks have ended, with false if they have not after `limitMs`. */
  untilEnded(count: number, limitMs: number): Promise<boolean> {
    return this.#until(() => this.#progress.ended >= count, limitMs);
  }

  /** `kill -9`; from here on it is told what the orchestrator does about it. */
  async kill({ agent, tasks }: AgentAtWork): Promise<void> {
    const { auditId, taskCount, tell } = this.#options;
    const endedBefore = this.#progress.ended;
    // First, for the orchestrator may notice at once.
    this.#aftermath = new Aftermath(agent.name, `${auditId}-`);
    this.#killedAt = performance.now();
    agent.kill();
    await agent.ended;
    this.#progress.noteKilled(agent.name);
    const what = tasks.length === 1 ? "1 task" : `${tasks.length} tasks`;
    const when = `${endedBefore} of ${taskCount} tasks had ended`;
    tell(`kill -9 ${agent.pid}: ${agent.name} is dead with ${what} in its hands; ${when}`, this.#killedAt);
  }

  /** Tells all there is to tell by now. */
  tellAll(): void {
    this.#tellAftermath(Number.POSITIVE_INFINITY);
  }

  /** Nobody was killed, or the orchestrator has given that agent up, and all of it has been told. */
  get isSettled(): boolean {
    return this.#aftermath === null || this.#aftermath.isSettled;
  }

  /** Resolves when it is settled, or after `limitMs`. */
  async untilSettled(limitMs: number): Promise<void> {
    await this.#until(() => this.isSettled, limitMs);
  }

  get endedTwice(): readonly string[] {
    return this.#progress.endedTwice;
  }

  /** Why tasks failed, in the order of events. */
  get failures(): readonly ObservedEvent[] {
    return this.#failures;
  }

  #note(event: ObservedEvent): void {
    this.#progress.noteEvent(event);
    this.#aftermath?.observe(event, performance.now() - this.#killedAt);
    if (event.type === "TASK_FAILED" || event.type === "TASK_TIMED_OUT") this.#failures.push(event);
  }

  async #until(holds: () => boolean, limitMs: number): Promise<boolean> {
    const deadline = performance.now() + limitMs;
    while (!holds() && performance.now() < deadline) {
      await delay(pollIntervalMs, undefined, { signal: this.#stopping.signal });
    }
    return holds();
  }

  async #look(): Promise<void> {
    const { client, output } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#progress.noteStatus(await client.status());
      this.#tellAftermath(performance.now() - this.#killedAt);
      if (!signal.aborted) output.show(progressLine(this.#progress.picture, output.width));
      await delay(lookIntervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #tellAftermath(nowAfterMs: number): void {
    const { tell } = this.#options;
    for (const { afterMs, sentence } of this.#aftermath?.takeSentences(nowAfterMs) ?? []) {
      const after = `+${(afterMs / 1_000).toFixed(1)} s`;
      tell(`${after} orchestrator: ${sentence}`, this.#killedAt + afterMs);
    }
  }
}
