/** Gives tasks that could start to agents with a free place, the most urgent task first. */
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
   * Assigns until tasks, agents or headroom run out. Calls `afterEach` behind every assignment, so that each is a
   * decision of its own.
   */
  placeAll(at: number, afterEach: () => void): void {
    if (this.#ledger.queue.size === 0) return;
    const open = new Set<Line>();
    for (const line of this.#ledger.queue.lines()) {
      if (this.#ledger.pool.choose(line.capabilities) !== undefined) open.add(line);
    }
    while (open.size > 0) {
      const next = firstOf(open, at);
      if (next === undefined) return;
      const { line, record } = next;
      // Activations and steps take a worker's time for a moment: a limit full of long tasks must not hold up what waits
      // for their ends.
      if (this.headroom <= 0 && !isInternal(record)) {
        open.delete(line);
        continue;
      }
      const agentId = this.#agentFor(record);
      if (agentId === undefined) {
        open.delete(line);
        continue;
      }
      const agent = this.#ledger.agents.get(agentId);
      if (agent === undefined) throw new Error(`agent ${agentId} is in the pool but has no record`);
      this.#ledger.queue.takeFirst(line, record);
      if (this.#workflows.isActivation(record)) this.#workflows.beforeActivation(record, at);
      this.#ledger.commitTask(record, {
        type: "Assigned",
        at,
        agentId,
        incarnation: agent.incarnation,
        token: this.#chance.newToken(),
        answerBy: at + ANSWER_TIMEOUT_MS,
      });
      if (line.size === 0) open.delete(line);
      afterEach();
    }
  }

  /** The preferred agent if it can take the task now, else the least loaded one that can. */
  #agentFor(record: TaskRecord) {
    const { requiredCapabilities } = record.spec;
    const preferredAgentId = record.spec.preferredAgentId ?? this.#workflows.stickyAgentOf(record);
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

function firstOf(lines: ReadonlySet<Line>, at: number): { line: Line; record: TaskRecord } | undefined {
  let best: { line: Line; record: TaskRecord } | undefined;
  for (const line of lines) {
    const record = line.first(at);
    if (record !== undefined && (best === undefined || goesFirst(record, best.record, at))) best = { line, record };
  }
  return best;
}
