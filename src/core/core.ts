/**
 * The deterministic core: everything the orchestrator decides, with no I/O, no clock and no chance of its own.
 *
 * Each method is one event. What it decided is taken from the ledger's outbox by the caller, `decide`, which hands it
 * on as one group of facts and effects: durable as a whole, effects after the facts. Follow-ups run as groups of their
 * own behind it.
 */

import type { AgentRegistration, AgentReport, HeartbeatMessage, TaskResult } from "../protocol/agent-message.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { Failure } from "../protocol/failure.js";
import type { ParentRun } from "../protocol/history-event.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import type { RunRecord } from "../protocol/run-record.js";
import { hasAttributes, type SearchFilter } from "../protocol/search-attributes.js";
import type { SystemStatusReply } from "../protocol/system-message.js";
import type { TaskView } from "../protocol/task-message.js";
import { endedStates, type TaskRecord } from "../protocol/task-record.js";
import type { NamedValues } from "../protocol/workflow-options.js";
import { Liveness } from "../scheduler/liveness.js";
import type { Refusal } from "./admission.js";
import { AgentFlapping } from "./agent-flapping.js";
import { AgentReports, type HeartbeatAnswer, type Instant } from "./agent-reports.js";
import { AgentSilence } from "./agent-silence.js";
import { AgentWork } from "./agent-work.js";
import { takeResult } from "./attempt-results.js";
import { explain } from "./explain.js";
import type { FollowUp } from "./follow-ups.js";
import { isInternal, type Ledger, type Outbox } from "./ledger.js";
import { MissingAttempts } from "./missing-attempts.js";
import { Placement } from "./placement.js";
import type { ResultVerdict } from "./result-screen.js";
import { Workflows } from "./run/workflows.js";
import { ANSWER_TIMEOUT_MS, type Chance, type CoreSettings } from "./settings.js";
import { admit, type SubmissionRequest, type Submitted, take } from "./submission.js";
import { agentView, shownState, taskSummary, taskView } from "./views.js";

export type Cancelled =
  | { readonly ok: true; readonly record: TaskRecord }
  | { readonly ok: false; readonly refusal: Refusal };

export class Core {
  readonly ledger: Ledger;
  readonly workflows: Workflows;
  readonly #settings: CoreSettings;
  readonly #liveness: Liveness;
  readonly #work: AgentWork;
  readonly #reports: AgentReports;
  readonly #silence: AgentSilence;
  readonly #flapping: AgentFlapping;
  readonly #placement: Placement;
  /** Takes each decision's outcome, in order. */
  readonly #onDecision: (outbox: Outbox) => void;

  constructor(options: {
    readonly ledger: Ledger;
    readonly settings: CoreSettings;
    readonly chance: Chance;
    readonly monotonicNow: number;
    readonly onDecision: (outbox: Outbox) => void;
  }) {
    const { ledger, settings, chance } = options;
    this.ledger = ledger;
    this.#settings = settings;
    this.#onDecision = options.onDecision;
    const liveness = new Liveness(settings, options.monotonicNow);
    const work = new AgentWork(ledger, chance);
    const missing = new MissingAttempts(work, settings);
    const flapping = new AgentFlapping(ledger, settings, options.monotonicNow);
    this.workflows = new Workflows(ledger, chance);
    this.#liveness = liveness;
    this.#work = work;
    this.#flapping = flapping;
    this.#reports = new AgentReports({ ledger, liveness, chance, work, missing, flapping });
    this.#silence = new AgentSilence({ ledger, liveness, work, missing, settings });
    this.#placement = new Placement(ledger, settings, chance, this.workflows);
    for (const agent of this.ledger.agents.values()) {
      if (agent.state !== "lost" && agent.state !== "gone") this.#liveness.watch(agent.agentId, options.monotonicNow);
    }
  }

