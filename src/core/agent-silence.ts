/**
 * What follows from what agents do not say. Asked regularly, and only while the observer itself is well: silence is
 * evidence as long as somebody listens.
 */
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentId } from "../protocol/ids.js";
import type { Liveness, Overdue } from "../scheduler/liveness.js";
import { MassLoss } from "../scheduler/mass-loss.js";
import { announceAgent } from "./agent-events.js";
import type { Instant } from "./agent-reports.js";
import type { AgentWork } from "./agent-work.js";
import type { Ledger } from "./ledger.js";
import type { MissingAttempts } from "./missing-attempts.js";
import { AGENT_SWEEP_INTERVAL_MS, AGENT_TOMBSTONE_MS, type CoreSettings } from "./settings.js";

/** Task ids that the event of a lost agent names: all of a large agent's would not fit into a message. */
const NAMED_TASKS_MAX = 1_000;
/** An agent that has not been heard of for this long, and has no work, says nothing about its observer. */
const ACTIVE_WITHIN_MS = 600_000;

export class AgentSilence {
  readonly #ledger: Ledger;
  readonly #liveness: Liveness;
  readonly #work: AgentWork;
  readonly #missing: MissingAttempts;
  readonly #lostThresholdMs: number;
  readonly #massLoss: MassLoss;
  #held: ReadonlySet<AgentId> = new Set();
  /** On the monotonic clock. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #sweepAt = 0;

  constructor(parts: {
    readonly ledger: Ledger;
    readonly liveness: Liveness;
    readonly work: AgentWork;
    readonly missing: MissingAttempts;
    readonly settings: CoreSettings;
  }) {
    this.#ledger = parts.ledger;
    this.#liveness = parts.liveness;
    this.#work = parts.work;
    this.#missing = parts.missing;
    this.#lostThresholdMs = parts.settings.lostThresholdMs;
    this.#massLoss = new MassLoss(this.#lostThresholdMs);
  }

  /** Silent agents, while there are so many of them at once that none is given up. */
  get held(): ReadonlySet<AgentId> {
    return this.#held;
  }

  check(now: Instant): void {
    if (now.monotonicAt >= this.#sweepAt) {
      this.#sweepAt = now.monotonicAt + AGENT_SWEEP_INTERVAL_MS;
      this.#forgetLongEnded(now.at);
    }
    // The longest silent go first where they may not go all at once.
    const overdue = [...this.#liveness.overdue(now.monotonicAt)].sort((a, b) => b.silentMs - a.silentMs);
    // What the server says is gone says nothing about the observer.
    const silent = overdue.filter(({ isUnreachable }) => !isUnreachable);
    this.#observe(silent, now.monotonicAt);
    for (const silence of overdue) this.#judge(silence, now);
    this.#noteHeld(silent);
  }

  #judge({ agentId, verdict, silentMs, isUnreachable }: Overdue, now: Instant): void {
    const agent = this.#ledger.agents.get(agentId);
    if (agent === undefined || hasEnded(agent)) {
      this.#liveness.forget(agentId);
      return;
    }
    const reason = `no heartbeat for ${(silentMs / 1000).toFixed(1)} s`;
    if (verdict === "lost" && (isUnreachable || this.#massLoss.mayLose(now.monotonicAt))) {
      this.#lose(agent, reason, now.at);
    } else if (agent.state === "healthy") {
      this.#ledger.commitAgent(agent, { type: "Silent", at: now.at, reason });
      announceAgent(this.#ledger, "AGENT_UNHEALTHY", agent);
    }
  }

  #observe(silent: readonly Overdue[], monotonicNow: number): void {
    const withinMs = Math.max(ACTIVE_WITHIN_MS, 2 * this.#lostThresholdMs);
    const hasWork = (agentId: AgentId): boolean => this.#ledger.activeTasks.has(agentId);
    this.#massLoss.observe(
      {
        silentCount: silent.length,
        overdueCount: silent.filter(({ verdict }) => verdict === "lost").length,
        activeCount: silent.length === 0 ? 0 : this.#liveness.countActive(monotonicNow, withinMs, hasWork),
      },
      monotonicNow,
    );
    if (!this.#massLoss.isLooming || monotonicNow - this.#askedAt < this.#lostThresholdMs) return;
    this.#askedAt = monotonicNow;
    for (const { agentId } of silent) this.#askWhoListens(agentId);
  }

  /**
   * Sends an attempt again that the agent has: if nobody listens, the server says so, and the agent is gone for certain.
   * Whoever listens knows the token. Only one that was accepted: of one that may have been lost on its way, that answer
   * would say that it was never begun, which it may have been; and those are sent again anyway.
   */
  #askWhoListens(agentId: AgentId): void {
    for (const { state, token, spec } of this.#ledger.activeTasks.get(agentId) ?? []) {
      if (token === null || state !== "running") continue;
      this.#ledger.ask({ kind: "dispatchTask", taskId: spec.taskId, token });
      return;
    }
  }

  #noteHeld(silent: readonly Overdue[]): void {
    const wereHeld = this.#held.size > 0;
    const held = this.#massLoss.isSuspected ? silent.map(({ agentId }) => agentId) : [];
    this.#held = new Set(held.filter((agentId) => !hasEnded(this.#ledger.agents.get(agentId))));
    if (wereHeld || this.#held.size === 0) return;
    const message = `${this.#held.size} of ${this.#liveness.size} agents fell silent at once; they keep their work and get no new work, because it may be this orchestrator that is cut off. Look at nats-server and the network.`;
    this.#ledger.broadcast("SYSTEM_ERROR", { code: "OBSERVER_SUSPECT", message });
  }

  #lose(agent: AgentRecord, reason: string, at: number): void {
    this.#ledger.commitAgent(agent, { type: "LostThresholdPassed", at, reason });
    this.#liveness.forget(agent.agentId);
    this.#missing.forget(agent.agentId);
    const tasks = this.#work.of(agent);
    const named = tasks.slice(0, NAMED_TASKS_MAX).map((record) => record.spec.taskId);
    announceAgent(this.#ledger, "AGENT_LOST", agent, { taskIds: named, taskCount: tasks.length });
    this.#work.moveFromLost(agent, at);
  }

  /**
   * An agent id is often new with each process, so memory must not keep them all. They go before the store drops their
   * records: of an agent that memory knows and the store does not, the journal would speak without introducing it.
   */
  #forgetLongEnded(at: number): void {
    const endedBefore = at - AGENT_TOMBSTONE_MS + 2 * AGENT_SWEEP_INTERVAL_MS;
    for (const { agentId, endedAt } of [...this.#ledger.agents.values()]) {
      if (endedAt !== null && endedAt <= endedBefore) this.#ledger.forgetAgent(agentId);
    }
  }
}

const hasEnded = (agent: AgentRecord | undefined): boolean => agent?.state === "lost" || agent?.state === "gone";
