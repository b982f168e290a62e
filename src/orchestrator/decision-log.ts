/**
 * What the core decided, for the log: about agents from info on, about tasks at debug. A line is written when its
 * decision is on disk, with the journal sequence it is at; what was never written to the journal never happened.
 */
import type { Outbox } from "../core/ledger.js";
import { type Logger, SampledLog } from "../logger.js";
import { isFlapping } from "../machines/agent.machine.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentFactType, Fact, TaskFactType } from "../protocol/fact.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { OnDurable } from "./commit-loop.js";

/** Where decisions are looked up that a fact tells half of. */
export interface DecidedRecords {
  readonly tasks: ReadonlyMap<TaskId, TaskRecord>;
  readonly agents: ReadonlyMap<AgentId, AgentRecord>;
  readonly activeTasks: ReadonlyMap<AgentId, ReadonlySet<TaskRecord>>;
}

type Write = (sequence: number) => void;

const taskMessages: Readonly<Record<TaskFactType | "TaskSubmitted" | "TaskRetained", string>> = {
  TaskSubmitted: "task submitted",
  TaskRetained: "ended task kept for one that depends on it",
  TaskReady: "task could start",
  TaskAssigned: "task assigned",
  TaskAccepted: "task accepted by its agent",
  TaskResent: "assignment sent again",
  TaskProgressed: "task progressed",
  TaskReleased: "task back in the queue; its attempt does not count",
  TaskAttemptFailed: "attempt failed; the task is tried again",
  TaskCancelRequested: "task told to stop",
  TaskCompleted: "task completed",
  TaskFailed: "task failed",
  TaskCancelled: "task cancelled",
  TaskTimedOut: "task timed out",
  TaskTerminated: "workflow terminated",
  TaskOpened: "workflow started",
  TaskBegun: "step begun by its worker",
};

export class DecisionLog {
  readonly #logger: Logger;
  readonly #records: DecidedRecords;
  readonly #agentLines: Readonly<Record<AgentFactType, SampledLog>>;
  readonly #replaced: SampledLog;
  readonly #flapping: SampledLog;
  readonly #runWarnings: ReadonlyMap<string, SampledLog>;

