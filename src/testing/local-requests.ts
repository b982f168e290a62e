/** What a client asks about runs, answered by the core of this process; the client's own code asks it. */
import { PerdureError } from "../errors.js";
import type { AskedOutcome } from "../machines/effect.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { RunId, WorkflowId } from "../protocol/ids.js";
import type { Subjects } from "../protocol/subjects.js";
import {
  WorkflowCancelRequest,
  WorkflowHistoryRequest,
  WorkflowQueryRequest,
  WorkflowResetRequest,
  WorkflowSignalRequest,
  WorkflowTerminateRequest,
  WorkflowUpdateRequest,
} from "../protocol/workflow-message.js";
import { type LocalOrchestrator, refusalError } from "./local-orchestrator.js";
import type { VirtualTime } from "./virtual-time.js";

type Answer = (body: unknown) => object | Promise<object>;
type Refused = { readonly ok: false; readonly refusal: Parameters<typeof refusalError>[0] };

export interface LocalRequestsOptions {
  readonly orchestrator: LocalOrchestrator;
  readonly time: VirtualTime;
  /** Lets everything happen that takes no time. */
  readonly settle: () => Promise<void>;
  readonly subjects: Subjects;
}

export class LocalRequests {
  readonly #orchestrator: LocalOrchestrator;
  readonly #time: VirtualTime;
  readonly #settle: () => Promise<void>;
  readonly #answers: ReadonlyMap<string, Answer>;

