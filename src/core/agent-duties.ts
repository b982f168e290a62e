/** What follows from what agents say, and from what they do not say. */
import type { TaskEvent } from "../machines/task.machine.js";
import type { AgentRegistration, AgentReport, HeartbeatMessage, TaskResult } from "../protocol/agent-message.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { Failure } from "../protocol/failure.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { Liveness } from "../scheduler/liveness.js";
import type { Ledger } from "./ledger.js";
import { isOfAttempt, type ResultVerdict, screenResult } from "./result-screen.js";
import type { Workflows } from "./run/workflows.js";
import {
  AGENT_SWEEP_INTERVAL_MS,
  AGENT_TOMBSTONE_MS,
  type Chance,
  type CoreSettings,
  RELEASE_DELAY_MS,
} from "./settings.js";

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

/** Task ids that the event of a lost agent names: all of a large agent's would not fit into a message. */
const NAMED_TASKS_MAX = 1_000;

export class AgentDuties {
  readonly #ledger: Ledger;
  readonly #liveness: Liveness;
  readonly #chance: Chance;
  /** On the monotonic clock. */
  #sweepAt = 0;
  /** Attempts that their agent's heartbeats leave out: since when, on the monotonic clock. */
  readonly #missingSince = new Map<AgentId, Map<string, number>>();
  readonly #missingLimitMs: number;
  readonly #workflows: Workflows;

  constructor(ledger: Ledger, liveness: Liveness, chance: Chance, settings: CoreSettings, workflows: Workflows) {
    this.#workflows = workflows;
    this.#missingLimitMs = settings.unhealthyThresholdMs;
    this.#ledger = ledger;
    this.#liveness = liveness;
    this.#chance = chance;
  }

