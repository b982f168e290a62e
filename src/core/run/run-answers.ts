/** What a worker's answer to an activation changes. */
import type { ActivationAnswer } from "../../protocol/activation.js";
import type { TaskResult } from "../../protocol/agent-message.js";
import type { Command, CommandOf } from "../../protocol/command.js";
import type { Failure } from "../../protocol/failure.js";
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import type { AgentId, RunId } from "../../protocol/ids.js";
import { HISTORY_EVENTS_MAX, HISTORY_EVENTS_WARNING } from "../../protocol/limits.js";
import type { RunChange, RunRecord } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import type { Ledger } from "../ledger.js";
import type { Chance } from "../settings.js";
import { recordCommand } from "./command-event.js";
import { activityTaskId, stepSpec, stepTaskId } from "./member-specs.js";
import { overfullValues } from "./named-values-room.js";
import { pendingTooMuch } from "./pending-room.js";
import { closes, isClosed, type OpenRun } from "./run-book.js";
import { type NewCloseEvent, type RunClose, successorOf } from "./run-close.js";
import type { RunInbox } from "./run-inbox.js";
import type { RunReplies } from "./run-replies.js";
import { STUCK_QUERIES_FAIL } from "./run-requests.js";

/** A step that the worker began by itself and has not finished. */
interface BegunStep {
  readonly command: CommandOf<"ScheduleStep">;
  readonly token: string;
}

export class RunAnswers {
  readonly #ledger: Ledger;
  readonly #inbox: RunInbox;
  readonly #replies: RunReplies;
  readonly #close: RunClose;
  readonly #chance: Chance;

  constructor(ledger: Ledger, inbox: RunInbox, replies: RunReplies, close: RunClose, chance: Chance) {
    this.#ledger = ledger;
    this.#inbox = inbox;
    this.#replies = replies;
    this.#close = close;
    this.#chance = chance;
  }