  constructor({ orchestrator, time, settle, subjects }: LocalRequestsOptions) {
    this.#orchestrator = orchestrator;
    this.#time = time;
    this.#settle = settle;
    this.#answers = new Map<string, Answer>([
      [subjects.workflowSignal, (body) => this.#signal(body)],
      [subjects.workflowQuery, (body) => this.#query(body)],
      [subjects.workflowUpdate, (body) => this.#update(body)],
      [subjects.workflowCancel, (body) => this.#cancel(body)],
      [subjects.workflowTerminate, (body) => this.#terminate(body)],
      [subjects.workflowReset, (body) => this.#reset(body)],
      [subjects.workflowHistory, (body) => this.#history(body)],
    ]);
  }

  /** @throws PerdureError as the orchestrator refuses */
  answer(subject: string, body: string): object | Promise<object> {
    const answer = this.#answers.get(subject);
    if (answer === undefined) throw new Error(`a test environment does not answer ${subject}`);
    return answer(JSON.parse(body));
  }

  #signal(body: unknown): object {
    const { taskId, name, input, signalId, messageId } = WorkflowSignalRequest.parse(body);
    const { core, now } = this.#orchestrator;
    const signalled = core.signal(taskId, { name, input, signalId: signalId ?? messageId }, now);
    return { taskId, runId: granted(signalled).run.record.runId };
  }

  #cancel(body: unknown): object {
    const { taskId } = WorkflowCancelRequest.parse(body);
    const { core, now } = this.#orchestrator;
    granted(core.cancel(taskId, now));
    return { taskId, runId: this.#runIdOf(taskId) };
  }

  #terminate(body: unknown): object {
    const { taskId, reason } = WorkflowTerminateRequest.parse(body);
    const { core, now } = this.#orchestrator;
    const terminated = core.terminate(taskId, reason ?? "it was terminated on request", now);
    return { taskId, runId: granted(terminated).run.record.runId };
  }

  async #reset(body: unknown): Promise<object> {
    const {
      taskId,
      messageId: requestId,
      reason = "it was reset on request",
      ...request
    } = WorkflowResetRequest.parse(body);
    await this.#settle();
    const { core, now } = this.#orchestrator;
    const runId = this.#runIdOf(taskId);
    const workflow = core.ledger.tasks.get(taskId);
    if (runId === undefined || workflow === undefined) {
      throw new PerdureError("NOT_FOUND", `no workflow ${taskId} was started in this test environment`);
    }
    const history = { runId, events: this.#orchestrator.history(taskId, runId) };
    return { taskId, runId: granted(core.reset(workflow, history, { requestId, reason, ...request }, now)).runId };
  }

  async #query(body: unknown): Promise<object> {
    const { taskId, name, input, messageId } = WorkflowQueryRequest.parse(body);
    const { core, now } = this.#orchestrator;
    const { askedId } = granted(core.query(taskId, { queryId: messageId, name, input }, now));
    const outcome = await this.#outcome(taskId, askedId, "stands still", `query ${name} is not answered`);
    switch (outcome.state) {
      case "completed":
        return { output: outcome.output };
      case "failed":
      case "rejected":
        return { failure: outcome.failure };
      default:
        throw new PerdureError("NOT_READY", `workflow ${taskId} closed before it answered query ${name}`);
    }
  }

  async #update(body: unknown): Promise<object> {
    const request = WorkflowUpdateRequest.parse(body);
    const { taskId, name, input, waitFor } = request;
    const updateId = request.updateId ?? request.messageId;
    const { core, now } = this.#orchestrator;
    const { askedId, known } = granted(core.update(taskId, { updateId, name, input }, now));
    if (known?.state === "completed") return { updateId, ...this.#completed(taskId, known.runId, updateId) };
    const isKnown = known?.state === "failed" || (known?.state === "accepted" && waitFor === "accepted");
    const outcome = isKnown
      ? known
      : await this.#outcome(taskId, askedId, "may pass", `update ${name} is not finished`, waitFor);
    if (outcome.state === "runClosed") {
      throw new PerdureError("NOT_READY", outcome.message, { details: { taskId, updateId } });
    }
    const { state: stage, ...rest } = outcome;
    return { updateId, stage, ...rest };
  }

  async #history(body: unknown): Promise<object> {
    const { taskId, runId, afterEventId } = WorkflowHistoryRequest.parse(body);
    await this.#settle();
    const events = this.#orchestrator.history(taskId, runId);
    const lastEventId = events.at(-1)?.eventId ?? 0;
    return {
      runId: runId ?? this.#runIdOf(taskId),
      events: events.filter(({ eventId }) => eventId > afterEventId),
      lastEventId,
    };
  }

  /** What becomes of a question: in the end, or as soon as it is accepted where that is enough. */
  async #outcome(
    workflowId: WorkflowId,
    askedId: string,
    time: "may pass" | "stands still",
    what: string,
    waitFor: "accepted" | "completed" = "completed",
  ): Promise<AskedOutcome> {
    const seen: AskedOutcome[] = [];
    this.#orchestrator.onOutcome(askedId, (outcome) => {
      if (outcome.state !== "accepted" || waitFor === "accepted") seen.push(outcome);
    });
    const isOver = (): boolean => seen.length > 0 || this.#orchestrator.stuck(workflowId) !== null;
    await this.#time.wait(isOver, time, () => what);
    const [outcome] = seen;
    if (outcome !== undefined) return outcome;
    throw this.#orchestrator.stuck(workflowId) ?? new Error(`${askedId} was over without an outcome`);
  }

  #completed(workflowId: WorkflowId, runId: RunId, updateId: string): object {
    const isEnd = (event: HistoryEvent) =>
      event.type === "WorkflowExecutionUpdateCompleted" && event.updateId === updateId;
    const end = this.#orchestrator.history(workflowId, runId).find(isEnd);
    if (end?.type !== "WorkflowExecutionUpdateCompleted") throw new Error(`update ${updateId} has no end`);
    const { output, failure } = end;
    return failure === undefined ? { stage: "completed", output } : { stage: "failed", failure };
  }

  #runIdOf(workflowId: WorkflowId): RunId | undefined {
    return this.#orchestrator.core.ledger.runs.of(workflowId)?.record.runId;
  }
}

function granted<Granted extends { readonly ok: true }>(asked: Granted | Refused): Granted {
  if (asked.ok) return asked;
  throw refusalError(asked.refusal);
}
