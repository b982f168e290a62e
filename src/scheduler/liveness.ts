/**
 * When each agent was last heard of, on the leader's monotonic clock, and what follows from its silence.
 *
 * Silence counts only while the leader itself was listening: after a start, a change of leader, a lost connection or
 * a pause of the process the observation starts anew, so that a leader that was away declares nobody lost by mistake.
 */
import type { AgentId } from "../protocol/ids.js";

export interface LivenessLimits {
  readonly unhealthyThresholdMs: number;
  readonly lostThresholdMs: number;
}

interface Sighting {
  heardAt: number;
  metrics: Readonly<Record<string, number>>;
  /** Wall clock, for people; null until heard of by this leader. */
  seenAt: number | null;
  /** Nobody listened on its subject, and nothing was heard of it since. */
  isUnreachable: boolean;
}

export type Verdict = "silent" | "lost";

export interface Overdue {
  readonly agentId: AgentId;
  readonly verdict: Verdict;
  readonly silentMs: number;
  readonly isUnreachable: boolean;
}

export class Liveness {
  readonly #limits: LivenessLimits;
  readonly #sightings = new Map<AgentId, Sighting>();
  #observingSince: number;
  readonly #nobodyLostBefore: number;

  /**
   * @param monotonicNow when the observation starts. Nobody is declared lost before twice the lost threshold from
   *   here: agents need the time to find the new leader. Unhealthy they are by then, so no work goes to the silent.
   */
  constructor(limits: LivenessLimits, monotonicNow: number) {
    this.#limits = limits;
    this.#observingSince = monotonicNow;
    this.#nobodyLostBefore = monotonicNow + 2 * limits.lostThresholdMs;
  }

  heard(agentId: AgentId, monotonicNow: number, now: number, metrics?: Readonly<Record<string, number>>): void {
    const sighting = this.#sightings.get(agentId);
    if (sighting === undefined) {
      const heard = { heardAt: monotonicNow, metrics: metrics ?? {}, seenAt: now, isUnreachable: false };
      this.#sightings.set(agentId, heard);
      return;
    }
    sighting.heardAt = monotonicNow;
    sighting.isUnreachable = false;
    sighting.seenAt = now;
    if (metrics !== undefined) sighting.metrics = metrics;
  }

  /** Starts watching an agent that this leader knows from the store only. */
  watch(agentId: AgentId, monotonicNow: number): void {
    if (!this.#sightings.has(agentId)) {
      this.#sightings.set(agentId, { heardAt: monotonicNow, metrics: {}, seenAt: null, isUnreachable: false });
    }
  }

  /** The server says that nobody listens on its subject. */
  unreachable(agentId: AgentId): void {
    const sighting = this.#sightings.get(agentId);
    if (sighting !== undefined) sighting.isUnreachable = true;
  }

  forget(agentId: AgentId): void {
    this.#sightings.delete(agentId);
  }

  /** The observer was away and is back: whoever was silent meanwhile may have spoken. */
  resume(monotonicNow: number): void {
    this.#observingSince = Math.max(this.#observingSince, monotonicNow);
  }

  /** Agents that are watched. */
  get size(): number {
    return this.#sightings.size;
  }

  seenAt(agentId: AgentId): number | null {
    return this.#sightings.get(agentId)?.seenAt ?? null;
  }

  metricsOf(agentId: AgentId): Readonly<Record<string, number>> {
    return this.#sightings.get(agentId)?.metrics ?? {};
  }

  /** Agents whose silence has passed a limit. */
  *overdue(monotonicNow: number): Generator<Overdue> {
    for (const [agentId, sighting] of this.#sightings) {
      const { isUnreachable } = sighting;
      const silentMs = monotonicNow - Math.max(sighting.heardAt, this.#observingSince);
      const mayBeLost = monotonicNow >= this.#nobodyLostBefore;
      if (mayBeLost && silentMs >= this.#limits.lostThresholdMs)
        yield { agentId, verdict: "lost", silentMs, isUnreachable };
      else if (silentMs >= this.#limits.unhealthyThresholdMs)
        yield { agentId, verdict: "silent", silentMs, isUnreachable };
    }
  }

  /** How many were heard of within `withinMs`, or are otherwise known to be active. */
  countActive(monotonicNow: number, withinMs: number, isActive: (agentId: AgentId) => boolean): number {
    let count = 0;
    for (const [agentId, { heardAt, isUnreachable }] of this.#sightings) {
      if (!isUnreachable && (monotonicNow - heardAt < withinMs || isActive(agentId))) count += 1;
    }
    return count;
  }
}
