/**
 * The orchestrator's core in this process: no server, no journal, a clock that moves only when it is told to. Decisions
 * are durable at once; what they entail is let go by `step`, one thing after the other, so that a test sees the same
 * order of events each time, however long a worker takes to answer.
 */
import { Core } from "../core/core.js";
import { Ledger, type Outbox } from "../core/ledger.js";
import type { OpenRun } from "../core/run/run-book.js";
import { assignmentOf } from "../core/views.js";
import { Deferred } from "../deferred.js";
import { PerdureError } from "../errors.js";
import type { AskedOutcome, Effect } from "../machines/effect.js";
import { readResult } from "../orchestrator/read-result.js";
import type { AgentOrder, AgentRegistration, AgentReport } from "../protocol/agent-message.js";
import { TaskAssignment } from "../protocol/agent-message.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { AgentId, RunId, TaskId, WorkflowId } from "../protocol/ids.js";
import { type TaskSubmission, TaskSubmissionMessage, type TaskView } from "../protocol/task-message.js";
import { errorOf } from "../workflow/failures.js";
import { Endless } from "./endless.js";
import type { LocalAgent } from "./local-agent.js";

const settings = {
  maxConcurrentTasks: 0,
  maxQueuedTasks: 1_000_000,
  // Agents of this process are never silent; nobody looks whether they are.
  heartbeatIntervalMs: 1_000,
  unhealthyThresholdMs: 3_000,
  lostThresholdMs: 6_000,
};

export class LocalOrchestrator {
  readonly core: Core;
  /** Epoch milliseconds. */
  now: number;
  readonly #agents = new Map<AgentId, LocalAgent>();
  readonly #runs = new Map<RunId, OpenRun>();
  readonly #asked = new Map<string, (outcome: AskedOutcome) => void>();
  readonly #effects: Effect[] = [];
  /** Results that came in while an activation was out. */
  readonly #arrived: (() => void)[] = [];
  readonly #endless = new Endless();
  /** Token of the activation that a worker has. */
  #activation: string | null = null;
  #hasDecided = false;
  #tokens = 0;
  #news = new Deferred();

  constructor(startAt: number) {
    this.now = startAt;
    this.core = new Core({
      ledger: new Ledger(),
      settings,
      // The same ids in each run of a test.
      chance: { newToken: () => this.#newToken(), random: () => 0 },
      monotonicNow: startAt,
      onDecision: (outbox) => this.#take(outbox),
    });
  }

  /** Resolves with the next thing that happens. */
  get news(): Promise<void> {
    return this.#news.promise;
  }

  /** Whether everything that was decided has been let go. */
  get isSettled(): boolean {
    return !this.#hasDecided && this.#arrived.length === 0 && this.#activation === null;
  }

  /**
   * Does the next thing that is to be done; false where nothing is left to do but wait.
   * @throws PerdureError REQUEST_TIMED_OUT
   */
  step(): boolean {
    this.#endless.mustEnd();
    if (this.#activation !== null) return true;
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) {
      arrived();
      return true;
    }
    this.core.fireDeadlines(this.now);
    this.core.place(this.now);
    const hadDecided = this.#hasDecided;
    this.#hasDecided = false;
    for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
      this.#run(effect);
      // Whoever has it now comes first.
      if (effect.kind === "dispatchTask") return true;
    }
    return hadDecided;
  }

  // Clients.

  /** @throws PerdureError as a client does whose submission is refused */
  submit(body: string): { readonly taskId: TaskId; readonly update: TaskSubmission["update"] } {
    const { messageId, task } = TaskSubmissionMessage.parse(JSON.parse(body));
    const tasks = task === undefined ? [] : [task as TaskSubmission];
    const request = { messageId, tasks, form: "single" as const, bytes: body.length, ended: new Map() };
    const submitted = this.core.submit(request, this.now);
    const [taskId] = submitted.ok ? submitted.taskIds : [];
    if (submitted.ok && taskId !== undefined) return { taskId, update: task?.update };
    throw submitted.ok ? new PerdureError("INTERNAL", "nothing was submitted") : refusalError(submitted.refusal);
  }