  constructor(logger: Logger, records: DecidedRecords) {
    this.#logger = logger;
    this.#records = records;
    // A whole fleet may come and go at once.
    this.#agentLines = {
      AgentRegistered: new SampledLog(logger, "info", "agent registered"),
      AgentUnhealthy: new SampledLog(logger, "info", "agent unhealthy; it gets no new work"),
      AgentRecovered: new SampledLog(logger, "info", "agent recovered"),
      AgentDraining: new SampledLog(logger, "info", "agent drains"),
      AgentLost: new SampledLog(logger, "warn", "agent lost; its work goes to others"),
      AgentGone: new SampledLog(logger, "info", "agent said goodbye"),
    };
    this.#runWarnings = new Map([
      [
        "WORKFLOW_STUCK",
        new SampledLog(logger, "warn", "a run cannot go on; it is tried again, and when a worker registers"),
      ],
      [
        "WORKFLOW_HISTORY_LARGE",
        new SampledLog(logger, "warn", "a run's history grows long; it should continue as new"),
      ],
    ]);
    this.#flapping = new SampledLog(logger, "error", "agent id goes from process to process; it gets no work");
    this.#replaced = new SampledLog(
      logger,
      "info",
      "agent replaced by a new process; the old one's work goes to others",
    );
  }

  /** What to write once the decision is on disk; null where nobody would read it. */
  linesOf({ facts, effects }: Outbox): OnDurable | null {
    const tellsTasks = this.#logger.isLevelEnabled("debug");
    let lines: Write[] | null = null;
    for (const fact of facts) {
      const line = isAboutAgent(fact) ? this.#agentLine(fact) : tellsTasks ? this.#lineOf(fact) : null;
      if (line === null) continue;
      lines ??= [];
      lines.push(line);
    }
    for (const effect of effects) {
      const log = effect.kind === "broadcastEvent" ? this.#runWarnings.get(effect.eventType) : undefined;
      if (log === undefined || effect.kind !== "broadcastEvent") continue;
      const { taskId: workflowId, runId, error, events } = effect.payload;
      lines ??= [];
      lines.push((sequence) =>
        log.write({ workflowId, runId, events, code: Object(error).type, reason: Object(error).message, sequence }),
      );
    }
    if (lines === null) return null;
    const written = lines;
    return (sequence) => {
      for (const write of written) write(sequence);
    };
  }

  #agentLine(fact: AgentFact): Write {
    const agentId = fact.type === "AgentAdded" ? fact.agent.agentId : fact.agentId;
    const agent = this.#records.agents.get(agentId);
    const fields = { agentId, incarnation: agent?.incarnation, places: agent?.maxConcurrentTasks };
    if (fact.type === "AgentAdded")
      return (sequence) => this.#agentLines.AgentRegistered.write({ ...fields, sequence });
    if (fact.type === "AgentRegistered") {
      const line = this.#registrationLine(fact);
      return (sequence) => line.write({ ...fields, sequence });
    }
    const line = this.#agentLines[fact.type];
    const about = { agentId, incarnation: agent?.incarnation, reason: agent?.reason };
    const taskCount = this.#records.activeTasks.get(agentId)?.size ?? 0;
    return (sequence) => line.write({ ...about, taskCount, sequence });
  }

  #registrationLine({ set }: Extract<AgentFact, { set: object }>): SampledLog {
    if (set.incarnation === undefined) return this.#agentLines.AgentRegistered;
    return isFlapping({ takeovers: set.takeovers }) ? this.#flapping : this.#replaced;
  }

  /** A line of the debug level; null for what follows from another one. */
  #lineOf(fact: Exclude<Fact, AgentFact>): Write | null {
    switch (fact.type) {
      case "TaskDropped":
        return null;
      case "RunStarted": {
        const { runId, spec, attempt } = fact.run;
        const { workflowId, workflowType } = spec;
        return (sequence) => this.#logger.debug({ workflowId, runId, workflowType, attempt, sequence }, "run started");
      }
      case "RunAdvanced": {
        const { workflowId, runId, events, set } = fact;
        const types = events.map(({ type }) => type);
        const code = set.stuck?.failure.type;
        const about = { workflowId, runId, events: types, ...(code === undefined ? {} : { code }) };
        return (sequence) => this.#logger.debug({ ...about, sequence }, "run advanced");
      }
      default:
        return this.#taskLine(fact);
    }
  }

  #taskLine(fact: TaskFact): Write {
    const message = taskMessages[fact.type];
    const fields = this.#taskFields(fact);
    return (sequence) => this.#logger.debug({ ...fields, sequence }, message);
  }

  #taskFields(fact: TaskFact): object {
    if (fact.type === "TaskSubmitted") return { taskId: fact.spec.taskId, taskType: fact.spec.type, state: fact.state };
    if (fact.type === "TaskRetained") return { taskId: fact.task.spec.taskId, taskType: fact.task.spec.type };
    const { taskId, set } = fact;
    const record = this.#records.tasks.get(taskId);
    if (record === undefined) return { taskId };
    const { state, attempt, agentId, incarnation, assignedAt, failure } = record;
    return {
      taskId,
      taskType: record.spec.type,
      state,
      attempt,
      ...(agentId === null ? {} : { agentId, incarnation }),
      ...(set.failure === undefined || failure === null ? {} : { code: failure.type }),
      ...(set.retryAt === undefined || set.retryAt === null ? {} : { retryAt: set.retryAt }),
      ...(set.endedAt === undefined || assignedAt === null ? {} : { durationMs: fact.at - assignedAt }),
    };
  }
}

type AgentFact = Extract<Fact, { type: AgentFactType | "AgentAdded" }>;
type TaskFact = Extract<Fact, { type: TaskFactType | "TaskSubmitted" | "TaskRetained" }>;

const aboutAgents: ReadonlySet<string> = new Set<AgentFact["type"]>([
  "AgentAdded",
  "AgentRegistered",
  "AgentUnhealthy",
  "AgentRecovered",
  "AgentDraining",
  "AgentLost",
  "AgentGone",
]);

function isAboutAgent(fact: Fact): fact is AgentFact {
  return aboutAgents.has(fact.type);
}
