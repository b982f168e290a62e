/** A core with clocks that a test moves by hand, agents that say what a test makes them say, and what came of it. */
import { Core } from "../../src/core/core.js";
import { Ledger } from "../../src/core/ledger.js";
import type { ResultVerdict } from "../../src/core/result-screen.js";
import type { CoreSettings } from "../../src/core/settings.js";
import type { SubmissionRequest, Submitted } from "../../src/core/submission.js";
import type { Effect, EffectKind } from "../../src/machines/effect.js";
import type { AgentRegistration, AgentReport, HeartbeatMessage, TaskResult } from "../../src/protocol/agent-message.js";
import type { AgentRecord } from "../../src/protocol/agent-record.js";
import type { Fact } from "../../src/protocol/fact.js";
import type { SystemEventType } from "../../src/protocol/system-message.js";
import type { TaskSubmission } from "../../src/protocol/task-message.js";
import type { TaskRecord } from "../../src/protocol/task-record.js";
import {
  agentId,
  givenEnvelope,
  givenHeartbeat,
  givenRegistration,
  givenSubmission,
  taskId,
} from "../support/given.js";

const settings: CoreSettings = {
  maxConcurrentTasks: 0,
  maxQueuedTasks: 1_000,
  heartbeatIntervalMs: 1_000,
  unhealthyThresholdMs: 3_000,
  lostThresholdMs: 6_000,
};

const STARTED_AT = 1_000_000;

/** One decision as the journal would hold it: the facts have been JSON. */
export interface Decision {
  readonly facts: readonly Fact[];
  readonly effects: readonly Effect[];
}

/** A task as a test asks for it; the rest is given. */
export type Submission = Partial<Omit<TaskSubmission, "taskId" | "dependencies">> & {
  taskId?: string;
  dependencies?: string[];
};

export class Engine {
  readonly core: Core;
  readonly decisions: Decision[] = [];
  /** Both clocks; they run alike. */
  now = STARTED_AT;
  #tokens = 0;

  constructor(options: { settings?: Partial<CoreSettings>; ledger?: Ledger; now?: number; random?: number } = {}) {
    if (options.now !== undefined) this.now = options.now;
    // Another leader gives out other tokens.
    const leader = this.now;
    this.core = new Core({
      ledger: options.ledger ?? new Ledger(),
      settings: { ...settings, ...options.settings },
      chance: {
        newToken: () => {
          this.#tokens += 1;
          return `token-${leader}-${this.#tokens}`;
        },
        random: () => options.random ?? 0,
      },
      monotonicNow: this.now,
      onDecision: ({ facts, effects }) => {
        if (facts.length + effects.length === 0) return;
        this.decisions.push({ facts: JSON.parse(JSON.stringify(facts)) as Fact[], effects });
      },
    });
  }

  get facts(): Fact[] {
    return this.decisions.flatMap((decision) => decision.facts);
  }

