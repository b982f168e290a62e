/**
 * Ids that go from hand to hand: two processes that register under one id in turn, or one that starts and dies. None
 * of them gets work until nobody took the id for a while.
 */
import { isFlapping } from "../machines/agent.machine.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentId } from "../protocol/ids.js";
import { announceAgent } from "./agent-events.js";
import type { Instant } from "./agent-reports.js";
import type { Ledger } from "./ledger.js";
import { type CoreSettings, FLAPPING_WINDOW_HEARTBEATS } from "./settings.js";

export class AgentFlapping {
  /** Within which takeovers count, and how long it stays so after the last. */
  readonly windowMs: number;
  readonly #ledger: Ledger;
  /** On the monotonic clock. A new leader measures the whole window anew. */
  readonly #endsAt = new Map<AgentId, number>();

  constructor(ledger: Ledger, settings: CoreSettings, monotonicNow: number) {
    this.#ledger = ledger;
    this.windowMs = FLAPPING_WINDOW_HEARTBEATS * settings.heartbeatIntervalMs;
    for (const agent of ledger.agents.values()) {
      if (isFlapping(agent)) this.#endsAt.set(agent.agentId, monotonicNow + this.windowMs);
    }
  }

  /** A process took the id of another that was still there. */
  noteTakeover(agent: AgentRecord, before: "steady" | "flapping", now: Instant): void {
    const { agentId, incarnation } = agent;
    if (!isFlapping(agent)) return;
    this.#endsAt.set(agentId, now.monotonicAt + this.windowMs);
    if (before === "flapping") return;
    this.#ledger.tally.countAgent("AgentFlapping");
    announceAgent(this.#ledger, "AGENT_UNHEALTHY", agent);
    const message = `agent ${agentId} was taken over ${agent.takeovers?.length} times by another process within ${this.windowMs} ms; it gets no work until that ends. Give each process an id of its own, or see why it dies.`;
    this.#ledger.broadcast("SYSTEM_ERROR", { code: "AGENT_ID_FLAPPING", message, agentId, incarnation });
  }

  /** Lets those have work again that were left in peace. */
  check(now: Instant): void {
    for (const [agentId, endsAt] of this.#endsAt) {
      if (now.monotonicAt < endsAt) continue;
      this.#endsAt.delete(agentId);
      const agent = this.#ledger.agents.get(agentId);
      if (agent === undefined || !isFlapping(agent)) continue;
      // One that drains, or is gone, has no use for the event.
      if (this.#ledger.commitAgent(agent, { type: "FlappingEnded", at: now.at })) {
        announceAgent(this.#ledger, "AGENT_RECOVERED", agent);
      }
    }
  }
}
