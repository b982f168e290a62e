/**
 * What the core has decided, counted. Plain numbers that nothing is decided by: they are read when somebody asks for
 * metrics. One tally outlives the terms of its process, so that its counts never go back; replaying facts counts nothing.
 *
 * Counted when decided. What a leader decided and could not write is counted too, and once more by its successor, which
 * decides it again.
 */
import { errorCodes } from "../protocol/error-code.js";
import type { AgentFactType, RunFact, TaskFactType } from "../protocol/fact.js";
import type { Usage } from "../protocol/failure.js";
import { closedRunStates } from "../protocol/run-record.js";
import { endedStates, occupyingStates, type StoredTaskState, type TaskRecord } from "../protocol/task-record.js";
import { Distribution } from "./distribution.js";
import { LabelledCounts, Labels, OTHER_LABEL } from "./labelled-counts.js";

/** Task types with a label of their own. */
const TYPES_MAX = 50;
/** Models with a label of their own. */
const MODELS_MAX = 20;
/** Failure types with a label of their own, beside the engine's error codes. */
const FAILURE_TYPES_MAX = 30;

/** From the latency of a loaded disk to a day: tasks of milliseconds and of hours are both usual. */
const DURATION_BOUNDS_S = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400,
];

export const taskOutcomes = ["completed", "failed", "cancelled", "timed_out", "terminated"] as const;
export type TaskOutcome = (typeof taskOutcomes)[number];
export const attemptOutcomes = [...taskOutcomes, "released"] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

/** The names of the facts, but that a new process under a known id is told apart from one that registers again. */
export type AgentDecision = AgentFactType | "AgentReplaced" | "AgentFlapping";

const engineCodes: ReadonlySet<string> = new Set(errorCodes);

export class Tally {
  /** By task type. */
  readonly submitted = new LabelledCounts();
  /** By task type. */
  readonly ended = each(taskOutcomes, () => new LabelledCounts());
  attempts = 0;
  retries = 0;
  resent = 0;
  /** By the failure's type. */
  readonly failedAttempts = new LabelledCounts();
  /** From submission to end, seconds. */
  readonly taskSeconds = each(taskOutcomes, () => new Distribution(DURATION_BOUNDS_S));
  /** From when a task could start to its first assignment, seconds. */
  readonly queueSeconds = new Distribution(DURATION_BOUNDS_S);
  /** From assignment to the end of the attempt, seconds. */
  readonly attemptSeconds = each(attemptOutcomes, () => new Distribution(DURATION_BOUNDS_S));
  runsStarted = 0;
  /** By the state they closed in. */
  readonly closedRuns = new LabelledCounts();
  historyEvents = 0;
  activationsAnswered = 0;
  /** By the failure's type. */
  readonly failedActivations = new LabelledCounts();
  /** By what was decided. */
  readonly agents = new LabelledCounts();
  heartbeats = 0;
  /** By model. */
  readonly costDollars = new LabelledCounts();
  readonly inputTokens = new LabelledCounts();
  readonly outputTokens = new LabelledCounts();

  readonly #types = new Labels(TYPES_MAX);
  readonly #models = new Labels(MODELS_MAX);
  readonly #failureTypes = new Labels(FAILURE_TYPES_MAX);

  countSubmission(type: string): void {
    this.submitted.add(this.#types.of(type));
  }

  /** A task changed as `fact` says; `before` is the state it was in. */
  countTask(record: TaskRecord, before: StoredTaskState, fact: TaskFactType, at: number): void {
    if (fact === "TaskAssigned") {
      this.attempts += 1;
      if (record.attempt === 1) this.queueSeconds.observe((at - (record.readyAt ?? at)) / 1_000);
      return;
    }
    if (fact === "TaskResent") this.resent += 1;
    if (before === record.state) return;
    if (endedStates.has(record.state)) {
      const outcome = record.state as TaskOutcome;
      this.ended[outcome].add(this.#types.of(record.spec.type));
      this.taskSeconds[outcome].observe((at - record.submittedAt) / 1_000);
    }
    if (occupyingStates.has(before) && !occupyingStates.has(record.state)) this.#countAttempt(record, fact, at);
  }

  /** A run began, or its history got events. */
  countRun(fact: RunFact): void {
    if (fact.type === "RunStarted") {
      this.runsStarted += 1;
      return;
    }
    const { events, placed, set } = fact;
    this.historyEvents += events.length + (placed?.length ?? 0);
    if (set.state !== undefined && closedRunStates.has(set.state)) this.closedRuns.add(set.state);
  }

  /** The code of a run could not go on. Unlike those of attempts, types come from the engine and its workers only. */
  countFailedActivation(type: string): void {
    this.failedActivations.add(engineCodes.has(type) ? type : OTHER_LABEL);
  }

  countAgent(decision: AgentDecision): void {
    this.agents.add(decision);
  }

  /** What one attempt cost. */
  countUsage({ cost, tokens, model }: Usage): void {
    const label = this.#models.of(model);
    this.costDollars.add(label, cost);
    this.inputTokens.add(label, tokens.input);
    this.outputTokens.add(label, tokens.output);
  }

  #countAttempt(record: TaskRecord, fact: TaskFactType, at: number): void {
    const outcome = attemptOutcomeOf(fact);
    this.attemptSeconds[outcome].observe((at - (record.assignedAt ?? at)) / 1_000);
    if (fact === "TaskAttemptFailed") this.retries += 1;
    if (outcome !== "failed" && outcome !== "timed_out") return;
    const type = record.failure?.type ?? "UNKNOWN";
    this.failedAttempts.add(engineCodes.has(type) ? type : this.#failureTypes.of(type));
  }
}

/** How an attempt ended, by the fact that took it from its agent. */
function attemptOutcomeOf(fact: TaskFactType): AttemptOutcome {
  switch (fact) {
    case "TaskCompleted":
      return "completed";
    case "TaskCancelled":
      return "cancelled";
    case "TaskTimedOut":
      return "timed_out";
    case "TaskReleased":
      return "released";
    default:
      return "failed";
  }
}

function each<Name extends string, Value>(names: readonly Name[], make: () => Value): Readonly<Record<Name, Value>> {
  return Object.fromEntries(names.map((name) => [name, make()])) as Record<Name, Value>;
}