  effects<K extends EffectKind>(kind: K): Extract<Effect, { kind: K }>[] {
    const all = this.decisions.flatMap((decision) => decision.effects);
    return all.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);
  }

  /** What everybody was told, oldest first. */
  broadcasts(eventType: SystemEventType): Readonly<Record<string, unknown>>[] {
    return this.effects("broadcastEvent").flatMap((effect) => (effect.eventType === eventType ? [effect.payload] : []));
  }

  task(id: string): TaskRecord {
    const record = this.core.ledger.tasks.get(taskId(id));
    if (record === undefined) throw new Error(`there is no task ${id}`);
    return record;
  }

  agent(id: string): AgentRecord {
    const record = this.core.ledger.agents.get(agentId(id));
    if (record === undefined) throw new Error(`there is no agent ${id}`);
    return record;
  }

  /** States of these tasks, in this order. */
  states(...ids: readonly string[]): string[] {
    return ids.map((id) => this.task(id).state);
  }

  explain(id: string): string {
    return this.core.explain(this.task(id), this.now);
  }

  /** Each submission gets a message id of its own, unless one is given. */
  submit(tasks: Submission | readonly Submission[], more: Partial<SubmissionRequest> = {}): Submitted {
    const list = (Array.isArray(tasks) ? tasks : [tasks]) as TaskSubmission[];
    const request = {
      messageId: givenEnvelope.messageId,
      form: Array.isArray(tasks) ? ("batch" as const) : ("single" as const),
      tasks: list.map(givenSubmission),
      bytes: JSON.stringify(list).length,
      ended: new Map(),
      ...more,
    };
    return this.#placing(() => this.core.submit(request, this.now));
  }

  register(id: string, change: Partial<AgentRegistration> = {}): AgentRecord {
    const registration = givenRegistration({ agentId: agentId(id), instanceId: `${id}-process-1`, ...change });
    return this.#placing(() => this.core.register(registration, this.#instant));
  }

  heartbeat(id: string, change: Partial<HeartbeatMessage> = {}) {
    const message = givenHeartbeat({ agentId: agentId(id), ...change });
    return this.#placing(() => this.core.heartbeat(agentId(id), message, this.#instant));
  }

  report(id: string, report: Omit<AgentReport, "agentId">): void {
    this.#placing(() => this.core.report(agentId(id), { agentId: agentId(id), ...report }, this.#instant));
  }

  accept(id: string): void {
    const { agentId: holder, token } = this.task(id);
    this.report(String(holder), { state: "accepted", taskId: taskId(id), token: token ?? "" });
  }

  /** A result for the task's attempt as it stands now, from the agent that has it. */
  resultOf(id: string, change: Partial<TaskResult> = {}): TaskResult {
    const { agentId: holder, attempt, token } = this.task(id);
    const result: TaskResult = { taskId: taskId(id), attempt, agentId: agentId(String(holder)), status: "completed" };
    return { ...result, ...(token === null ? {} : { token }), ...change };
  }

  handIn(result: TaskResult, sender: string = result.agentId): ResultVerdict {
    return this.#placing(() => this.core.result(agentId(sender), result, this.#instant));
  }

  complete(id: string, output: unknown = "done"): ResultVerdict {
    return this.handIn(this.resultOf(id, { output }));
  }

  fail(id: string, failure: Partial<TaskResult["error"]> = {}): ResultVerdict {
    const error = { type: "OutOfPaper", message: "the printer is out of paper", ...failure };
    return this.handIn(this.resultOf(id, { status: "failed", error }));
  }

  cancel(id: string) {
    return this.#placing(() => this.core.cancel(taskId(id), this.now));
  }

  undeliverable(id: string, token: string = this.task(id).token ?? ""): void {
    this.#placing(() => this.core.undeliverable(taskId(id), token, this.#instant));
  }

  /** Time passes; deadlines fire. Every agent that is not named silent heartbeats meanwhile. */
  pass(ms: number, options: { silent?: readonly string[] } = {}): void {
    this.now += ms;
    for (const { agentId: id, state } of this.core.ledger.agents.values()) {
      if (options.silent?.includes(id) !== true && state !== "lost" && state !== "gone") this.heartbeat(id);
    }
    this.#placing(() => {
      this.core.checkSilence(this.#instant);
      this.core.fireDeadlines(this.now);
    });
  }

  /** Lets one agent be silent for so long that it is lost, with the grace after a start long over. */
  lose(...ids: readonly string[]): void {
    const settledAt = STARTED_AT + 2 * settings.lostThresholdMs;
    this.pass(Math.max(settings.lostThresholdMs, settledAt - this.now), { silent: ids });
  }

  get #instant() {
    return { at: this.now, monotonicAt: this.now };
  }

  /** The orchestrator places before each flush; here that is after each event. */
  #placing<T>(event: () => T): T {
    const outcome = event();
    this.core.place(this.now);
    return outcome;
  }
}
