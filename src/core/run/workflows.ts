/**
 * Runs of workflows: everything that happens to them goes through here. What a run does follows from its history; this
 * decides what goes into it, in which order, and what the engine does about it.
 */
import type { TaskResult } from "../../protocol/agent-message.js";
import type { HistoryEvent, ParentRun } from "../../protocol/history-event.js";
import type { WorkflowId } from "../../protocol/ids.js";
import { endedStates, type TaskRecord } from "../../protocol/task-record.js";
import type { FollowUp } from "../follow-ups.js";
import type { Ledger } from "../ledger.js";
import type { Chance } from "../settings.js";
import { activityEnd, stepEnd } from "./member-ends.js";
import { parentRunOf } from "./parent-run.js";
import { revivedRun } from "./revive.js";
import { newRunId, RunAnswers } from "./run-answers.js";
import { isClosed, type OpenRun } from "./run-book.js";
import { RunClose, successorOf, withUsage } from "./run-close.js";
import { RunDispatch } from "./run-dispatch.js";
import { RunErrands } from "./run-errands.js";
import { RunInbox } from "./run-inbox.js";
import { RunReplies } from "./run-replies.js";
import { RunRequests } from "./run-requests.js";
import { RunReset } from "./run-reset.js";
import { answeredNothing, firstSpec, newRun } from "./run-starts.js";

export class Workflows {
  readonly #ledger: Ledger;
  readonly #chance: Chance;
  readonly #inbox: RunInbox;
  readonly #close: RunClose;
  readonly #answers: RunAnswers;
  readonly #errands: RunErrands;
  readonly dispatch: RunDispatch;
  readonly requests: RunRequests;
  readonly resets: RunReset;

