/**
 * How far the audit is, as data: fed by system events (each at most once, at once) and by the system's status (complete,
 * a moment old). Where the two differ, the one that has seen more is right.
 */
import type { Client } from "perdure";
import { isEndOfTask, type ObservedEvent } from "./audit-events.js";

type SystemStatus = Awaited<ReturnType<Client["status"]>>;
type AgentState = SystemStatus["agentStatuses"][number]["state"];

/** The part of the system's status that progress is told from. */
export type ProgressStatus = Pick<
  SystemStatus,
  "queuedTaskCount" | "activeTaskCount" | "waitingTaskCount" | "backoffTaskCount" | "endedTaskCounts"
> & {
  readonly agentStatuses: readonly {
    readonly agentId: string;
    readonly state: AgentState;
    readonly activeTaskCount: number;
  }[];
};

export interface AgentProgress {
  readonly agentId: string;
  readonly state: AgentState | "killed";
  /** Tasks that ended with this agent's result. */
  readonly completed: number;
  readonly inHand: number;
}

export interface ProgressPicture {
  readonly total: number;
  readonly ended: number;
  readonly queued: number;
  readonly inHand: number;
  readonly waiting: number;
  readonly betweenAttempts: number;
  readonly agents: readonly AgentProgress[];
}

interface Watched {
  state: AgentProgress["state"];
  completed: number;
  inHand: number;
}

export class Progress {
  readonly #total: number;
  readonly #agents: Map<string, Watched>;
  /** How many end events each task had; more than one would be a task that ended twice. */
  readonly #endsOf = new Map<string, number>();
  #endedByStatus = 0;
  #counts = { queued: 0, inHand: 0, waiting: 0, betweenAttempts: 0 };

  /** `total` counts the join too. */
  constructor(total: number, agentIds: readonly string[]) {
    this.#total = total;
    this.#agents = new Map(agentIds.map((agentId) => [agentId, { state: "healthy", completed: 0, inHand: 0 }]));
  }

  noteEvent(event: ObservedEvent): void {
    const { agentId, taskId } = event;
    if (!isEndOfTask(event) || taskId === undefined) return;
    this.#endsOf.set(taskId, (this.#endsOf.get(taskId) ?? 0) + 1);
    const agent = this.#agents.get(agentId ?? "");
    if (agent !== undefined && event.type === "TASK_COMPLETED") agent.completed += 1;
  }

  noteStatus(status: ProgressStatus): void {
    this.#endedByStatus = Object.values(status.endedTaskCounts).reduce((sum, count) => sum + count, 0);
    this.#counts = {
      queued: status.queuedTaskCount,
      inHand: status.activeTaskCount,
      waiting: status.waitingTaskCount,
      betweenAttempts: status.backoffTaskCount,
    };
    for (const { agentId, state, activeTaskCount } of status.agentStatuses) {
      const agent = this.#agents.get(agentId);
      if (agent === undefined) continue;
      agent.inHand = activeTaskCount;
      // Until the orchestrator notices, it takes a dead agent for a healthy one; we know better.
      if (agent.state !== "killed" || state !== "healthy") agent.state = state;
    }
  }

  noteKilled(agentId: string): void {
    const agent = this.#agents.get(agentId);
    if (agent !== undefined) agent.state = "killed";
  }

  get ended(): number {
    return Math.max(this.#endsOf.size, this.#endedByStatus);
  }

  get endedTwice(): readonly string[] {
    return [...this.#endsOf].filter(([, ends]) => ends > 1).map(([taskId]) => taskId);
  }

  get picture(): ProgressPicture {
    return {
      total: this.#total,
      ended: this.ended,
      ...this.#counts,
      agents: [...this.#agents].map(([agentId, agent]) => ({ agentId, ...agent })),
    };
  }
}
