/**
 * Requests of clients -> decisions of the core -> answers.
 */
import type { z } from "zod";
import type { Clock } from "../clock.js";
import type { Refusal } from "../core/admission.js";
import type { Core } from "../core/core.js";
import { unknownTask } from "../core/core.js";
import { isInternal } from "../core/ledger.js";
import { idsNamedBy, type SubmissionRequest } from "../core/submission.js";
import { visibleState } from "../core/views.js";
import type { Message } from "../jetstream/connection.js";
import type { Endpoint, Respond } from "../jetstream/service-endpoint.js";
import { type Logger, SampledLog } from "../logger.js";
import type { TaskId, WorkflowId } from "../protocol/ids.js";
import { WAIT_TIMEOUT_MS_MAX } from "../protocol/limits.js";
import type { Subjects } from "../protocol/subjects.js";
import { SystemStatusRequest } from "../protocol/system-message.js";
import { TaskListRequest, TaskRequest, TaskSubmissionMessage, TaskWaitRequest } from "../protocol/task-message.js";
import { endedStates, type TaskRecord } from "../protocol/task-record.js";
import type { Answering } from "./answering.js";
import type { CommitLoop } from "./commit-loop.js";
import type { EndedTasks } from "./ended-tasks.js";
import { fitting } from "./fit.js";
import type { Histories } from "./histories.js";
import type { Stamp } from "./run-effects.js";
import type { Waiters } from "./waiters.js";
import type { AskUpdate } from "./workflow-intake.js";

const LIST_LIMIT_DEFAULT = 100;

export interface RequestIntakeOptions {
  readonly core: Core;
  readonly loop: CommitLoop;
  readonly waiters: Waiters;
  readonly endedTasks: EndedTasks;
  readonly histories: Histories;
  readonly subjects: Subjects;
  readonly stamp: Stamp;
  readonly clock: Clock;
  readonly answering: Answering;
  readonly logger: Logger;
  /** What NATS takes in one message. */
  readonly answerBytesMax: () => number;
  readonly askUpdate: AskUpdate;
  readonly describeSystem: () => object;
  readonly describeHealth: () => object;
}

export class RequestIntake {
  readonly #options: RequestIntakeOptions;
  readonly #queueFull: SampledLog;
  readonly #stalled: SampledLog;

