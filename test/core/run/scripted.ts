/** Runs of workflows whose worker is a script: its answers are data, and nothing is replayed. */

import type { ResetRequest } from "../../../src/core/run/reset-plan.js";
import type { OpenRun } from "../../../src/core/run/run-book.js";
import type { Asked } from "../../../src/core/run/run-requests.js";
import type { AskedOutcome } from "../../../src/machines/effect.js";
import type { Activation, ActivationAnswer } from "../../../src/protocol/activation.js";
import type { Command } from "../../../src/protocol/command.js";
import type { Failure } from "../../../src/protocol/failure.js";
import type { HistoryEvent } from "../../../src/protocol/history-event.js";
import type { RunRecord } from "../../../src/protocol/run-record.js";
import { taskId } from "../../support/given.js";
import { Engine, type Submission } from "../engine.js";

export const WORKER = { capabilities: ["workflow:order", "workflow:leaf"], maxConcurrentTasks: 100 };

export const complete = (output: unknown = "done"): Command => ({ type: "CompleteWorkflow", output });
export const fail = (change: Partial<Failure> = {}): Command => ({
  type: "FailWorkflow",
  failure: { type: "OutOfStock", message: "nothing is left", ...change },
});
export const timer = (seq: number, durationMs: number): Command => ({ type: "StartTimer", seq, durationMs });
export const activity = (seq: number, change: object = {}): Command => ({
  type: "ScheduleActivityTask",
  seq,
  activityType: "ocr",
  ...change,
});
export const step = (seq: number, change: object = {}): Command => ({
  type: "ScheduleStep",
  seq,
  name: "charge",
  ...change,
});
export const child = (seq: number, workflowId: string, change: object = {}): Command => ({
  type: "StartChildWorkflow",
  seq,
  workflowId: taskId(workflowId),
  workflowType: "leaf",
  parentClosePolicy: "terminate",
  ...change,
});

export class Scripted extends Engine {
  #messages = 0;

  /** With one worker, `k-w`, unless told otherwise. */
  static withWorker(options: ConstructorParameters<typeof Engine>[0] = {}): Scripted {
    const scripted = new Scripted(options);
    scripted.register("k-w", WORKER);
    return scripted;
  }

  start(id: string, change: Submission = {}): ReturnType<Engine["submit"]> {
    this.#messages += 1;
    return this.submit({ taskId: id, type: "workflow:order", ...change }, { messageId: `message-${this.#messages}` });
  }

  open(id: string): OpenRun {
    const run = this.core.ledger.runs.of(taskId(id));
    if (run === undefined) throw new Error(`there is no run of ${id}`);
    return run;
  }

  run(id: string): RunRecord {
    return this.open(id).record;
  }

  /** What a worker has been sent, or will be, and has not answered. */
  activation(id: string): Activation | null {
    const task = this.core.ledger.tasks.get(this.run(id).runId);
    return task === undefined ? null : this.core.workflows.dispatch.activationOf(task);
  }

  isOut(id: string): boolean {
    return this.core.ledger.tasks.get(this.run(id).runId)?.state === "assigned";
  }

  answer(id: string, commands: readonly Command[], more: Partial<ActivationAnswer> = {}) {
    const activation = { commands: [...commands], steps: [], queries: [], ...more };
    return this.handIn(this.resultOf(this.run(id).runId, { activation }));
  }

  failActivation(id: string, error: Failure = { type: "NONDETERMINISM", message: "the code has changed" }) {
    return this.handIn(this.resultOf(this.run(id).runId, { status: "failed", error }));
  }

  signal(id: string, name: string, signalId = name): Asked<{ readonly run: OpenRun }> {
    const outcome = this.core.signal(taskId(id), { name, signalId }, this.now);
    this.core.place(this.now);
    return outcome;
  }

  query(id: string, queryId: string) {
    const outcome = this.core.query(taskId(id), { queryId, name: "status" }, this.now);
    this.core.place(this.now);
    return outcome;
  }

  update(id: string, updateId: string) {
    const outcome = this.core.update(taskId(id), { updateId, name: "change" }, this.now);
    this.core.place(this.now);
    return outcome;
  }

  /** To before the last workflow task, unless told otherwise. */
  reset(id: string, request: Partial<ResetRequest> = {}) {
    this.#messages += 1;
    const outcome = this.core.reset(
      this.task(id),
      { runId: this.run(id).runId, events: this.events(id) },
      { requestId: `reset-${this.#messages}`, to: "lastWorkflowTask", reason: "a bug", reapply: "all", ...request },
      this.now,
    );
    this.core.place(this.now);
    return outcome;
  }

  terminate(id: string) {
    const outcome = this.core.terminate(taskId(id), "enough", this.now);
    this.core.place(this.now);
    return outcome;
  }

  /** Of the run under way, or of the last one. */
  events(id: string): HistoryEvent[] {
    return this.open(id).tail;
  }

  types(id: string): string[] {
    return this.events(id).map((event) =>
      event.type === "WorkflowExecutionSignaled" ? `signal ${event.signalName}` : event.type,
    );
  }

  /** What became of what was asked, oldest first. */
  outcomes(askedId: string): AskedOutcome[] {
    return this.effects("answerAsked").flatMap((effect) => (effect.askedId === askedId ? [effect.outcome] : []));
  }
}
