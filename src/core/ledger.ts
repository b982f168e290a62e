/**
 * The state of the engine and the only way to change it.
 *
 * Records hold what the journal knows; indexes (queue, load, dependents, deadlines, counts) are derived from them and
 * kept in step here. `commitTask` and `commitAgent` run a machine and turn its outcome into a fact; `restore` sets
 * fields from facts read back and decides nothing. What was committed waits in the outbox for the commit loop.
 */

import type { AgentEvent } from "../machines/agent.machine.js";
import type { Effect } from "../machines/effect.js";
import { stepAgent, stepTask } from "../machines/step.js";
import type { TaskEvent } from "../machines/task.machine.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { Fact, RunFact } from "../protocol/fact.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import { type AgentState, agentStates, type SystemEventType } from "../protocol/system-message.js";
import {
  endedStates,
  newTaskRecord,
  occupyingStates,
  type StoredTaskState,
  storedTaskStates,
  type TaskRecord,
} from "../protocol/task-record.js";
import { AgentPool } from "../scheduler/agent-pool.js";
import { Deadlines } from "../scheduler/deadlines.js";
import { DependencyGraph } from "../scheduler/dependency-graph.js";
import { nextDeadline } from "../scheduler/next-deadline.js";
import { ReadyQueue } from "../scheduler/ready-queue.js";
import { agentFactType, taskFactType } from "./fact-type.js";
import { type FollowUp, FollowUps } from "./follow-ups.js";
import { RunBook } from "./run/run-book.js";
import { Spending } from "./spending.js";
import { Tally } from "./tally.js";
import { eventOf } from "./task-event.js";

/** What one decision produced: it is durable as a whole or not at all. */
export interface Outbox {
  facts: Fact[];
  effects: Effect[];
}

export class Ledger {
  readonly tasks = new Map<TaskId, TaskRecord>();
  readonly agents = new Map<AgentId, AgentRecord>();
  readonly queue = new ReadyQueue();
  readonly pool = new AgentPool();
  readonly graph = new DependencyGraph();
  readonly deadlines = new Deadlines(nextDeadline);
  readonly runs = new RunBook({
    record: (fact) => this.#recordRun(fact),
    nextSequence: () => this.nextSequence,
  });
  /** Tasks that take a place, by agent. */
  readonly activeTasks = new Map<AgentId, Set<TaskRecord>>();
  readonly counts: Record<StoredTaskState, number> = zeroCounts(storedTaskStates);
  readonly agentCounts: Record<AgentState, number> = zeroCounts(agentStates);
  /** Ended since this leadership began. */
  readonly endedCounts = { completed: 0, failed: 0, cancelled: 0, timed_out: 0, terminated: 0 };
  readonly spending = new Spending();
  nextOrder = 1;
  /** Counts what is decided here, for people. */
  readonly tally: Tally;

  /**
   * Records changed since the materializer last took them, each with a journal sequence at or before the first of
   * those changes, and in the order of these: the checkpoint must stay behind the first of them.
   */
  dirtyTasks = new Map<TaskId, number>();
  /** Those of them that ended and that no task depends on, and some that one depends on again. */
  readonly dirtyEnded = new Set<TaskId>();
  dirtyAgents = new Map<AgentId, number>();
  /** The sequence that the next flush will have at the earliest; kept up by the commit loop. */
  nextSequence = 0;

  /** Told, within the decision, of each task of a run that ended and of each workflow that may run. */
  onRunTask: { ended(record: TaskRecord, at: number): void; opened(record: TaskRecord, at: number): void } = {
    ended: () => undefined,
    opened: () => undefined,
  };

  readonly #followUps = new FollowUps();
  #outbox: Outbox = { facts: [], effects: [] };

  constructor(tally: Tally = new Tally()) {
    this.tally = tally;
  }

  get activeCount(): number {
    return this.counts.assigned + this.counts.running + this.counts.cancelling;
  }

