/** What follows from what agents say: registrations, heartbeats, statuses, and that the server says nobody listens. */
import { isFlapping } from "../machines/agent.machine.js";
import type { AgentRegistration, AgentReport, HeartbeatMessage } from "../protocol/agent-message.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import type { Liveness } from "../scheduler/liveness.js";
import { announceAgent } from "./agent-events.js";
import type { AgentFlapping } from "./agent-flapping.js";
import type { AgentWork } from "./agent-work.js";
import type { Ledger } from "./ledger.js";
import type { MissingAttempts } from "./missing-attempts.js";
import { isOfAttempt } from "./result-screen.js";
import { type Chance, RELEASE_DELAY_MS } from "./settings.js";

/** The instants of one event: the wall clock for records, the monotonic one for liveness. */
export interface Instant {
  readonly at: number;
  readonly monotonicAt: number;
}

export interface HeartbeatAnswer {
  readonly state: "registered" | "reregister" | "superseded";
  /** The incarnation that the answer is about: for `superseded` the one that was replaced; null where none is known. */
  readonly incarnation: number | null;
  /** Of the tokens the agent named: those it should stop working on. */
  readonly cancel: readonly string[];
}

export class AgentReports {
  readonly #ledger: Ledger;
  readonly #liveness: Liveness;
  readonly #chance: Chance;
  readonly #work: AgentWork;
  readonly #missing: MissingAttempts;
  readonly #flapping: AgentFlapping;

  constructor(parts: {
    readonly ledger: Ledger;
    readonly liveness: Liveness;
    readonly chance: Chance;
    readonly work: AgentWork;
    readonly missing: MissingAttempts;
    readonly flapping: AgentFlapping;
  }) {
    this.#ledger = parts.ledger;
    this.#liveness = parts.liveness;
    this.#chance = parts.chance;
    this.#work = parts.work;
    this.#missing = parts.missing;
    this.#flapping = parts.flapping;
  }

