/**
 * Gives tasks that could start to agents with a free place, the most urgent task first.
 *
 * Only lines that may have such an agent are looked at: those that are new, and those that somebody who became free can
 * serve. What waits for agents that are not there costs nothing, however much of it there is.
 */
import type { TaskRecord } from "../protocol/task-record.js";
import { goesFirst } from "../scheduler/pick-task.js";
import type { Line } from "../scheduler/ready-queue.js";
import { isInternal, type Ledger } from "./ledger.js";
import type { Workflows } from "./run/workflows.js";
import { ANSWER_TIMEOUT_MS, type Chance, type CoreSettings } from "./settings.js";

export class Placement {
  readonly #ledger: Ledger;
  readonly #settings: CoreSettings;
  readonly #chance: Chance;
  readonly #workflows: Workflows;
  /** Every line that an agent with a free place can serve is in it, and perhaps others. */
  readonly #open = new Set<Line>();

  constructor(ledger: Ledger, settings: CoreSettings, chance: Chance, workflows: Workflows) {
    this.#workflows = workflows;
    this.#ledger = ledger;
    this.#settings = settings;
    this.#chance = chance;
  }

  /** Tasks that may still start under the limit on concurrent tasks. */
  get headroom(): number {
    const { maxConcurrentTasks } = this.#settings;
    return maxConcurrentTasks === 0 ? Number.POSITIVE_INFINITY : maxConcurrentTasks - this.#ledger.activeCount;
  }

  /**
   * Assigns until tasks, agents or headroom run out, or `most` were assigned. Calls `afterEach` behind every assignment,
   * so that each is a decision of its own.
   */
  placeSome(at: number, most: number, afterEach: () => void): void {
    const { queue, pool } = this.#ledger;
    for (const line of queue.takeFresh()) this.#open.add(line);
    for (const capabilities of pool.takeOpened()) {
      for (const line of queue.servedBy(capabilities)) this.#open.add(line);
    }
    for (let assigned = 0; assigned < most && this.#open.size > 0; ) {
      const next = this.#next(at);
      if (next === undefined) return;
      const { line, record } = next;
      const agentId = this.#agentFor(record);
      if (agentId === undefined) {
        // An agent that just became full served other lines too.
        for (const each of this.#open) if (pool.choose(each.capabilities) === undefined) this.#open.delete(each);
        continue;
      }
      const agent = this.#ledger.agents.get(agentId);
      if (agent === undefined) throw new Error(`agent ${agentId} is in the pool but has no record`);
      queue.takeFirst(line, record);
      if (this.#workflows.isActivation(record)) this.#workflows.beforeActivation(record, at);
      this.#ledger.commitTask(record, {
        type: "Assigned",
        at,
        agentId,
        incarnation: agent.incarnation,
        token: this.#chance.newToken(),
        answerBy: at + ANSWER_TIMEOUT_MS,
      });
      afterEach();
      assigned += 1;
    }
  }

  /** The most urgent task of the open lines; lines that have come to their end are taken out. */
  #next(at: number): { readonly line: Line; readonly record: TaskRecord } | undefined {
    let best: { line: Line; record: TaskRecord } | undefined;
    for (const line of this.#open) {
      const record = line.first(at);
      if (record === undefined) this.#open.delete(line);
      // Activations and steps take a worker's time for a moment: a limit full of long tasks must not hold up what waits
      // for their ends.
      else if (this.headroom <= 0 && !isInternal(record)) continue;
      else if (best === undefined || goesFirst(record, best.record, at)) best = { line, record };
    }
    return best;
  }

  /** The preferred agent if it can take the task now, else the least loaded one that can. */
  #agentFor(record: TaskRecord) {
    const { requiredCapabilities } = record.spec;
    const preferredAgentId = record.spec.preferredAgentId ?? this.#workflows.dispatch.stickyAgentOf(record);
    // An agent that never answers is the least loaded one for ever; it would be given every attempt there is.
    const avoid = record.failure?.type === "TASK_NOT_ACCEPTED" ? record.agentId : null;
    if (
      preferredAgentId !== undefined &&
      preferredAgentId !== avoid &&
      this.#ledger.pool.isFree(preferredAgentId, requiredCapabilities)
    )
      return preferredAgentId;
    return this.#ledger.pool.choose(requiredCapabilities, avoid);
  }
}