  /** Unfinished tasks without an agent. */
  get pendingCount(): number {
    return this.counts.waiting + this.counts.queued + this.counts.backoff;
  }

  ask(effect: Effect): void {
    this.#outbox.effects.push(effect);
  }

  broadcast(eventType: SystemEventType, payload: Record<string, unknown>): void {
    this.#outbox.effects.push({ kind: "broadcastEvent", eventType, payload });
  }

  /** What was committed since the last call; empty arrays where nothing was. */
  takeOutbox(): Outbox {
    const taken = this.#outbox;
    this.#outbox = { facts: [], effects: [] };
    return taken;
  }

  addFollowUp(followUp: FollowUp): void {
    this.#followUps.add(followUp);
  }

  takeFollowUp(): FollowUp | undefined {
    return this.#followUps.take();
  }

  /** Takes up a new task. */
  addTask(spec: TaskRecord["spec"], openDependencies: number, at: number): TaskRecord {
    const state = openDependencies > 0 ? "waiting" : spec.role?.kind === "workflow" ? "open" : "queued";
    const order = this.nextOrder;
    this.#outbox.facts.push({ type: "TaskSubmitted", at, spec, order, state });
    const record = this.#insertTask(newTaskRecord(spec, state, order, at));
    this.runs.noteMember(spec);
    this.graph.add(spec.taskId, spec.dependencies, openDependencies);
    this.#index(record, null);
    if (!isInternal(record)) {
      this.broadcast("TASK_SUBMITTED", { taskId: spec.taskId, type: spec.type });
      this.tally.countSubmission(spec.type);
    }
    if (state === "open") this.onRunTask.opened(record, at);
    return record;
  }

  /** Ends a task of the engine's own without a trace. */
  dropTask(record: TaskRecord, at: number): void {
    const { taskId } = record.spec;
    this.#outbox.facts.push({ type: "TaskDropped", at, taskId });
    if (!endedStates.has(record.state)) {
      const before: Before = { state: record.state, agentId: record.agentId };
      record.state = "cancelled";
      this.#index(record, before);
    }
    this.tasks.delete(taskId);
    this.#markDirty(taskId);
  }

  /**
   * Whether tasks under way count on what a workflow came to, so that it cannot be taken back. A workflow that depends on
   * it has no use for that once it is open.
   */
  isNeeded({ spec, state }: TaskRecord): boolean {
    if (state !== "completed") return false;
    for (const taskId of this.graph.dependentsOf(spec.taskId) ?? []) {
      if (this.tasks.get(taskId)?.state !== "open") return true;
    }
    return false;
  }

  /** Makes room for a workflow whose id is used again. */
  replaceTask(record: TaskRecord): void {
    const { taskId } = record.spec;
    if (!endedStates.has(record.state)) throw new Error(`workflow ${taskId} is ${record.state} and cannot be replaced`);
    if (this.tasks.delete(taskId)) this.counts[record.state] -= 1;
    this.runs.forget(taskId);
  }

  /** Takes an ended workflow back among the live ones, because another run of it begins. */
  reopenWorkflow(ended: TaskRecord, at: number): TaskRecord {
    const { taskId, scheduleToCloseMs, dependencies } = ended.spec;
    if (this.tasks.delete(taskId)) this.counts[ended.state] -= 1;
    const closeDeadlineAt = scheduleToCloseMs === undefined ? null : at + scheduleToCloseMs;
    const record: TaskRecord = {
      ...ended,
      state: "open",
      output: null,
      failure: null,
      usage: null,
      endedAt: null,
      lastRunId: null,
      closeDeadlineAt,
    };
    this.#outbox.facts.push({ type: "TaskRetained", at, task: { ...record } });
    this.#insertTask(record);
    this.graph.add(taskId, dependencies, 0);
    this.#index(record, null);
    return record;
  }