  /** Takes up what a predecessor may have left undone: unsent assignments, unmoved work, unsettled dependents. */
  resume(at: number): void {
    // Settled first: what moves must not be sent again to whoever has the agent's id now.
    this.#decide(() => this.#work.moveOrphans(at));
    this.#settle(at, Number.POSITIVE_INFINITY);
    for (const record of this.ledger.tasks.values()) {
      if (record.state === "waiting") this.#settleAfterCrash(record, at);
      else if (record.state === "assigned" || record.state === "cancelling") {
        this.#decide(() =>
          this.ledger.commitTask(record, { type: "LeaderChanged", at, answerBy: at + ANSWER_TIMEOUT_MS }),
        );
      }
    }
    this.#decide(() => this.workflows.resume(at));
    this.#settle(at, DECISIONS_PER_TURN);
  }

  submit(request: SubmissionRequest, at: number): Submitted {
    const admitted = admit(this.ledger, this.#settings, request);
    if (!admitted.ok) return admitted;
    // First of all, for it may be refused; asked again, what was taken before is the same signal.
    for (const { taskId, run } of admitted.signal) {
      const signalled = run?.signal === undefined ? null : this.signal(taskId, run.signal, at);
      if (signalled?.ok === false) return signalled;
    }
    for (const record of admitted.retained) this.#decide(() => this.ledger.retainTask(record, at));
    for (const taskId of admitted.terminate) {
      // One that waits for its dependencies has no run to terminate.
      if (this.ledger.tasks.get(taskId)?.state === "waiting") this.cancel(taskId, at);
      else this.terminate(taskId, "another run was started in its place", at);
    }
    this.#decide(() => {
      for (const spec of admitted.fresh) {
        const before = this.ledger.tasks.get(spec.taskId);
        if (before !== undefined) this.ledger.replaceTask(before);
        take(this.ledger, spec, at);
      }
    }, at);
    return { ok: true, taskIds: admitted.taskIds };
  }

  cancel(taskId: TaskId, at: number): Cancelled {
    const record = this.ledger.tasks.get(taskId);
    if (record === undefined || isInternal(record)) return { ok: false, refusal: unknownTask(taskId) };
    if (record.state === "open") {
      const run = this.ledger.runs.of(taskId);
      if (run === undefined) throw new Error(`workflow ${taskId} is open without a run`);
      this.#decide(() => this.workflows.requests.cancel(run, at), at);
      return { ok: true, record };
    }
    // Cancelling what ended is answered with how it ended: the caller wanted it not to run, and it does not.
    this.#decide(() => this.ledger.commitTask(record, { type: "CancelRequested", at }), at);
    return { ok: true, record };
  }

  register(registration: AgentRegistration, now: Instant): AgentRecord {
    return this.#decide(() => {
      const record = this.#reports.register(registration, now);
      this.workflows.workerArrived(record.capabilities, now.at);
      return record;
    }, now.at);
  }

  signal(...args: Parameters<Workflows["requests"]["signal"]>): ReturnType<Workflows["requests"]["signal"]> {
    return this.#decide(() => this.workflows.requests.signal(...args), args[2]);
  }

  query(...args: Parameters<Workflows["requests"]["query"]>): ReturnType<Workflows["requests"]["query"]> {
    return this.#decide(() => this.workflows.requests.query(...args), args[2]);
  }

  withdrawQuery(...args: Parameters<Workflows["requests"]["withdrawQuery"]>): void {
    this.#decide(() => this.workflows.requests.withdrawQuery(...args), args[2]);
  }

  update(...args: Parameters<Workflows["requests"]["update"]>): ReturnType<Workflows["requests"]["update"]> {
    return this.#decide(() => this.workflows.requests.update(...args), args[2]);
  }

  terminate(...args: Parameters<Workflows["requests"]["terminate"]>): ReturnType<Workflows["requests"]["terminate"]> {
    return this.#decide(() => this.workflows.requests.terminate(...args), args[2]);
  }

  reset(...args: Parameters<Workflows["resets"]["reset"]>): ReturnType<Workflows["resets"]["reset"]> {
    return this.#decide(() => this.workflows.resets.reset(...args), args[3]);
  }

  /** @param ended under the id of the child that this run of a parent is to start; null if there is none */
  lookedUp(parent: ParentRun, ended: TaskRecord | null, at: number): void {
    this.#decide(() => this.workflows.lookedUp(parent, ended, at), at);
  }

  heartbeat(sender: AgentId, message: HeartbeatMessage, now: Instant): HeartbeatAnswer {
    return this.#decide(() => this.#reports.heartbeat(sender, message, now), now.at);
  }

  report(sender: AgentId, report: AgentReport, now: Instant): void {
    this.#decide(() => this.#reports.report(sender, report, now), now.at);
  }

  result(sender: AgentId, result: TaskResult, now: Instant): ResultVerdict {
    return this.#decide(() => takeResult(this.ledger, this.workflows, sender, result, now.at), now.at);
  }

  undeliverable(taskId: TaskId, token: string, now: Instant): void {
    this.#decide(() => this.#reports.undeliverable(taskId, token, now), now.at);
  }

  /** An attempt that cannot be sent: nobody will ever answer for it. */
  fail(taskId: TaskId, token: string, failure: Failure, at: number): void {
    const record = this.ledger.tasks.get(taskId);
    if (record === undefined || record.token !== token) return;
    this.#decide(() => this.ledger.commitTask(record, { type: "AttemptFailed", at, failure, usage: null }), at);
  }

  /** Something outside was wrong and was set aside: tells everybody, changes nothing. */
  reportError(code: ErrorCode, message: string): void {
    this.#decide(() => this.ledger.broadcast("SYSTEM_ERROR", { code, message }));
  }

  checkSilence(now: Instant): void {
    this.#decide(() => {
      this.#silence.check(now);
      this.#flapping.check(now);
    }, now.at);
  }

  /** Silent agents, while there are so many of them at once that it may be the leader who hears nothing. */
  get heldAgentCount(): number {
    return this.#silence.held.size;
  }

  /** The leader was away (paused, disconnected): silence is measured anew from here. */
  observerResumed(monotonicNow: number): void {
    this.#liveness.resume(monotonicNow);
  }

  /** When `fireDeadlines` has something to do next, epoch milliseconds; null if nothing is pending. */
  get nextDeadlineAt(): number | null {
    const tasksAt = this.ledger.deadlines.nextAt;
    const runsAt = this.ledger.runs.deadlines.nextAt;
    return tasksAt === null || runsAt === null ? (tasksAt ?? runsAt) : Math.min(tasksAt, runsAt);
  }

  /** Fires deadlines that are due, a thousand at most: `nextDeadlineAt` says whether there are more. */
  fireDeadlines(at: number): void {
    for (let fired = 0; fired < DECISIONS_PER_TURN; fired += 1) {
      if (!this.#decide(() => this.workflows.fireDeadline(at), at)) break;
    }
    for (let fired = 0; fired < DECISIONS_PER_TURN; fired += 1) {
      const due = this.ledger.deadlines.takeDue(at);
      if (due === null) return;
      const { item: record, deadline } = due;
      if (record.state === "open") {
        this.#decide(() => this.workflows.timeOutExecution(record, at), at);
        continue;
      }
      const event =
        deadline.event === "AnswerOverdue"
          ? ({ type: deadline.event, at, answerBy: at + ANSWER_TIMEOUT_MS } as const)
          : ({ type: deadline.event, at } as const);
      if (!this.#decide(() => this.ledger.commitTask(record, event), at)) {
        throw new Error(
          `task ${record.spec.taskId} is ${record.state} with a deadline ${deadline.event} that this state has no use for`,
        );
      }
      // A deadline that its event did not move or clear would fire for ever.
      this.ledger.deadlines.update(record);
    }
  }

  /** Goes on with what earlier decisions entail, and gives queued tasks to agents. To be called before each flush. */
  place(at: number): void {
    this.#settle(at, DECISIONS_PER_TURN);
    this.#placement.placeSome(at, DECISIONS_PER_TURN, () => this.#deliver());
  }

  explain(record: TaskRecord, now: number): string {
    return explain(this.ledger, this.#settings, record, now);
  }

  view(record: TaskRecord, now: number): TaskView {
    return taskView(record, this.explain(record, now), this.#runOf(record));
  }

  #runOf({ spec }: TaskRecord): RunRecord | null {
    return spec.role?.kind === "workflow" ? (this.ledger.runs.of(spec.taskId)?.record ?? null) : null;
  }

  /** As submitted, while it waits for its dependencies. */
  #attributesOf(record: TaskRecord): NamedValues {
    return this.#runOf(record)?.searchAttributes ?? record.spec.run?.searchAttributes ?? {};
  }

  /** Tasks in memory that match, newest first, and how many there are. */
  list(
    filter: {
      readonly states?: readonly string[] | undefined;
      readonly type?: string | undefined;
      readonly agentId?: string | undefined;
      readonly workflowId?: string | undefined;
      readonly searchAttributes?: SearchFilter | undefined;
    },
    limit: number,
    now: number,
  ): { readonly tasks: TaskView[]; readonly total: number } {
    const matching = [...this.ledger.tasks.values()].filter(
      (record) =>
        !isInternal(record) &&
        (filter.states === undefined || filter.states.includes(shownState(record, this.#runOf(record)))) &&
        (filter.type === undefined || filter.type === record.spec.type) &&
        (filter.agentId === undefined || filter.agentId === record.agentId) &&
        (filter.workflowId === undefined || filter.workflowId === workflowOf(record)) &&
        (filter.searchAttributes === undefined || hasAttributes(this.#attributesOf(record), filter.searchAttributes)),
    );
    matching.sort((a, b) => b.order - a.order);
    const tasks = matching
      .slice(0, limit)
      .map((record) => taskSummary(record, this.explain(record, now), this.#runOf(record)));
    return { tasks, total: matching.length };
  }

  /** The part of the system's status that follows from state. */
  status(): Pick<
    SystemStatusReply,
    | "agentCount"
    | "activeTaskCount"
    | "queuedTaskCount"
    | "waitingTaskCount"
    | "backoffTaskCount"
    | "openWorkflowCount"
    | "stuckWorkflowCount"
    | "healthyAgentCount"
    | "unhealthyAgentCount"
    | "agentStatuses"
    | "endedTaskCounts"
    | "usage"
  > {
    const { ledger } = this;
    const views = [...ledger.agents.values()].map((record) =>
      agentView(record, ledger, this.#liveness, this.#silence.held),
    );
    const present = views.filter((agent) => agent.state !== "lost" && agent.state !== "gone");
    return {
      agentCount: present.length,
      activeTaskCount: ledger.activeCount,
      queuedTaskCount: ledger.counts.queued,
      waitingTaskCount: ledger.counts.waiting,
      backoffTaskCount: ledger.counts.backoff,
      openWorkflowCount: ledger.counts.open,
      stuckWorkflowCount: ledger.runs.stuck.size,
      healthyAgentCount: present.filter((agent) => agent.state === "healthy").length,
      unhealthyAgentCount: present.filter((agent) => agent.state === "unhealthy").length,
      agentStatuses: views,
      endedTaskCounts: { ...ledger.endedCounts },
      usage: ledger.spending.total,
    };
  }

  #decide<T>(decision: () => T, at?: number): T {
    const outcome = decision();
    this.#deliver();
    if (at !== undefined) this.#settle(at, DECISIONS_PER_TURN);
    return outcome;
  }

  #deliver(): "decided" | "nothing" {
    const outbox = this.ledger.takeOutbox();
    this.#onDecision(outbox);
    return outbox.facts.length === 0 ? "nothing" : "decided";
  }

  /** Does what is left to do, up to so many decisions; the rest goes behind the flush that these need. */
  #settle(at: number, decisionsMax: number): void {
    for (let decisions = 0; decisions < decisionsMax; ) {
      const next = this.ledger.takeFollowUp();
      if (next === undefined) return;
      this.#follow(next, at);
      if (this.#deliver() === "decided") decisions += 1;
    }
  }

  #follow(followUp: FollowUp, at: number): void {
    if (followUp.kind === "carryOut" || followUp.kind === "release") {
      this.workflows.follow(followUp, at);
      return;
    }
    const record = this.ledger.tasks.get(followUp.taskId);
    if (record === undefined) return;
    if (followUp.kind === "moveTask") {
      // Its result may have come in meanwhile.
      if (record.token === followUp.token) this.ledger.commitTask(record, followUp.event);
      return;
    }
    if (record.state !== "waiting") return;
    const dependency = this.ledger.tasks.get(followUp.dependencyId);
    if (dependency === undefined)
      throw new Error(`task ${followUp.taskId} waits for ${followUp.dependencyId}, which is not kept`);
    // Another workflow has taken its id meanwhile, and is waited for.
    if (!endedStates.has(dependency.state)) return;
    if (dependency.state !== "completed") {
      // Cut off, or a long chain of dependents would quote all of each other.
      const why =
        dependency.failure === null
          ? dependency.state
          : `${dependency.state}: ${dependency.failure.message.slice(0, QUOTED_FAILURE_MAX)}`;
      const failure = { type: "DEPENDENCY_FAILED", message: `dependency ${followUp.dependencyId} ${why}` };
      this.ledger.commitTask(record, { type: "DependencyFailed", at, failure });
    } else if (this.ledger.graph.completeOne(followUp.taskId)) {
      this.ledger.commitTask(record, { type: "DependenciesCompleted", at });
    }
  }

  /** A dependency that ended just before a crash has not told its dependents. */
  #settleAfterCrash(record: TaskRecord, at: number): void {
    const { dependencies, taskId } = record.spec;
    const stateOf = (id: TaskId) => this.ledger.tasks.get(id)?.state ?? "waiting";
    const broken = dependencies.find((id) => stateOf(id) !== "completed" && endedStates.has(stateOf(id)));
    if (broken !== undefined) this.ledger.addFollowUp({ kind: "settleDependent", taskId, dependencyId: broken });
    else if (dependencies.every((id) => stateOf(id) === "completed")) {
      this.#decide(() => this.ledger.commitTask(record, { type: "DependenciesCompleted", at }));
    }
  }
}

/**
 * What one event, or one moment, entails for many others is decided a flush at a time: a leader that decides for seconds
 * on end cannot renew its lease. Where this many were decided, there is a flush to write, and `place` is called before it.
 */
const DECISIONS_PER_TURN = 1_000;

/** Characters of a dependency's failure that its dependents repeat. */
const QUOTED_FAILURE_MAX = 500;

export function unknownTask(taskId: TaskId): Refusal {
  return {
    code: "NOT_FOUND",
    message: `no task ${taskId} is kept here: it was never accepted, or its retention is over.`,
    details: { taskId },
  };
}

/** The workflow that asked for this task. */
const workflowOf = ({ spec: { role } }: TaskRecord): string | undefined =>
  role?.kind === "activity" ? role.workflowId : undefined;