  /** Takes the result of an activation, which was found to be that of the attempt under way. */
  take(task: TaskRecord, result: TaskResult, at: number): void {
    const { role } = task.spec;
    const found = role === undefined ? undefined : this.#ledger.runs.of(role.workflowId);
    const run = found?.record.runId === role?.runId ? found : undefined;
    if (run === undefined) {
      this.giveUpClosed(task, { type: "WORKFLOW_TASK_FAILED", message: "its run is no more" }, at);
      return;
    }
    // Of an attempt that was given up: the history has gone on since, and the activation is given to another.
    if (!this.#inbox.isOut(run)) return;
    if (isClosed(run.record)) {
      this.#takeOfClosed(run, task, result, at);
      return;
    }
    if (result.status !== "completed") {
      this.fail(run, task, result.error ?? { type: "WORKFLOW_TASK_FAILED", message: "the worker gave no reason" }, at);
      return;
    }
    if (result.activation === undefined) {
      const message = `agent ${result.agentId} completed an activation without an answer; it is no workflow worker`;
      this.fail(run, task, { type: "INVALID_MESSAGE", message }, at);
      return;
    }
    this.#take(run, task, result.activation, at);
  }

  /** The code could not go on. What came in meanwhile keeps its place; the run is tried again, with back-off. */
  fail(run: OpenRun, task: TaskRecord, failure: Failure, at: number): void {
    const { record } = run;
    this.#ledger.tally.countFailedActivation(failure.type);
    this.#ledger.dropTask(task, at);
    this.#ledger.runs.commit(run, {
      at,
      placed: this.#inbox.order(run),
      step: { type: "ActivationFailed", at, failure },
      set: { answered: null, closing: false },
    });
    const { workflowId } = record.spec;
    if ((record.stuck?.failures ?? 0) >= STUCK_QUERIES_FAIL) this.#replies.failQueries(record, failure);
    if (record.stuck?.failures === 1) {
      this.#ledger.broadcast("WORKFLOW_STUCK", { taskId: workflowId, runId: record.runId, error: failure });
    }
  }

  /** Of a closed run only queries are asked. */
  #takeOfClosed({ record }: OpenRun, task: TaskRecord, { activation, error }: TaskResult, at: number): void {
    if (activation !== undefined) this.#replies.tellQueries(record, activation);
    this.giveUpClosed(task, error ?? { type: "WORKFLOW_TASK_FAILED", message: "the worker did not answer" }, at);
  }

  /** The last activation of a closed run is over: what was not answered never will be. */
  giveUpClosed(task: TaskRecord, failure: Failure, at: number): void {
    this.#ledger.dropTask(task, at);
    const { role } = task.spec;
    const run = role === undefined ? undefined : this.#ledger.runs.of(role.workflowId);
    if (run === undefined || run.record.runId !== role?.runId) {
      // Another run has its workflow's id by now.
      if (role?.runId !== undefined) this.#replies.dismiss(role.workflowId, role.runId);
      return;
    }
    this.#replies.failQueries(run.record, failure);
    if (!this.#ledger.tasks.has(role.workflowId)) this.#ledger.runs.forget(role.workflowId);
  }

  #take(run: OpenRun, task: TaskRecord, answer: ActivationAnswer, at: number): void {
    const { record } = run;
    const { agentId, token, assignedAt } = task;
    const askedAt = assignedAt ?? at;
    if (agentId === null || token === null) throw new Error(`activation ${record.runId} was answered and is nobody's`);
    const asked = this.#inbox.askedOf(record.runId);
    const updates = new Map(asked.updates.map((update) => [update.updateId, update]));

    const events: NewHistoryEvent[] = [];
    let lastSeq = record.lastSeq;
    let close: { readonly event: NewCloseEvent; readonly command: Command } | null = null;
    const nextRunId = newRunId(this.#chance);
    const nonsense = this.#nonsenseIn(answer, record, asked.updates.length > 0);
    if (nonsense !== null) {
      this.fail(run, task, { type: "INVALID_MESSAGE", message: `the worker's answer: ${nonsense}` }, at);
      return;
    }
    for (const command of answer.commands) {
      const recorded = recordCommand(command, { run: record, at, askedAt, lastSeq, updates, nextRunId });
      if (recorded.kind === "forgotten") {
        this.#askAgain(run, task, "open", at);
        return;
      }
      if (recorded.kind === "refused") {
        this.fail(run, task, { type: "INVALID_MESSAGE", message: `the worker's answer: ${recorded.message}` }, at);
        return;
      }
      if (recorded.kind === "nothing") continue;
      if ("seq" in command) lastSeq = Math.max(lastSeq, command.seq);
      if (closes(recorded.event)) {
        // Several in one answer: the first holds.
        close ??= { event: recorded.event as NewCloseEvent, command };
      } else events.push(recorded.event);
    }
    const tooMuch = tooMuchFor(record, answer.commands, close === null ? events : []);
    if (tooMuch !== null) {
      this.fail(run, task, { type: "WORKFLOW_TASK_FAILED", message: tooMuch }, at);
      return;
    }
    const cancelledTimers = new Set(events.flatMap((event) => (event.type === "TimerCanceled" ? [event.seq] : [])));
    const placed = this.#inbox.order(run, cancelledTimers);
    if (close !== null && placed.length > 0) {
      this.#askAgain(run, task, "closing", at);
      return;
    }
    this.#ledger.tally.activationsAnswered += 1;
    const ended = new Map(answer.steps.map((step) => [step.seq, step]));
    const outcomes = this.#outcomesOf(answer, at);
    this.#ledger.dropTask(task, at);
    const sawNothing = events.length === 0 && close === null && record.answered?.eventId === record.lastEventId;
    const seen: NewHistoryEvent[] = sawNothing
      ? []
      : [{ type: "WorkflowTaskCompleted", at, startedAt: askedAt, agentId, ...toldOf(record) }, ...events];

    this.#replies.tell(record, answer);
    if (close !== null) {
      this.#closeWith(run, close, seen, nextRunId, at);
      return;
    }
    const eventsBefore = record.lastEventId;
    const set: RunChange = {
      answered: { token, agentId, eventId: eventsBefore + seen.length },
      closing: false,
      ...this.#undecided(record),
    };
    this.#ledger.runs.commit(run, {
      at,
      events: [...seen, ...outcomes],
      placed,
      step: { type: "ActivationAnswered", at },
      set,
    });
    this.#begin(run, answer, ended, agentId, at);
    this.#carryOut(run, events);
    const stillAsked = this.#inbox.askedOf(record.runId);
    const isUnseen = record.lastEventId > eventsBefore + seen.length;
    if (isUnseen || stillAsked.updates.length + stillAsked.queries.length > 0) this.#inbox.wake(run, at);
    this.#boundHistory(run, eventsBefore, at);
  }

  /**
   * An answer that cannot be taken and is nobody's fault: the code closed its run and has not seen what came in
   * meanwhile, or it accepted an update that an earlier leader had sent it. It runs again.
   */
  #askAgain(run: OpenRun, task: TaskRecord, why: "closing" | "open", at: number): void {
    this.#ledger.dropTask(task, at);
    this.#ledger.runs.commit(run, {
      at,
      placed: this.#inbox.order(run),
      set: { answered: null, closing: why === "closing" },
    });
    this.#inbox.wake(run, at);
  }

  /** What no worker of ours would say, and what would spoil the history for every worker after it. */
  #nonsenseIn({ commands, steps }: ActivationAnswer, record: RunRecord, hasUpdates: boolean): string | null {
    const begun = new Set(
      commands.flatMap((command) =>
        command.type === "ScheduleStep" && command.token !== undefined ? [command.seq] : [],
      ),
    );
    const stranger = steps.find(({ seq }) => !begun.has(seq));
    if (stranger !== undefined) return `it has the outcome of step ${stranger.seq}, which it has not begun`;
    const sawNews = hasUpdates || record.answered?.eventId !== record.lastEventId;
    const [first] = commands;
    return sawNews || first === undefined || first.type === "AcceptUpdate" || first.type === "RejectUpdate"
      ? null
      : `${first.type} came of nothing but queries`;
  }

  #closeWith(
    run: OpenRun,
    close: { readonly event: NewCloseEvent; readonly command: Command },
    before: readonly NewHistoryEvent[],
    nextRunId: RunId,
    at: number,
  ): void {
    const { record } = run;
    const { command, event } = close;
    if (command.type === "ContinueAsNew") {
      const next = successorOf(record, nextRunId, at, { ...command, input: command.input, attempt: 1 });
      this.#close.close(run, event, { before, next });
      return;
    }
    if (command.type === "FailWorkflow" && event.type === "WorkflowExecutionFailed") {
      const { notBefore, retryState } = this.#close.retryOf(record, command.failure, at);
      if (notBefore === null) {
        this.#close.close(run, { ...event, retryState }, { before });
        return;
      }
      const change = {
        input: record.spec.input,
        attempt: record.attempt + 1,
        notBefore,
        lastFailure: command.failure,
      };
      const next = successorOf(record, nextRunId, at, change);
      this.#close.close(run, { ...event, retryState, newRunId: nextRunId }, { before, next });
      return;
    }
    this.#close.close(run, event, { before });
  }

  #outcomesOf({ steps }: ActivationAnswer, at: number): NewHistoryEvent[] {
    return steps.map(({ seq, output, failure }) =>
      failure === undefined
        ? { type: "StepCompleted" as const, at, seq, output: output ?? null }
        : { type: "StepFailed" as const, at, seq, failure, retryState: "nonRetryableFailure" as const },
    );
  }

  /** Steps that their worker began are its from now on, as if they had been assigned to it. */
  #begin(
    run: OpenRun,
    { commands }: ActivationAnswer,
    ended: ReadonlyMap<number, unknown>,
    agentId: AgentId,
    at: number,
  ): void {
    const agent = this.#ledger.agents.get(agentId);
    if (agent === undefined) return;
    const begun = commands.flatMap((command): BegunStep[] =>
      command.type === "ScheduleStep" && command.token !== undefined && !ended.has(command.seq)
        ? [{ command, token: command.token }]
        : [],
    );
    for (const { command, token } of begun) {
      const scheduled = run.record.outstanding[command.seq];
      if (scheduled?.type !== "StepScheduled") continue;
      const step = this.#ledger.addTask(stepSpec(run.record, scheduled), 0, at);
      this.#ledger.commitTask(step, { type: "Begun", at, agentId, incarnation: agent.incarnation, token });
    }
  }

  #carryOut({ record }: OpenRun, events: readonly NewHistoryEvent[]): void {
    const { workflowId } = record.spec;
    for (const seq of Object.keys(record.outstanding)) {
      this.#ledger.addFollowUp({ kind: "carryOut", workflowId, runId: record.runId, seq: Number(seq) });
    }
    for (const event of events) {
      if (event.type === "StepCanceled") {
        this.#ledger.addFollowUp({ kind: "release", taskId: stepTaskId(record, event.seq) });
      } else if (event.type === "ActivityTaskCancelRequested") {
        this.#ledger.addFollowUp({ kind: "release", taskId: activityTaskId(record, event.seq) });
      }
    }
  }

  #undecided(record: RunRecord): Pick<RunChange, "admitted"> {
    const admitted = this.#inbox.undecided(record);
    return Object.keys(admitted).length === Object.keys(record.admitted).length ? {} : { admitted };
  }

  #boundHistory(run: OpenRun, eventsBefore: number, at: number): void {
    const { lastEventId, spec, runId } = run.record;
    if (lastEventId < HISTORY_EVENTS_WARNING) return;
    const warnings = (events: number) => Math.floor((events - HISTORY_EVENTS_WARNING) / HISTORY_WARNING_EVERY);
    if (lastEventId >= HISTORY_EVENTS_MAX) {
      const reason = `its history has ${lastEventId} events and may have ${HISTORY_EVENTS_MAX}; continue as new before that`;
      this.#close.close(run, { type: "WorkflowExecutionTerminated", at, reason }, {});
    } else if (warnings(Math.max(eventsBefore, HISTORY_EVENTS_WARNING - 1)) < warnings(lastEventId)) {
      this.#ledger.broadcast("WORKFLOW_HISTORY_LARGE", { taskId: spec.workflowId, runId, events: lastEventId });
    }
  }
}

/** What has no room in a run's record; what is under way does not count where the run closes. */
function tooMuchFor(
  record: RunRecord,
  commands: readonly Command[],
  events: readonly NewHistoryEvent[],
): string | null {
  return overfullValues(record, commands) ?? pendingTooMuch(record, events);
}

/** What the code was told when it worked on this, and may have acted on: a replay has to be told the same. */
function toldOf({ lastEventId }: RunRecord): { readonly continueAsNewSuggested?: true } {
  return lastEventId >= HISTORY_EVENTS_WARNING ? { continueAsNewSuggested: true } : {};
}

/** A long history is spoken of again and again, but not with each answer. */
const HISTORY_WARNING_EVERY = 1_000;

export function newRunId(chance: Chance): RunId {
  // A token may begin with `-` or `_`, which an id may not.
  return `r${chance.newToken()}` as RunId;
}