  /** Takes up an agent; a new process under a known id is a new incarnation and its predecessor's work moves at once. */
  register(registration: AgentRegistration, now: Instant): AgentRecord {
    const { agentId } = registration;
    this.#liveness.heard(agentId, now.monotonicAt, now.at);
    const instanceId = registration.instanceId ?? this.#chance.newToken();
    const known = this.#ledger.agents.get(agentId);
    if (known === undefined) {
      const record: AgentRecord = {
        agentId,
        state: "healthy",
        instanceId,
        incarnation: 1,
        capabilities: registration.capabilities,
        maxConcurrentTasks: registration.maxConcurrentTasks,
        metadata: registration.metadata ?? null,
        registeredAt: now.at,
        reason: null,
        endedAt: null,
      };
      this.#ledger.addAgent(record, now.at);
      this.#announce("AGENT_REGISTERED", record);
      return record;
    }
    const ended = known.state === "lost" || known.state === "gone";
    if (!ended && known.instanceId === instanceId) {
      const wasUnhealthy = known.state === "unhealthy";
      this.#ledger.commitAgent(known, { type: "RegisteredAgain", at: now.at, registration });
      if (wasUnhealthy) this.#announce("AGENT_RECOVERED", known);
      return known;
    }
    const predecessor = known.incarnation;
    this.#ledger.commitAgent(known, { type: "Replaced", at: now.at, registration, instanceId });
    if (!ended) this.#moveWork(known, predecessor, now.at);
    this.#announce("AGENT_REGISTERED", known);
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
    if (message.tokens !== undefined && message.incarnation === incarnation)
      this.#checkHeld(record, message.tokens, now);
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
      if (agent.state !== before) this.#announce("AGENT_DRAINING", agent);
      return;
    }
    if (report.state === "idle") {
      // The last word of an agent that drains; from any other it says nothing that the engine does not know.
      if (agent.state === "draining") this.#depart(agent, now.at);
      return;
    }
    const record = report.taskId === undefined ? undefined : this.#ledger.tasks.get(report.taskId);
    if (record === undefined || !isOfAttempt(record, report, sender, agent)) return;
    switch (report.state) {
      case "accepted":
        this.#ledger.commitTask(record, { type: "Accepted", at: now.at });
        break;
      case "progress":
        this.#ledger.commitTask(record, { type: "Progressed", at: now.at, progress: report.progress ?? null });
        break;
      case "released": {
        // A draining agent is not asked again; one that merely is full would be, at once and for ever.
        const delayMs = agent.state === "healthy" ? RELEASE_DELAY_MS : 0;
        this.#ledger.commitTask(record, { type: "Released", at: now.at, delayMs });
        break;
      }
    }
  }

  result(sender: AgentId, result: TaskResult, now: Instant): ResultVerdict {
    const record = this.#ledger.tasks.get(result.taskId);
    const verdict = screenResult(record, result, sender, this.#ledger.agents.get(sender));
    if (verdict.kind === "refused") {
      const { taskId, attempt } = result;
      this.#ledger.broadcast("RESULT_REFUSED", {
        taskId,
        agentId: sender,
        attempt,
        code: verdict.code,
        message: verdict.message,
      });
    }
    if (verdict.kind === "current" && record !== undefined) this.#apply(record, result, now.at);
    return verdict;
  }

  /** Nobody listened on an agent's subject when this attempt was sent. */
  undeliverable(taskId: TaskId, token: string, now: Instant): void {
    const record = this.#ledger.tasks.get(taskId);
    if (record === undefined || record.token !== token || record.agentId === null) return;
    const agent = this.#ledger.agents.get(record.agentId);
    if (agent !== undefined && agent.incarnation === record.incarnation) {
      const reason = "nobody listens on its subject: its process or its connection is gone";
      const wasHealthy = agent.state === "healthy";
      this.#ledger.commitAgent(agent, { type: "Undeliverable", at: now.at, reason });
      if (wasHealthy) this.#announce("AGENT_UNHEALTHY", agent);
    }
    this.#ledger.commitTask(record, { type: "Undeliverable", at: now.at });
  }

  /** Draws the consequences of silence. */
  checkSilence(now: Instant): void {
    if (now.monotonicAt >= this.#sweepAt) {
      this.#sweepAt = now.monotonicAt + AGENT_SWEEP_INTERVAL_MS;
      this.#forgetLongEnded(now.at);
    }
    for (const { agentId, verdict, silentMs } of [...this.#liveness.overdue(now.monotonicAt)]) {
      const agent = this.#ledger.agents.get(agentId);
      if (agent === undefined || agent.state === "lost" || agent.state === "gone") {
        this.#liveness.forget(agentId);
        continue;
      }
      const reason = `no heartbeat for ${(silentMs / 1000).toFixed(1)} s`;
      if (verdict === "lost") this.#lose(agent, reason, now.at);
      else if (agent.state === "healthy") {
        this.#ledger.commitAgent(agent, { type: "Silent", at: now.at, reason });
        this.#announce("AGENT_UNHEALTHY", agent);
      }
    }
  }

  /** Takes up the work that a crash left with an incarnation that is gone by now. */
  moveOrphans(at: number): void {
    for (const [agentId, tasks] of this.#ledger.activeTasks) {
      const agent = this.#ledger.agents.get(agentId);
      for (const record of tasks) {
        if (
          agent !== undefined &&
          agent.incarnation === record.incarnation &&
          agent.state !== "lost" &&
          agent.state !== "gone"
        ) {
          continue;
        }
        // The loss itself was recorded, so this is not a takeover: it counts towards poison and waits its delay.
        const wasLost = agent?.state === "lost" && agent.incarnation === record.incarnation;
        this.#move(
          record,
          wasLost ? this.#lossOf(record, agent, at) : { type: "AgentReplaced", at, failure: replacedFailure(record) },
        );
      }
    }
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

  /** An agent may live on without an attempt it had accepted: its result was unreadable, or a zombie took it and died. */
  #checkHeld(agent: AgentRecord, tokens: readonly string[], now: Instant): void {
    const { agentId } = agent;
    const missingBefore = this.#missingSince.get(agentId);
    this.#missingSince.delete(agentId);
    const held = new Set(tokens);
    const missing = new Map<string, number>();
    for (const record of this.#ledger.activeTasks.get(agentId) ?? []) {
      const { token, state, spec, attempt } = record;
      if (token === null || state !== "running" || held.has(token)) continue;
      const since = missingBefore?.get(token) ?? now.monotonicAt;
      if (now.monotonicAt - since < this.#missingLimitMs) {
        missing.set(token, since);
        continue;
      }
      const message = `agent ${agentId} lives but has not had attempt ${attempt} of task ${spec.taskId} for a while`;
      this.#move(record, { type: "AgentReplaced", at: now.at, failure: { type: "ATTEMPT_LOST", message } });
    }
    if (missing.size > 0) this.#missingSince.set(agentId, missing);
  }

  #lose(agent: AgentRecord, reason: string, at: number): void {
    this.#ledger.commitAgent(agent, { type: "LostThresholdPassed", at, reason });
    this.#liveness.forget(agent.agentId);
    this.#missingSince.delete(agent.agentId);
    const tasks = [...(this.#ledger.activeTasks.get(agent.agentId) ?? [])];
    const named = tasks.slice(0, NAMED_TASKS_MAX).map((record) => record.spec.taskId);
    this.#announce("AGENT_LOST", agent, { taskIds: named, taskCount: tasks.length });
    for (const record of tasks) this.#move(record, this.#lossOf(record, agent, at));
  }

  #lossOf(record: TaskRecord, agent: AgentRecord, at: number): Extract<TaskEvent, { type: "AgentLost" }> {
    const failure: Failure = {
      type: "AGENT_LOST",
      message: `agent ${agent.agentId} was lost (${agent.reason}) with attempt ${record.attempt} of task ${record.spec.taskId}`,
    };
    const jitterMs = Math.round(this.#chance.random() * 0.1 * record.spec.retry.initialIntervalMs);
    return { type: "AgentLost", at, failure, jitterMs };
  }

  #depart(agent: AgentRecord, at: number): void {
    const { incarnation } = agent;
    this.#ledger.commitAgent(agent, { type: "Departed", at });
    this.#liveness.forget(agent.agentId);
    this.#moveWork(agent, incarnation, at);
    this.#announce("AGENT_GONE", agent);
  }

  #recover(agent: AgentRecord, at: number): void {
    this.#ledger.commitAgent(agent, { type: "Heard", at });
    this.#announce("AGENT_RECOVERED", agent);
  }

  #moveWork(agent: AgentRecord, incarnation: number, at: number): void {
    for (const record of [...(this.#ledger.activeTasks.get(agent.agentId) ?? [])]) {
      if (record.incarnation !== incarnation) continue;
      this.#move(record, { type: "AgentReplaced", at, failure: replacedFailure(record) });
    }
  }

  /** Each task moves as a decision of its own: a large agent's loss must not outgrow a journal message. */
  #move(record: TaskRecord, event: TaskEvent): void {
    if (record.token === null) throw new Error(`task ${record.spec.taskId} is ${record.state} without a token`);
    this.#ledger.addFollowUp({ kind: "moveTask", taskId: record.spec.taskId, token: record.token, event });
  }

  #apply(record: TaskRecord, result: TaskResult, at: number): void {
    if (this.#workflows.isActivation(record)) {
      this.#workflows.answer(record, result, at);
      return;
    }
    const usage = result.usage ?? null;
    switch (result.status) {
      case "completed":
        this.#ledger.commitTask(record, { type: "AttemptCompleted", at, output: result.output ?? null, usage });
        return;
      case "failed": {
        const failure = result.error ?? { type: "UNKNOWN", message: "the agent gave no reason" };
        this.#ledger.commitTask(record, { type: "AttemptFailed", at, failure, usage });
        return;
      }
      case "cancelled":
        if (record.state === "cancelling") {
          this.#ledger.commitTask(record, { type: "AttemptCancelled", at, usage });
        } else {
          // Nobody asked for it: the work is not done, and saying so must not make it unlimited.
          const failure = {
            type: "CANCELLED_BY_AGENT",
            message: `agent ${record.agentId} stopped without being asked to`,
          };
          this.#ledger.commitTask(record, { type: "AttemptFailed", at, failure, usage });
        }
    }
  }

  #announce(
    eventType:
      | "AGENT_REGISTERED"
      | "AGENT_UNHEALTHY"
      | "AGENT_RECOVERED"
      | "AGENT_LOST"
      | "AGENT_DRAINING"
      | "AGENT_GONE",
    agent: AgentRecord,
    more: Record<string, unknown> = {},
  ): void {
    const { agentId, incarnation, reason } = agent;
    this.#ledger.broadcast(eventType, { agentId, incarnation, ...(reason === null ? {} : { reason }), ...more });
  }
}

const replacedFailure = (record: TaskRecord): Failure => ({
  type: "AGENT_SUPERSEDED",
  message: `the process of agent ${record.agentId} that had attempt ${record.attempt} of task ${record.spec.taskId} is gone`,
});