  /** Takes an ended task back among the live ones, because a new one depends on its output. */
  retainTask(record: TaskRecord, at: number): void {
    const isNew = !this.tasks.has(record.spec.taskId);
    this.#outbox.facts.push({ type: "TaskRetained", at, task: record });
    this.#insertTask(record);
    if (isNew) this.counts[record.state] += 1;
  }

  /** Drops an ended task from memory; its record in the bucket of ended tasks speaks for it from now on. */
  forgetTask(taskId: TaskId): void {
    const record = this.tasks.get(taskId);
    if (record === undefined || !endedStates.has(record.state) || this.graph.hasDependents(taskId)) return;
    this.tasks.delete(taskId);
    this.dirtyTasks.delete(taskId);
    this.dirtyEnded.delete(taskId);
    this.counts[record.state] -= 1;
    const run = this.runs.of(taskId);
    // One that is asked something stays until it has answered.
    if (run !== undefined && !this.tasks.has(run.record.runId)) this.runs.forget(taskId);
  }

  /** Drops an agent that is no more. One whose work has not moved yet stays: its places are still counted. */
  forgetAgent(agentId: AgentId): void {
    if (this.activeTasks.has(agentId)) return;
    const record = this.agents.get(agentId);
    if (record === undefined) return;
    this.agents.delete(agentId);
    this.spending.forget(agentId);
    this.agentCounts[record.state] -= 1;
    this.pool.drop(agentId);
  }

  /**
   * Runs the task machine on one event. Returns false where the state has no use for the event; then nothing changed.
   */
  commitTask(record: TaskRecord, event: TaskEvent): boolean {
    const step = stepTask(record, event);
    if (!step.accepted) return false;
    const { change } = step;
    let changed = false;
    for (const _ in change) {
      changed = true;
      break;
    }
    if (changed) {
      const before: Before = { state: record.state, agentId: record.agentId };
      Object.assign(record, change);
      const type = taskFactType(event.type, record.state);
      this.#outbox.facts.push({ type, at: event.at, taskId: record.spec.taskId, set: change });
      this.#markDirty(record.spec.taskId);
      this.#index(record, before);
      if (!isInternal(record)) {
        this.tally.countTask(record, before.state, type, event.at);
        const isOwn = record.spec.role?.kind !== "workflow";
        if (isOwn && change.usage !== undefined && "usage" in event && event.usage !== null) {
          this.tally.countUsage(event.usage);
          if (before.agentId !== null) this.spending.addToAgent(before.agentId, event.usage);
        }
      }
      if (before.state !== record.state) {
        this.#announce(record, before.state);
        if (record.state === "open") this.onRunTask.opened(record, event.at);
        if (record.spec.role !== undefined && endedStates.has(record.state)) this.onRunTask.ended(record, event.at);
      }
    }
    for (const effect of step.effects) this.ask(effect);
    return true;
  }

  /** Takes up an agent id seen for the first time. */
  addAgent(record: AgentRecord, at: number): void {
    this.#outbox.facts.push({ type: "AgentAdded", at, agent: record });
    this.agents.set(record.agentId, record);
    this.agentCounts[record.state] += 1;
    this.#markAgentDirty(record.agentId);
    this.pool.put(record);
    this.tally.countAgent("AgentRegistered");
  }