  constructor(ledger: Ledger, chance: Chance) {
    this.#ledger = ledger;
    this.#chance = chance;
    this.#inbox = new RunInbox(ledger);
    const replies = new RunReplies(ledger, this.#inbox);
    this.#close = new RunClose(ledger, this.#inbox, replies);
    this.#answers = new RunAnswers(ledger, this.#inbox, replies, this.#close, chance);
    this.dispatch = new RunDispatch(ledger.runs, this.#inbox);
    this.requests = new RunRequests(ledger, this.#inbox, this.#close);
    this.resets = new RunReset(ledger, this.#inbox, this.#close, replies, chance);
    this.#errands = new RunErrands(ledger, this.#inbox, (run, at) => this.requests.cancel(run, at));
    ledger.onRunTask = {
      opened: (record, at) => this.#open(record, at),
      ended: (record, at) => this.#ended(record, at),
    };
  }

  /** Takes up what a crash left between two decisions. */
  resume(at: number): void {
    for (const run of this.#ledger.runs.all()) {
      const { record } = run;
      if (isClosed(record)) continue;
      this.resets.takeUp(run);
      const unseen = record.lastEventId > (record.answered?.eventId ?? 0) || record.buffered.length > 0;
      if (unseen) this.#inbox.wake(run, at);
      const workflow = this.#ledger.tasks.get(record.spec.workflowId);
      if (workflow !== undefined && answeredNothing(record)) this.#askFirst(run, workflow, at);
    }
    for (const task of this.#ledger.tasks.values()) {
      if (!endedStates.has(task.state) && this.#isLeftOver(task)) {
        this.#ledger.addFollowUp({ kind: "release", taskId: task.spec.taskId });
      }
    }
  }

  follow(followUp: Extract<FollowUp, { kind: "carryOut" | "release" }>, at: number): void {
    if (followUp.kind === "carryOut") {
      const run = this.#ledger.runs.open(followUp.workflowId, followUp.runId);
      if (run !== undefined) this.#errands.carryOut(run, followUp.seq, at);
      return;
    }
    const task = this.#ledger.tasks.get(followUp.taskId);
    if (task !== undefined && !endedStates.has(task.state)) this.#release(task, at);
  }

  lookedUp(parent: ParentRun, ended: TaskRecord | null, at: number): void {
    this.#errands.lookedUp(parent, ended, at);
  }

  /** Whether an assigned task is answered by a worker's commands, and not by an output. */
  isActivation(task: TaskRecord): boolean {
    return task.spec.role?.kind === "workflowTask";
  }

  answer(task: TaskRecord, result: TaskResult, at: number): void {
    this.#answers.take(task, result, at);
  }

  /** Gives what waited its place in the history: the worker is about to be sent it. */
  beforeActivation(task: TaskRecord, at: number): void {
    const run = this.dispatch.runOf(task);
    if (run !== undefined) this.#inbox.place(run, at);
  }

  /** Takes a closed run back into memory, for a question about it. */
  revive(workflow: TaskRecord, events: readonly HistoryEvent[]): void {
    const record = revivedRun(workflow, events);
    if (record !== null) this.#ledger.runs.revive(record);
  }

  /** Fires what is due for runs by the clock: one deadline a call. */
  fireDeadline(at: number): boolean {
    const { runs } = this.#ledger;
    const due = runs.deadlines.takeDue(at);
    if (due === null) return false;
    const run = due.item;
    if (runs.of(run.record.spec.workflowId) !== run) return true;
    switch (due.deadline.kind) {
      case "timer":
        this.#fireTimers(run, at);
        break;
      case "runTimeout":
        this.#timeOut(run, "run", at);
        break;
      case "stuckRetry":
        this.#retryStuck(run, at);
        break;
      case "firstActivation":
        runs.commit(run, { at, set: { notBefore: null } });
        this.#inbox.wake(run, at);
    }
    runs.deadlines.update(run);
    return true;
  }

  /** The time-out of the whole chain, which is kept with the workflow. */
  timeOutExecution(workflow: TaskRecord, at: number): void {
    const run = this.#ledger.runs.of(workflow.spec.taskId as WorkflowId);
    if (run === undefined || isClosed(run.record))
      throw new Error(`workflow ${workflow.spec.taskId} is open without a run`);
    this.#timeOut(run, "execution", at);
  }

  /** A worker arrived: what was stuck may have been healed by it. */
  workerArrived(capabilities: readonly string[], at: number): void {
    for (const record of [...this.#ledger.runs.stuck]) {
      if (!record.spec.requiredCapabilities.every((name) => capabilities.includes(name))) continue;
      const run = this.#ledger.runs.of(record.spec.workflowId);
      if (run !== undefined) this.#retryStuck(run, at);
    }
  }

  #retryStuck(run: OpenRun, at: number): void {
    const { stuck } = run.record;
    if (stuck === null || stuck.retryAt === null) return;
    this.#ledger.runs.commit(run, { at, set: { stuck: { ...stuck, retryAt: null } } });
    this.#inbox.wake(run, at);
  }

  #open(workflow: TaskRecord, at: number): void {
    const runId = newRunId(this.#chance);
    const { spec } = workflow;
    const { memo = {}, searchAttributes = {}, startDelayMs, signal } = spec.run ?? {};
    const { record, first } = newRun({
      spec: firstSpec(workflow, runId),
      runId,
      at,
      input: spec.input,
      memo,
      searchAttributes,
      attempt: 1,
      ...(startDelayMs === undefined ? {} : { notBefore: at + startDelayMs }),
      ...(signal === undefined ? {} : { signals: [{ ...signal, signalName: signal.name }] }),
    });
    const run = this.#ledger.runs.start(record, first, at);
    this.#inbox.wake(run, at);
    this.#askFirst(run, workflow, at);
  }

  /** The update of an update-with-start, which the first activation brings along. */
  #askFirst(run: OpenRun, { spec }: TaskRecord, at: number): void {
    const { update } = spec.run ?? {};
    if (update !== undefined) this.#inbox.ask(run, { update }, at);
  }

  /** A task of a run ended: the run hears of it in the same decision. */
  #ended(task: TaskRecord, at: number): void {
    const { role } = task.spec;
    if (role === undefined) return;
    if (role.kind === "workflow") {
      this.#close.report(task, at);
      return;
    }
    const run = this.#ledger.runs.open(role.workflowId, role.runId);
    if (role.kind === "workflowTask") {
      // It ended without an answer: too many workers were lost with it.
      const failure = task.failure ?? { type: "AGENT_LOST", message: "its workers were lost" };
      if (run === undefined) this.#answers.giveUpClosed(task, failure, at);
      else this.#answers.fail(run, task, failure, at);
      return;
    }
    const { seq } = role;
    if (role.kind === "step") this.#ledger.dropTask(task, at);
    if (run === undefined || seq === undefined) return;
    if (role.kind === "activity") {
      this.#ledger.runs.commit(run, { at, set: { usage: withUsage(run, task) } });
      if (run.record.activities[seq] !== undefined) this.#inbox.receive(run, activityEnd(task, seq, at), at);
    } else if (run.record.steps[seq] !== undefined) {
      this.#inbox.receive(run, stepEnd(task, seq, at), at);
    }
  }

  #fireTimers(run: OpenRun, at: number): void {
    for (const seq of run.timers.takeDue(at)) this.#inbox.receive(run, { type: "TimerFired", at, seq }, at);
  }

  #timeOut(run: OpenRun, timeoutType: "run" | "execution", at: number): void {
    const { record } = run;
    const failure = { type: "WORKFLOW_TIMED_OUT", message: "the run timed out" };
    const notBefore = timeoutType === "run" ? this.#close.retryOf(record, failure, at).notBefore : null;
    if (notBefore === null) {
      this.#close.close(run, { type: "WorkflowExecutionTimedOut", at, timeoutType }, {});
      return;
    }
    const newRun = newRunId(this.#chance);
    const { attempt } = record;
    const next = successorOf(record, newRun, at, {
      input: record.spec.input,
      attempt: attempt + 1,
      notBefore,
      lastFailure: failure,
    });
    this.#close.close(run, { type: "WorkflowExecutionTimedOut", at, timeoutType, newRunId: newRun }, { next });
  }

  /**
   * What a run gave up or left behind: activities are cancelled, steps dropped, children treated by their policy. Not
   * what another one has under the same id.
   */
  #release(task: TaskRecord, at: number): void {
    const { role, run } = task.spec;
    if (role?.kind === "workflowTask") this.#ledger.dropTask(task, at);
    else if (role?.kind === "step") {
      this.#ledger.commitTask(task, { type: "CancelRequested", at });
      // One that nobody had yet ended with that, and is gone.
      if (this.#ledger.tasks.has(task.spec.taskId)) this.#ledger.dropTask(task, at);
    } else if (role?.kind === "activity") {
      this.#ledger.commitTask(task, { type: "CancelRequested", at });
    } else if (role?.kind === "workflow" && run?.parent !== undefined && this.#isLeftOver(task)) {
      const child = this.#ledger.runs.of(task.spec.taskId as WorkflowId);
      if (child === undefined || isClosed(child.record)) return;
      const { workflowId } = run.parent;
      if (run.parentClosePolicy === "requestCancel") this.requests.cancel(child, at);
      else if (run.parentClosePolicy !== "abandon") {
        const reason = `its parent ${workflowId} closed`;
        this.#close.close(child, { type: "WorkflowExecutionTerminated", at, reason }, {});
      }
    }
  }

  /** Whether a task's run, or a child's parent, is no more, or has given it up. */
  #isLeftOver(task: TaskRecord): boolean {
    const { role, run } = task.spec;
    if (role === undefined) return false;
    if (role.kind !== "workflow") {
      const of = this.#ledger.runs.open(role.workflowId, role.runId);
      return of === undefined || (role.kind === "step" && of.record.steps[role.seq ?? 0] === undefined);
    }
    if (run?.parent === undefined || run.parentClosePolicy === "abandon") return false;
    const isAbandoned = this.#ledger.runs.of(role.workflowId)?.record.abandoned === true;
    return !isAbandoned && parentRunOf(this.#ledger.runs, task) === undefined;
  }
}
