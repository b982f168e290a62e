/** Requests about runs of workflows -> decisions of the core -> answers. */

import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import type { OpenRun } from "../core/run/run-book.js";
import { unfinishedUpdate } from "../core/run/run-replies.js";
import type { Asked } from "../core/run/run-requests.js";
import type { Endpoint, Respond } from "../jetstream/service-endpoint.js";
import type { AskedOutcome } from "../machines/effect.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { RunId, WorkflowId } from "../protocol/ids.js";
import { jsonBytes } from "../protocol/json-bytes.js";
import { WAIT_TIMEOUT_MS_MAX } from "../protocol/limits.js";
import type { Subjects } from "../protocol/subjects.js";
import {
  type UpdateStanding,
  WorkflowCancelRequest,
  WorkflowHistoryRequest,
  WorkflowQueryRequest,
  WorkflowResetRequest,
  WorkflowSignalRequest,
  WorkflowTerminateRequest,
  WorkflowUpdateRequest,
} from "../protocol/workflow-message.js";
import type { Answering } from "./answering.js";
import type { AskedQuestions } from "./asked.js";
import type { EndedTasks } from "./ended-tasks.js";
import type { Histories } from "./histories.js";

/** A query that nobody answers in this time is given up: no worker has the workflow's code, or none is free. */
const QUERY_TIMEOUT_MS = 30_000;
/** What an envelope takes beside the events of a page. */
const ENVELOPE_BYTES = 1_024;

type UpdateAsked = ReturnType<Core["update"]>;
export type AskUpdate = WorkflowIntake["askUpdate"];

export interface WorkflowIntakeOptions {
  readonly core: Core;
  readonly answering: Answering;
  readonly asked: AskedQuestions;
  readonly histories: Histories;
  readonly endedTasks: EndedTasks;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly answerBytesMax: () => number;
}

export class WorkflowIntake {
  readonly #options: WorkflowIntakeOptions;

  constructor(options: WorkflowIntakeOptions) {
    this.#options = options;
  }

  endpoints(): readonly Endpoint[] {
    const { answering, subjects } = this.#options;
    return [
      answering.endpoint("workflow-signal", subjects.workflowSignal, WorkflowSignalRequest, (request, respond) =>
        this.#signal(request, respond),
      ),
      answering.endpoint("workflow-query", subjects.workflowQuery, WorkflowQueryRequest, (request, respond) =>
        this.#query(request, respond),
      ),
      answering.endpoint("workflow-update", subjects.workflowUpdate, WorkflowUpdateRequest, (request, respond) =>
        this.askUpdate(
          { ...request, updateId: request.updateId ?? request.messageId },
          respond,
          (standing) => standing,
        ),
      ),
      answering.endpoint("workflow-cancel", subjects.workflowCancel, WorkflowCancelRequest, ({ taskId }, respond) =>
        this.#cancel(taskId, respond),
      ),
      answering.endpoint(
        "workflow-terminate",
        subjects.workflowTerminate,
        WorkflowTerminateRequest,
        (request, respond) => this.#terminate(request, respond),
      ),
      answering.endpoint("workflow-reset", subjects.workflowReset, WorkflowResetRequest, (request, respond) =>
        this.#reset(request, respond),
      ),
      answering.endpoint("workflow-history", subjects.workflowHistory, WorkflowHistoryRequest, (request, respond) =>
        this.#history(request, respond),
      ),
    ];
  }