  commitAgent(record: AgentRecord, event: AgentEvent): boolean {
    const step = stepAgent(record, event);
    if (!step.accepted) return false;
    if (Object.keys(step.change).length > 0) {
      const hadEnded = record.endedAt !== null;
      this.agentCounts[record.state] -= 1;
      Object.assign(record, step.change);
      this.agentCounts[record.state] += 1;
      const type = agentFactType(event.type, record.state);
      // The stored record of one that had ended may have expired by now: the fact has to hold all of the new one.
      this.#outbox.facts.push(
        hadEnded && record.endedAt === null
          ? { type: "AgentAdded", at: event.at, agent: { ...record } }
          : { type, at: event.at, agentId: record.agentId, set: step.change },
      );
      this.#markAgentDirty(record.agentId);
      this.pool.put(record);
      this.tally.countAgent(event.type === "Replaced" && !hadEnded ? "AgentReplaced" : type);
    }
    for (const effect of step.effects) this.ask(effect);
    return true;
  }

  // Recovery: first every record, then every fact after it, then the indexes, once.

  restoreTask(record: TaskRecord): void {
    this.tasks.set(record.spec.taskId, record);
    this.nextOrder = Math.max(this.nextOrder, record.order + 1);
  }

  restoreAgent(record: AgentRecord): void {
    this.agents.set(record.agentId, record);
  }

  /** Sets what a fact says; a fact about a record that is known to stand later must not be passed in. */
  restoreFact(fact: Fact): void {
    switch (fact.type) {
      case "TaskSubmitted":
        // In the place of one that had ended.
        if (fact.spec.role?.kind === "workflow") this.runs.forget(fact.spec.taskId);
        this.#insertTask(newTaskRecord(fact.spec, fact.state, fact.order, fact.at));
        this.runs.noteMember(fact.spec);
        return;
      case "TaskRetained":
        this.#insertTask(fact.task);
        return;
      case "TaskDropped":
        this.tasks.delete(fact.taskId);
        this.#markDirty(fact.taskId);
        return;
      case "RunStarted":
      case "RunAdvanced":
        this.runs.restoreFact(fact);
        return;
      case "AgentAdded":
        this.agents.set(fact.agent.agentId, fact.agent);
        this.#markAgentDirty(fact.agent.agentId);
        return;
      default:
        break;
    }
    if (!("agentId" in fact)) {
      const record = this.tasks.get(fact.taskId);
      // Ended before the crash and already moved to the bucket of ended tasks.
      if (record === undefined) return;
      Object.assign(record, fact.set);
      this.#markDirty(fact.taskId);
    } else {
      const record = this.agents.get(fact.agentId);
      if (record === undefined)
        throw new Error(`the journal speaks of agent ${fact.agentId}, which no record or fact introduced`);
      Object.assign(record, fact.set);
      this.#markAgentDirty(fact.agentId);
    }
  }

  /** Derives every index from the restored records, and the follow-ups that a crash may have left undone. */
  deriveIndexes(): void {
    for (const _ of this.derivation());
  }

  /** The same in steps of bounded length, for whoever has other things to do in between. */
  *derivation(): Generator<void> {
    let derived = 0;
    for (const agent of this.agents.values()) {
      this.agentCounts[agent.state] += 1;
      this.pool.put(agent);
    }
    for (const record of this.tasks.values()) {
      if (endedStates.has(record.state)) {
        if (!isInternal(record)) this.counts[record.state] += 1;
        continue;
      }
      const open = record.spec.dependencies.filter((id) => this.tasks.get(id)?.state !== "completed");
      this.graph.add(record.spec.taskId, record.spec.dependencies, record.state === "waiting" ? open.length : 0);
      this.#index(record, null);
      derived += 1;
      if (derived % DERIVED_PER_STEP === 0) yield;
    }
    this.runs.deriveIndexes();
    // Ended and needed by nobody, yet still among the live ones: a crash came before it was moved.
    for (const record of this.tasks.values()) {
      const { taskId } = record.spec;
      if (!endedStates.has(record.state) || this.graph.hasDependents(taskId)) continue;
      this.#markDirty(taskId);
      this.dirtyEnded.add(taskId);
    }
  }

  #recordRun(fact: RunFact): void {
    this.#outbox.facts.push(fact);
    this.tally.countRun(fact);
  }

  #markDirty(taskId: TaskId): void {
    if (!this.dirtyTasks.has(taskId)) this.dirtyTasks.set(taskId, this.nextSequence);
  }

  #markAgentDirty(agentId: AgentId): void {
    if (!this.dirtyAgents.has(agentId)) this.dirtyAgents.set(agentId, this.nextSequence);
  }

  #insertTask(record: TaskRecord): TaskRecord {
    this.tasks.set(record.spec.taskId, record);
    this.nextOrder = Math.max(this.nextOrder, record.order + 1);
    this.#markDirty(record.spec.taskId);
    return record;
  }

  /** Brings every index in step with a task that changed; `before` is null for one that is new to them. */
  #index(record: TaskRecord, before: Before | null): void {
    if (before === null || before.state !== record.state) {
      if (!isInternal(record)) {
        if (before !== null) this.counts[before.state] -= 1;
        this.counts[record.state] += 1;
      }

      if (record.state === "queued") this.queue.add(record);
      // An assignment takes the head of its line itself; whatever else ends the wait happens in mid-line.
      else if (before?.state === "queued" && record.state !== "assigned") this.queue.noteLeft(record);

      const occupied = before !== null && occupyingStates.has(before.state);
      const occupies = occupyingStates.has(record.state);
      if (occupies && !occupied) this.#occupy(record);
      if (occupied && !occupies) this.#release(record, before.agentId);
      if (endedStates.has(record.state)) this.#end(record);
    }
    this.deadlines.update(record);
  }

  #occupy(record: TaskRecord): void {
    const { agentId } = record;
    if (agentId === null) throw new Error(`task ${record.spec.taskId} is ${record.state} without an agent`);
    this.pool.occupy(agentId);
    const tasks = this.activeTasks.get(agentId);
    if (tasks === undefined) this.activeTasks.set(agentId, new Set([record]));
    else tasks.add(record);
  }

  #release(record: TaskRecord, agentId: AgentId | null): void {
    if (agentId === null) throw new Error(`task ${record.spec.taskId} leaves no agent`);
    this.pool.release(agentId);
    const tasks = this.activeTasks.get(agentId);
    tasks?.delete(record);
    if (tasks?.size === 0) this.activeTasks.delete(agentId);
  }

  #end(record: TaskRecord): void {
    const { taskId, dependencies } = record.spec;
    if (isInternal(record)) return;
    if (record.state in this.endedCounts) this.endedCounts[record.state as keyof typeof this.endedCounts] += 1;
    // What a workflow cost was counted with each of its activities.
    if (record.usage !== null && record.spec.role?.kind !== "workflow") this.spending.add(record.usage);
    // Dependencies whose last dependent this was: their retention starts now.
    for (const freed of this.graph.remove(taskId, dependencies)) {
      const dependency = this.tasks.get(freed);
      if (dependency === undefined || !endedStates.has(dependency.state)) continue;
      this.#markDirty(freed);
      this.dirtyEnded.add(freed);
    }
    const dependents = this.graph.dependentsOf(taskId);
    if (dependents === undefined) this.dirtyEnded.add(taskId);
    for (const dependent of dependents ?? []) {
      this.addFollowUp({ kind: "settleDependent", taskId: dependent, dependencyId: taskId });
    }
  }

  #announce(record: TaskRecord, before: StoredTaskState): void {
    if (isInternal(record)) return;
    const event = eventOf(record, before);
    if (event !== null) this.broadcast(event.eventType, event.payload);
    if (endedStates.has(record.state)) this.ask({ kind: "answerWaiters", taskId: record.spec.taskId });
  }
}

/** About a millisecond's work. */
const DERIVED_PER_STEP = 500;

interface Before {
  readonly state: StoredTaskState;
  readonly agentId: AgentId | null;
}

/** The engine's own tasks are neither counted nor announced. */
export function isInternal({ spec }: TaskRecord): boolean {
  return spec.role?.kind === "workflowTask" || spec.role?.kind === "step";
}

function zeroCounts<State extends string>(states: readonly State[]): Record<State, number> {
  return Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>;
}