  constructor(options: RequestIntakeOptions) {
    this.#options = options;
    const { logger } = options;
    this.#queueFull = new SampledLog(logger, "warn", "submissions are refused: too many tasks wait", { linesMax: 1 });
    this.#stalled = new SampledLog(logger, "error", "submissions are refused: the journal acknowledges nothing", {
      linesMax: 1,
    });
  }

  endpoints(): readonly Endpoint[] {
    const { subjects, answering } = this.#options;
    return [
      answering.endpoint("task-submit", subjects.taskSubmit, TaskSubmissionMessage, (request, respond, message) =>
        this.#submit(request, respond, message),
      ),
      answering.endpoint("task-get", subjects.taskGet, TaskRequest, ({ taskId }, respond) =>
        this.#withTask(taskId, respond, (record) => this.#answerTask(record, respond)),
      ),
      answering.endpoint("task-wait", subjects.taskWait, TaskWaitRequest, ({ taskId, timeoutMs }, respond) =>
        this.#withTask(taskId, respond, (record) =>
          this.#wait(record, respond, Math.min(timeoutMs ?? WAIT_TIMEOUT_MS_MAX, WAIT_TIMEOUT_MS_MAX)),
        ),
      ),
      answering.endpoint("task-cancel", subjects.taskCancel, TaskRequest, ({ taskId }, respond) =>
        this.#withTask(taskId, respond, (record) => {
          this.#options.core.cancel(taskId, this.#options.clock.now());
          this.#answerTask(record, respond);
        }),
      ),
      answering.endpoint("task-explain", subjects.taskExplain, TaskRequest, ({ taskId }, respond) =>
        this.#withTask(taskId, respond, (record) => {
          const now = this.#options.clock.now();
          const explanation = { taskId, state: visibleState(record), reason: this.#options.core.explain(record, now) };
          this.#options.answering.answer(respond, { explanation });
        }),
      ),
      answering.endpoint("task-list", subjects.taskList, TaskListRequest, (request, respond) =>
        this.#list(request, respond),
      ),
      answering.endpoint("system-status", subjects.systemStatus, SystemStatusRequest, (_, respond) =>
        this.#options.answering.answer(respond, this.#options.describeSystem()),
      ),
      this.#healthEndpoint(),
    ];
  }

  /** Health is also broadcast on this subject: a message that asks for no reply is our own. */
  #healthEndpoint(): Endpoint {
    const endpoint = this.#options.answering.endpoint(
      "health",
      this.#options.subjects.health,
      SystemStatusRequest,
      (_, respond) => this.#options.answering.answer(respond, this.#options.describeHealth()),
    );
    return {
      ...endpoint,
      handle: (message, respond) => {
        if (message.reply !== undefined) endpoint.handle(message, respond);
      },
    };
  }

  #list(request: z.infer<typeof TaskListRequest>, respond: Respond): void {
    const { core, clock, answerBytesMax } = this.#options;
    const { tasks, total } = core.list(request, request.limit ?? LIST_LIMIT_DEFAULT, clock.now());
    this.#options.answering.answer(respond, { tasks: fitting(tasks, answerBytesMax()), total });
  }

  #submit(request: z.infer<typeof TaskSubmissionMessage>, respond: Respond, message: Message): void | Promise<void> {
    if (this.#options.loop.isStalled) {
      this.#stalled.write({ code: "STORAGE_UNAVAILABLE" });
      // Said at once and not through the loop, which is what does not move.
      const why =
        "the journal has not acknowledged a write for a while and nothing more is taken in; the task was not accepted. Ask again later with the same id.";
      respond(this.#options.stamp({ error: { code: "STORAGE_UNAVAILABLE", message: why } }), "STORAGE_UNAVAILABLE");
      return;
    }
    const { messageId, preferredAgentId } = request;
    const tasks = request.tasks ?? (request.task === undefined ? [] : [request.task]);
    const { core, endedTasks, clock } = this.#options;
    const asked = {
      messageId,
      tasks,
      form: request.tasks === undefined ? ("single" as const) : ("batch" as const),
      preferredAgentId,
      traceparent: message.header("traceparent"),
      bytes: message.data.byteLength,
    };
    const heard = new Set<TaskId>();
    const decide = (ended: ReadonlyMap<TaskId, TaskRecord>): void | Promise<void> => {
      const submitted = core.submit({ ...asked, ended, heard }, clock.now());
      if (!submitted.ok) this.#refuseSubmission(respond, submitted.refusal);
      else if (request.task?.update !== undefined) {
        const [taskId] = submitted.taskIds as [WorkflowId];
        const { updateId = messageId, waitFor = "completed", ...update } = request.task.update;
        return this.#options.askUpdate({ ...update, taskId, updateId, waitFor }, respond, (standing) => ({
          taskId,
          update: standing,
        }));
      } else if (request.tasks === undefined) {
        this.#options.answering.answer(respond, { taskId: submitted.taskIds[0] });
      } else this.#options.answering.answer(respond, { taskIds: submitted.taskIds });
    };
    const named = idsNamedBy(asked);
    const lookUp = (sought: ReadonlySet<TaskId>, ended: ReadonlyMap<TaskId, TaskRecord>): void | Promise<void> => {
      // Nearly always nothing has to be read: a new id is known to be new without asking the server.
      const absent = named.filter((id) => !sought.has(id) && !core.ledger.tasks.has(id) && endedTasks.mayHold(id));
      if (absent.length === 0) return decide(ended);
      // Others may leave memory while these are read; a task forgotten then must not be taken for a new one.
      return endedTasks.getAll(absent).then(async (found) => {
        for (const record of found.values()) {
          if (await this.#hadHeard(asked, record)) heard.add(record.spec.taskId);
        }
        return await lookUp(new Set([...sought, ...absent]), new Map([...ended, ...found]));
      });
    };
    return lookUp(new Set(), new Map());
  }

  /**
   * Whether what came with a start was taken by the last run of a workflow that has ended since, and is asked again: the
   * signal of the very same request, or the update.
   */
  async #hadHeard({ messageId, tasks }: Pick<SubmissionRequest, "messageId" | "tasks">, ended: TaskRecord) {
    const { spec, lastRunId } = ended;
    const start = tasks.find((task) => task.taskId === spec.taskId);
    const isSignal = start?.signal !== undefined && (start.signal.signalId ?? messageId) === messageId;
    const updateId = start?.update === undefined ? null : (start.update.updateId ?? messageId);
    if (lastRunId === null || (!isSignal && updateId === null)) return false;
    const history = await this.#options.histories.read(spec.taskId as WorkflowId, lastRunId);
    return history.some(
      (event) =>
        (isSignal && event.type === "WorkflowExecutionSignaled" && event.signalId === messageId) ||
        (event.type === "WorkflowExecutionUpdateAccepted" && event.updateId === updateId),
    );
  }

  #wait(record: TaskRecord, respond: Respond, timeoutMs: number): void {
    if (endedStates.has(record.state)) {
      this.#answerTask(record, respond);
      return;
    }
    this.#options.waiters.add(record.spec.taskId, respond, timeoutMs, () => this.#answerTask(record, respond));
  }

  /** Finds a task in memory or among the ended ones; refuses the request if there is none. */
  #withTask(taskId: TaskId, respond: Respond, then: (record: TaskRecord) => void): void | Promise<void> {
    const { core, endedTasks } = this.#options;
    const record = core.ledger.tasks.get(taskId);
    if (record !== undefined && !isInternal(record)) return then(record);
    if (!endedTasks.mayHold(taskId)) return this.#options.answering.refuse(respond, unknownTask(taskId));
    return endedTasks.get(taskId).then((ended) => {
      // It may have been submitted while the store was asked.
      const found = core.ledger.tasks.get(taskId) ?? ended;
      if (found === null) this.#options.answering.refuse(respond, unknownTask(taskId));
      else then(found);
    });
  }

  #answerTask(record: TaskRecord, respond: Respond): void {
    this.#options.answering.answer(respond, { task: this.#options.core.view(record, this.#options.clock.now()) });
  }

  #refuseSubmission(respond: Respond, refusal: Refusal): void {
    const { code, details } = refusal;
    if (code === "QUEUE_FULL") this.#queueFull.write({ code });
    const { logger, answering } = this.#options;
    if (logger.isLevelEnabled("debug")) logger.debug({ taskId: details?.["taskId"], code }, "a submission was refused");
    answering.refuse(respond, refusal);
  }
}
