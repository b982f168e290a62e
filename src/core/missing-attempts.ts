/**
 * Attempts that their agent accepted and its heartbeats leave out. An agent may live on without one: its result was
 * unreadable, or a zombie took it and died.
 */
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentId } from "../protocol/ids.js";
import type { AgentWork } from "./agent-work.js";
import type { CoreSettings } from "./settings.js";

export class MissingAttempts {
  readonly #work: AgentWork;
  readonly #limitMs: number;
  /** By agent and token: since when, on the monotonic clock. */
  readonly #since = new Map<AgentId, Map<string, number>>();

  constructor(work: AgentWork, settings: CoreSettings) {
    this.#work = work;
    this.#limitMs = settings.unhealthyThresholdMs;
  }

  /** @param tokens of all attempts that the agent says it has */
  check(
    agent: AgentRecord,
    tokens: readonly string[],
    now: { readonly at: number; readonly monotonicAt: number },
  ): void {
    const before = this.#since.get(agent.agentId);
    this.#since.delete(agent.agentId);
    const held = new Set(tokens);
    const missing = new Map<string, number>();
    for (const record of this.#work.of(agent)) {
      const { token, state } = record;
      if (token === null || state !== "running" || held.has(token)) continue;
      const since = before?.get(token) ?? now.monotonicAt;
      if (now.monotonicAt - since < this.#limitMs) missing.set(token, since);
      else this.#work.moveMissing(agent, record, now.at);
    }
    if (missing.size > 0) this.#since.set(agent.agentId, missing);
  }

  forget(agentId: AgentId): void {
    this.#since.delete(agentId);
  }
}
