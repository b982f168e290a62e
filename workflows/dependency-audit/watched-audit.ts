/**
 * Looks on while the audit runs: shows how far it is, has an agent killed once a third has ended, and tells what the
 * orchestrator says and does about it.
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
import { type AgentAtWork, stopOneAtWork } from "./stop-at-work.js";

const lookIntervalMs = 150;
/** The share of the audit that has ended when an agent is killed. */
const killAtShare = 1 / 3;

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
  #kill: Promise<void> | null = null;
  #killed: AgentAtWork | null = null;
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

  /** The agent that was killed, or null where the audit was over before one could be. All until now has been told. */
  async killed(): Promise<AgentAtWork | null> {
    await this.#kill;
    this.#tellAftermath(Number.POSITIVE_INFINITY);
    return this.#killed;
  }

  /** Nobody was killed, or the orchestrator has given that agent up, and all of it has been told. */
  get isSettled(): boolean {
    return this.#aftermath === null || this.#aftermath.isSettled;
  }

  /** Resolves when it is settled, or after `limitMs`. */
  async untilSettled(limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!this.isSettled && performance.now() < deadline) {
      await delay(lookIntervalMs, undefined, { signal: this.#stopping.signal });
    }
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
    this.#killIfDue();
  }

  #killIfDue(): void {
    if (this.#kill !== null || this.#progress.ended < this.#options.taskCount * killAtShare) return;
    this.#kill = this.#killOne();
    // Told by `killed`.
    this.#kill.catch(() => undefined);
  }

  async #killOne(): Promise<void> {
    const { auditId, client, agents, taskCount, tell } = this.#options;
    const inHand = new Map(this.#progress.picture.agents.map((agent) => [agent.agentId, agent.inHand]));
    const busiestFirst = [...agents].sort((a, b) => (inHand.get(b.name) ?? 0) - (inHand.get(a.name) ?? 0));
    const endedBefore = this.#progress.ended;
    const stopped = await stopOneAtWork(client, busiestFirst);
    if (stopped === null) return;
    const { agent, tasks } = stopped;
    // First, for the orchestrator may notice at once.
    this.#aftermath = new Aftermath(agent.name, `${auditId}-`);
    this.#killedAt = performance.now();
    agent.kill();
    await agent.ended;
    this.#killed = stopped;
    this.#progress.noteKilled(agent.name);
    const what = tasks.length === 1 ? "1 task" : `${tasks.length} tasks`;
    const when = `${endedBefore} of ${taskCount} tasks had ended`;
    tell(`kill -9 ${agent.pid}: ${agent.name} is dead with ${what} in its hands; ${when}`, this.#killedAt);
  }

  async #look(): Promise<void> {
    const { client, output } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#progress.noteStatus(await client.status());
      this.#killIfDue();
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