  #signal(request: WorkflowSignalRequest, respond: Respond): void | Promise<void> {
    const { core, clock } = this.#options;
    const { taskId, name, input, signalId = request.messageId } = request;
    const take = () => this.#answerRun(core.signal(taskId, { name, input, signalId }, clock.now()), taskId, respond);
    return core.ledger.runs.of(taskId) === undefined ? this.#signalAgain(taskId, signalId, respond, take) : take();
  }

  /** One whose answer was lost may be asked again when the run that took it has closed and left memory. */
  async #signalAgain(taskId: WorkflowId, signalId: string, respond: Respond, take: () => void): Promise<void> {
    const closed = await this.#lastClosed(taskId);
    const isOfIt = (event: HistoryEvent) => event.type === "WorkflowExecutionSignaled" && event.signalId === signalId;
    if (closed?.events.some(isOfIt)) this.#options.answering.answer(respond, { taskId, runId: closed.runId });
    else take();
  }

  #cancel(taskId: WorkflowId, respond: Respond): void {
    const { core, clock, answering } = this.#options;
    const workflow = core.ledger.tasks.get(taskId);
    if (workflow?.spec.role?.kind !== "workflow") {
      answering.refuse(respond, unknownWorkflow(taskId));
      return;
    }
    core.cancel(taskId, clock.now());
    answering.answer(respond, { taskId, runId: core.ledger.runs.of(taskId)?.record.runId });
  }

  #terminate({ taskId, reason }: WorkflowTerminateRequest, respond: Respond): void {
    const { core, clock } = this.#options;
    this.#answerRun(core.terminate(taskId, reason ?? "it was terminated on request", clock.now()), taskId, respond);
  }

  async #reset(request: WorkflowResetRequest, respond: Respond): Promise<void> {
    const { core, clock, answering, histories, endedTasks } = this.#options;
    const { taskId, messageId: requestId, runId, to, reapply, reason = "it was reset on request" } = request;
    const workflow = core.ledger.tasks.get(taskId) ?? (await endedTasks.get(taskId));
    if (workflow?.spec.role?.kind !== "workflow") {
      answering.refuse(respond, unknownWorkflow(taskId));
      return;
    }
    const lastRunId = core.ledger.runs.of(taskId)?.record.runId ?? workflow.lastRunId;
    const history = {
      runId: lastRunId ?? taskId,
      events: lastRunId === null ? [] : await histories.read(taskId, lastRunId),
    };
    // While it was read, another workflow may have taken the id.
    const current = core.ledger.tasks.get(taskId) ?? workflow;
    const reset = core.reset(current, history, { requestId, runId, to, reason, reapply }, clock.now());
    if (reset.ok) answering.answer(respond, { taskId, runId: reset.runId });
    else answering.refuse(respond, reset.refusal);
  }

  #answerRun(asked: Asked<{ readonly run: OpenRun }>, taskId: WorkflowId, respond: Respond): void {
    const { answering } = this.#options;
    if (asked.ok) answering.answer(respond, { taskId, runId: asked.run.record.runId });
    else answering.refuse(respond, asked.refusal);
  }

  /** Takes a run that closed and left memory back into it, for a question. */
  async #revive(taskId: WorkflowId): Promise<void> {
    const { core, endedTasks, histories } = this.#options;
    const workflow = core.ledger.tasks.get(taskId) ?? (await endedTasks.get(taskId));
    if (workflow?.lastRunId == null) return;
    const events = await histories.read(taskId, workflow.lastRunId);
    // It may have been started again while its history was read.
    if (core.ledger.runs.of(taskId) === undefined) core.workflows.revive(workflow, events);
  }

  async #query({ taskId, name, input, messageId }: WorkflowQueryRequest, respond: Respond): Promise<void> {
    const { core, clock, answering, asked } = this.#options;
    if (core.ledger.runs.of(taskId) === undefined) await this.#revive(taskId);
    const query = core.query(taskId, { queryId: messageId, name, input }, clock.now());
    if (!query.ok) {
      answering.refuse(respond, query.refusal);
      return;
    }
    const settle = (outcome: AskedOutcome): "answered" => {
      switch (outcome.state) {
        case "completed":
          answering.answer(respond, { output: outcome.output });
          break;
        case "failed":
        case "rejected":
          answering.answer(respond, { failure: outcome.failure });
          break;
        case "accepted":
          break;
        case "runClosed":
          answering.refuse(respond, { code: "NOT_READY", message: outcome.message, details: { taskId } });
      }
      return "answered";
    };
    const giveUp = (): void => {
      core.withdrawQuery(taskId, messageId, clock.now());
      const message = `no worker answered query ${name} of workflow ${taskId} within ${QUERY_TIMEOUT_MS} ms. Look whether a worker with its code is there: perdure explain ${taskId}`;
      answering.refuse(respond, { code: "REQUEST_TIMED_OUT", message, details: { taskId } });
    };
    asked.add(query.askedId, QUERY_TIMEOUT_MS, settle, giveUp);
  }

  /** @param bodyOf the answer that says how far the update has come */
  readonly askUpdate = async (
    request: Omit<WorkflowUpdateRequest, "messageId" | "timestamp" | "updateId"> & { readonly updateId: string },
    respond: Respond,
    bodyOf: (standing: UpdateStanding) => object,
  ): Promise<void> => {
    const { core, clock, answering, asked } = this.#options;
    const { taskId, name, input, waitFor, timeoutMs, updateId } = request;
    const before = core.ledger.runs.of(taskId) === undefined ? await this.#outcomeOfClosed(taskId, updateId) : null;
    const update = before ?? core.update(taskId, { updateId, name, input }, clock.now());
    if (!update.ok) {
      answering.refuse(respond, update.refusal);
      return;
    }
    let stage: "admitted" | "accepted" = "admitted";
    const reply = (fields: Omit<UpdateStanding, "updateId">): "answered" => {
      answering.answer(respond, bodyOf({ updateId, ...fields }));
      return "answered";
    };
    const settle = (outcome: AskedOutcome): "answered" | "waits on" => {
      switch (outcome.state) {
        case "accepted":
          stage = "accepted";
          return waitFor === "accepted" ? reply({ stage }) : "waits on";
        case "completed":
          return reply({ stage: "completed", output: outcome.output });
        case "failed":
          return reply({ stage: "failed", failure: outcome.failure });
        case "rejected":
          return reply({ stage: "rejected", failure: outcome.failure });
        case "runClosed":
          answering.refuse(respond, { code: "NOT_READY", message: outcome.message, details: { taskId, updateId } });
          return "answered";
      }
    };
    const { known } = update;
    if (known !== null) {
      const outcome = known.state === "completed" ? await this.#outcomeOf(taskId, known.runId, updateId) : known;
      if (settle(outcome) === "answered") return;
    }
    const patienceMs = Math.min(timeoutMs ?? WAIT_TIMEOUT_MS_MAX, WAIT_TIMEOUT_MS_MAX);
    asked.add(update.askedId, patienceMs, settle, () => reply({ stage }));
  };

  /** Of an update that the last run of a workflow had before both left memory; null where it had none. */
  async #outcomeOfClosed(taskId: WorkflowId, updateId: string): Promise<UpdateAsked | null> {
    const closed = await this.#lastClosed(taskId);
    const isOfIt = (event: HistoryEvent) => "updateId" in event && event.updateId === updateId;
    const last = closed?.events.filter(isOfIt).at(-1);
    if (closed === null || last === undefined) return null;
    const { runId } = closed;
    const isFinished = last.type === "WorkflowExecutionUpdateCompleted";
    const known = isFinished ? { state: "completed" as const, runId } : unfinishedUpdate(taskId, runId, updateId);
    return { ok: true, askedId: `${taskId}/${updateId}`, known };
  }

  /** The last run of a workflow that has left memory; null where there is none. */
  async #lastClosed(
    taskId: WorkflowId,
  ): Promise<{ readonly runId: RunId; readonly events: readonly HistoryEvent[] } | null> {
    const { core, endedTasks, histories } = this.#options;
    const stored = () => (endedTasks.mayHold(taskId) ? endedTasks.get(taskId) : null);
    const runId = (core.ledger.tasks.get(taskId) ?? (await stored()))?.lastRunId;
    return runId == null ? null : { runId, events: await histories.read(taskId, runId) };
  }

  async #outcomeOf(taskId: WorkflowId, runId: RunId, updateId: string): Promise<AskedOutcome> {
    for (const event of await this.#options.histories.read(taskId, runId)) {
      if (event.type !== "WorkflowExecutionUpdateCompleted" || event.updateId !== updateId) continue;
      if (event.failure !== undefined) return { state: "failed", failure: event.failure };
      return { state: "completed", output: event.output ?? null };
    }
    return {
      state: "runClosed",
      message: `the outcome of update ${updateId} of workflow ${taskId} is not kept any more`,
    };
  }

  async #history({ taskId, runId, afterEventId }: WorkflowHistoryRequest, respond: Respond): Promise<void> {
    const { core, answering, histories, endedTasks, answerBytesMax } = this.#options;
    const run = core.ledger.runs.of(taskId);
    const lastRunId = async () => (await endedTasks.get(taskId))?.lastRunId ?? undefined;
    const wanted: RunId | undefined = runId ?? run?.record.runId ?? (await lastRunId());
    const events = wanted === undefined ? [] : await histories.read(taskId, wanted);
    if (wanted === undefined || events.length === 0) {
      answering.refuse(respond, unknownWorkflow(taskId));
      return;
    }
    const lastEventId = events.at(-1)?.eventId ?? 0;
    const page = pageOf(
      events.filter((event) => event.eventId > afterEventId),
      answerBytesMax() - ENVELOPE_BYTES,
    );
    answering.answer(respond, { runId: wanted, events: page, lastEventId });
  }
}

/** As many as fit; always one, which the limits of its fields keep small enough. */
function pageOf(events: readonly HistoryEvent[], bytesMax: number): readonly HistoryEvent[] {
  let bytes = 0;
  let count = 0;
  for (const event of events) {
    bytes += jsonBytes(event) + 1;
    if (count > 0 && bytes > bytesMax) break;
    count += 1;
  }
  return events.slice(0, count);
}

function unknownWorkflow(taskId: WorkflowId) {
  const message = `no run of workflow ${taskId} is kept here: it was never started, or its retention is over.`;
  return { code: "NOT_FOUND" as const, message, details: { taskId } };
}
