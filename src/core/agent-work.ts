/** Work that leaves its agent otherwise than by a result: the agent was lost, replaced, or does not have it any more. */
import type { TaskEvent } from "../machines/task.machine.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { Failure } from "../protocol/failure.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { Ledger } from "./ledger.js";
import type { Chance } from "./settings.js";

export class AgentWork {
  readonly #ledger: Ledger;
  readonly #chance: Chance;

  constructor(ledger: Ledger, chance: Chance) {
    this.#ledger = ledger;
    this.#chance = chance;
  }

  /** What the agent has in hand, as far as the engine knows. */
  of({ agentId }: AgentRecord): readonly TaskRecord[] {
    return [...(this.#ledger.activeTasks.get(agentId) ?? [])];
  }

  /** The agent fell silent. */
  moveFromLost(agent: AgentRecord, at: number): void {
    for (const record of this.of(agent)) this.#move(record, this.#lossOf(record, agent, at));
  }

  /** Another process has the agent's id, or it said goodbye. */
  moveFromReplaced(agent: AgentRecord, incarnation: number, at: number): void {
    for (const record of this.of(agent)) {
      if (record.incarnation === incarnation) this.#move(record, replaced(record, at));
    }
  }

  /** The agent lives on without this attempt. */
  moveMissing(agent: AgentRecord, record: TaskRecord, at: number): void {
    const { attempt, spec } = record;
    const message = `agent ${agent.agentId} lives but has not had attempt ${attempt} of task ${spec.taskId} for a while`;
    this.#move(record, { type: "AgentReplaced", at, failure: { type: "ATTEMPT_LOST", message } });
  }

  /** Takes up the work that a crash left with an incarnation that is gone by now. */
  moveOrphans(at: number): void {
    for (const [agentId, tasks] of this.#ledger.activeTasks) {
      const agent = this.#ledger.agents.get(agentId);
      for (const record of tasks) {
        const isCurrent = agent !== undefined && agent.incarnation === record.incarnation;
        if (isCurrent && agent.state !== "lost" && agent.state !== "gone") continue;
        // The loss itself was recorded, so this is not a takeover: it counts towards poison and waits its delay.
        const wasLost = isCurrent && agent.state === "lost";
        this.#move(record, wasLost ? this.#lossOf(record, agent, at) : replaced(record, at));
      }
    }
  }

  #lossOf(record: TaskRecord, agent: AgentRecord, at: number): Extract<TaskEvent, { type: "AgentLost" }> {
    const failure: Failure = {
      type: "AGENT_LOST",
      message: `agent ${agent.agentId} was lost (${agent.reason}) with attempt ${record.attempt} of task ${record.spec.taskId}`,
    };
    const jitterMs = Math.round(this.#chance.random() * 0.1 * record.spec.retry.initialIntervalMs);
    return { type: "AgentLost", at, failure, jitterMs };
  }

  /** Each task moves as a decision of its own: a large agent's loss must not outgrow a journal message. */
  #move(record: TaskRecord, event: TaskEvent): void {
    if (record.token === null) throw new Error(`task ${record.spec.taskId} is ${record.state} without a token`);
    this.#ledger.addFollowUp({ kind: "moveTask", taskId: record.spec.taskId, token: record.token, event });
  }
}

function replaced(record: TaskRecord, at: number): Extract<TaskEvent, { type: "AgentReplaced" }> {
  const message = `the process of agent ${record.agentId} that had attempt ${record.attempt} of task ${record.spec.taskId} is gone`;
  return { type: "AgentReplaced", at, failure: { type: "AGENT_SUPERSEDED", message } };
}