  /** Calls back with what becomes of a query or an update. */
  onOutcome(askedId: string, listener: (outcome: AskedOutcome) => void): void {
    const before = this.#asked.get(askedId);
    this.#asked.set(askedId, (outcome) => {
      before?.(outcome);
      listener(outcome);
    });
  }

  view(taskId: string): TaskView {
    const record = this.core.ledger.tasks.get(taskId as TaskId);
    if (record === undefined) {
      throw new PerdureError("NOT_FOUND", `no task or workflow ${taskId} was started in this test environment`);
    }
    return copy(this.core.view(record, this.now));
  }

  /** Why a workflow's code cannot go on, where trying again at once has not helped: time will not either. */
  stuck(workflowId: string): PerdureError | null {
    const { stuck } = this.core.ledger.runs.of(workflowId as WorkflowId)?.record ?? {};
    if (stuck == null || stuck.failures < 2) return null;
    const { type, message } = stuck.failure;
    return new PerdureError(
      "NOT_READY",
      `workflow ${workflowId} is stuck until its code is mended (${type}): ${message}`,
      {
        details: { taskId: workflowId },
        cause: errorOf(stuck.failure),
      },
    );
  }

  /** Of the run that is open or was the last, or of the one that is named. */
  history(workflowId: WorkflowId, runId?: RunId): readonly HistoryEvent[] {
    const run = runId === undefined ? this.core.ledger.runs.of(workflowId) : this.#runs.get(runId);
    if (run === undefined || run.record.spec.workflowId !== workflowId) {
      throw new PerdureError("NOT_FOUND", `no such run of workflow ${workflowId} was started in this test environment`);
    }
    return copy(run.tail);
  }

  // Agents.

  register(agent: LocalAgent, registration: AgentRegistration): void {
    this.#agents.set(registration.agentId, agent);
    this.core.register(registration, this.#instant);
  }

  report(report: AgentReport): void {
    if (report.state === "released" && report.token === this.#activation) this.#activation = null;
    this.core.report(report.agentId, report, this.#instant);
  }

  handIn(agentId: AgentId, token: string, body: string): void {
    const take = (): void => {
      const read = readResult(new TextEncoder().encode(body));
      if (!read.ok) throw new Error(`a result of ${agentId} cannot be read: ${read.failure.message}`);
      this.core.result(agentId, read.value, this.#instant);
    };
    if (token === this.#activation) {
      this.#activation = null;
      take();
    } else this.#arrived.push(take);
    this.#tell();
  }

  get #instant() {
    return { at: this.now, monotonicAt: this.now };
  }

  #newToken(): string {
    this.#tokens += 1;
    return String(this.#tokens).padStart(8, "0");
  }

  #take({ facts, effects }: Outbox): void {
    if (facts.length + effects.length === 0) return;
    for (const fact of facts) {
      if (fact.type !== "RunStarted") continue;
      this.#endless.note(fact, this.now);
      const run = this.core.ledger.runs.of(fact.run.spec.workflowId);
      if (run !== undefined) this.#runs.set(fact.run.runId, run);
    }
    this.#effects.push(...effects);
    this.#hasDecided = true;
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = new Deferred();
  }

  #run(effect: Effect): void {
    switch (effect.kind) {
      case "dispatchTask": {
        const record = this.core.ledger.tasks.get(effect.taskId);
        if (record === undefined) return;
        const assignment = assignmentOf(record, effect.token, this.core.ledger, this.core.workflows);
        if (assignment === null || record.agentId === null) return;
        const agent = this.#agents.get(record.agentId);
        if (agent !== undefined && assignment.activation !== undefined) this.#activation = assignment.token;
        // As it would arrive.
        agent?.take(TaskAssignment.parse(copy(assignment)));
        return;
      }
      case "cancelAttempt": {
        const order: AgentOrder = { ...effect, state: "cancel" };
        this.#agents.get(effect.agentId)?.cancel(order);
        return;
      }
      case "answerAsked":
        this.#asked.get(effect.askedId)?.(copy(effect.outcome));
        return;
      case "lookUpEnded":
        // Nothing leaves memory here.
        this.core.lookedUp(effect.parent, null, this.now);
        return;
      // Whoever waits for a task looks for itself; nobody listens to the rest.
      case "answerWaiters":
      case "orderAgent":
      case "broadcastEvent":
        return;
    }
  }
}

export function refusalError(refusal: {
  readonly code: PerdureError["code"];
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}): PerdureError {
  return new PerdureError(refusal.code, refusal.message, { details: { ...refusal.details } });
}

/** What was handed over, as it would be after a journey: nobody shares it. */
function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