  /** Takes up an agent; a new process under a known id is a new incarnation and its predecessor's work moves at once. */
  register(registration: AgentRegistration, now: Instant): AgentRecord {
    const { agentId } = registration;
    this.#liveness.heard(agentId, now.monotonicAt, now.at);
    const instanceId = registration.instanceId ?? this.#chance.newToken();
    const known = this.#ledger.agents.get(agentId);
    if (known === undefined) return this.#addNew(registration, instanceId, now.at);
    const ended = known.state === "lost" || known.state === "gone";
    if (!ended && known.instanceId === instanceId) {
      const before = known.state;
      this.#ledger.commitAgent(known, { type: "RegisteredAgain", at: now.at, registration });
      if (before !== known.state) announceAgent(this.#ledger, "AGENT_RECOVERED", known);
      return known;
    }
    const predecessor = known.incarnation;
    const before = isFlapping(known) ? "flapping" : "steady";
    const { windowMs: flappingWindowMs } = this.#flapping;
    this.#ledger.commitAgent(known, { type: "Replaced", at: now.at, registration, instanceId, flappingWindowMs });
    if (!ended) this.#work.moveFromReplaced(known, predecessor, now.at);
    announceAgent(this.#ledger, "AGENT_REGISTERED", known);
    this.#flapping.noteTakeover(known, before, now);
    return known;
  }

  /** Returns the order that answers a heartbeat, and which of its attempts the agent should stop. */
  heartbeat(sender: AgentId, message: HeartbeatMessage, now: Instant): HeartbeatAnswer {
    const record = this.#ledger.agents.get(sender);
    const tokens = message.tokens ?? [];
    if (record === undefined) return { state: "reregister", incarnation: null, cancel: tokens };
    const { incarnation } = record;
    if (message.incarnation !== undefined && message.incarnation < incarnation) {
      return { state: "superseded", incarnation: message.incarnation, cancel: tokens };
    }
    if (record.state === "lost" || record.state === "gone") {
      return { state: "reregister", incarnation, cancel: tokens };
    }
    this.#liveness.heard(sender, now.monotonicAt, now.at, message.metrics);
    if (record.state === "unhealthy") this.#recover(record, now.at);
    if (message.tokens !== undefined && message.incarnation === incarnation) {
      this.#missing.check(record, message.tokens, now);
    }
    if (tokens.length === 0) return { state: "registered", incarnation, cancel: [] };
    const current = new Set<string | null>();
    for (const task of this.#ledger.activeTasks.get(sender) ?? []) current.add(task.token);
    return { state: "registered", incarnation, cancel: tokens.filter((token) => !current.has(token)) };
  }

  report(sender: AgentId, report: AgentReport, now: Instant): void {
    const agent = this.#ledger.agents.get(sender);
    if (agent === undefined || report.agentId !== sender) return;
    if (report.incarnation !== undefined && report.incarnation !== agent.incarnation) return;
    if (report.state === "draining") {
      const before = agent.state;
      this.#ledger.commitAgent(agent, { type: "DrainStarted", at: now.at });
      if (agent.state !== before) announceAgent(this.#ledger, "AGENT_DRAINING", agent);
      return;
    }
    if (report.state === "idle") {
      // The last word of an agent that drains; from any other it says nothing that the engine does not know.
      if (agent.state === "draining") this.#depart(agent, now.at);
      return;
    }
    this.#reportOfAttempt(agent, report, now.at);
  }

  /** Nobody listened on an agent's subject when this attempt was sent. */
  undeliverable(taskId: TaskId, token: string, now: Instant): void {
    const record = this.#ledger.tasks.get(taskId);
    if (record === undefined || record.token !== token || record.agentId === null) return;
    const agent = this.#ledger.agents.get(record.agentId);
    if (agent !== undefined && agent.incarnation === record.incarnation) {
      this.#liveness.unreachable(agent.agentId);
      const reason = "nobody listens on its subject: its process or its connection is gone";
      const wasHealthy = agent.state === "healthy";
      this.#ledger.commitAgent(agent, { type: "Undeliverable", at: now.at, reason });
      if (wasHealthy) announceAgent(this.#ledger, "AGENT_UNHEALTHY", agent);
    }
    this.#ledger.commitTask(record, { type: "Undeliverable", at: now.at });
  }

  #addNew({ agentId, ...registration }: AgentRegistration, instanceId: string, at: number): AgentRecord {
    const record: AgentRecord = {
      agentId,
      state: "healthy",
      instanceId,
      incarnation: 1,
      capabilities: registration.capabilities,
      maxConcurrentTasks: registration.maxConcurrentTasks,
      metadata: registration.metadata ?? null,
      registeredAt: at,
      reason: null,
      endedAt: null,
    };
    this.#ledger.addAgent(record, at);
    announceAgent(this.#ledger, "AGENT_REGISTERED", record);
    return record;
  }

  #reportOfAttempt(agent: AgentRecord, report: AgentReport, at: number): void {
    const record = report.taskId === undefined ? undefined : this.#ledger.tasks.get(report.taskId);
    if (record === undefined || !isOfAttempt(record, report, agent.agentId, agent)) return;
    if (report.state === "accepted") {
      this.#ledger.commitTask(record, { type: "Accepted", at });
    } else if (report.state === "progress") {
      this.#ledger.commitTask(record, { type: "Progressed", at, progress: report.progress ?? null });
    } else {
      // A draining agent is not asked again; one that merely is full would be, at once and for ever.
      const delayMs = agent.state === "healthy" ? RELEASE_DELAY_MS : 0;
      this.#ledger.commitTask(record, { type: "Released", at, delayMs });
    }
  }

  #depart(agent: AgentRecord, at: number): void {
    const { incarnation } = agent;
    this.#ledger.commitAgent(agent, { type: "Departed", at });
    this.#liveness.forget(agent.agentId);
    this.#missing.forget(agent.agentId);
    this.#work.moveFromReplaced(agent, incarnation, at);
    announceAgent(this.#ledger, "AGENT_GONE", agent);
  }

  #recover(agent: AgentRecord, at: number): void {
    this.#ledger.commitAgent(agent, { type: "Heard", at });
    if (agent.state === "healthy") announceAgent(this.#ledger, "AGENT_RECOVERED", agent);
  }
}
