/**
 * Requests of clients -> decisions of the core -> answers.
 *
 * Every answer is let go through the commit loop, so it never speaks of what is not on disk. Only a leader with a
 * fresh lease answers: others let the client ask again.
 */
import type { z } from "zod";
import type { Clock } from "../clock.js";
import type { Refusal } from "../core/admission.js";
import type { Core } from "../core/core.js";
import { unknownTask } from "../core/core.js";
import { idsNamedBy } from "../core/submission.js";
import { visibleState } from "../core/views.js";
import type { Message } from "../jetstream/connection.js";
import type { Endpoint, Respond } from "../jetstream/service-endpoint.js";
import { type Logger, SampledLog } from "../logger.js";
import { decodeRequest } from "../protocol/decode.js";
import type { TaskId } from "../protocol/ids.js";
import { WAIT_TIMEOUT_MS_MAX } from "../protocol/limits.js";
import type { Subjects } from "../protocol/subjects.js";
import { SystemStatusRequest } from "../protocol/system-message.js";
import { TaskListRequest, TaskRequest, TaskSubmissionMessage, TaskWaitRequest } from "../protocol/task-message.js";
import { endedStates, type TaskRecord } from "../protocol/task-record.js";
import type { CommitLoop } from "./commit-loop.js";
import type { EndedTasks } from "./ended-tasks.js";
import { fitting } from "./fit.js";
import type { ProcessTally } from "./process-tally.js";
import type { Stamp } from "./run-effects.js";
import type { Waiters } from "./waiters.js";

const LIST_LIMIT_DEFAULT = 100;

export interface RequestIntakeOptions {
  readonly core: Core;
  readonly loop: CommitLoop;
  readonly waiters: Waiters;
  readonly endedTasks: EndedTasks;
  readonly subjects: Subjects;
  readonly stamp: Stamp;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tally: ProcessTally;
  /** Whether this process may still speak as the leader. */
  readonly mayAnswer: () => boolean;
  /** What NATS takes in one message. */
  readonly answerBytesMax: () => number;
  readonly describeSystem: () => object;
  readonly describeHealth: () => object;
}

export class RequestIntake {
  readonly #options: RequestIntakeOptions;
  readonly #failed: SampledLog;
  readonly #queueFull: SampledLog;
  readonly #stalled: SampledLog;

  constructor(options: RequestIntakeOptions) {
    this.#options = options;
    const { logger } = options;
    this.#failed = new SampledLog(logger, "error", "a request could not be handled");
    this.#queueFull = new SampledLog(logger, "warn", "submissions are refused: too many tasks wait", { linesMax: 1 });
    this.#stalled = new SampledLog(logger, "error", "submissions are refused: the journal acknowledges nothing", {
      linesMax: 1,
    });
  }

  endpoints(): readonly Endpoint[] {
    const { subjects } = this.#options;
    return [
      this.#endpoint("task-submit", subjects.taskSubmit, TaskSubmissionMessage, (request, respond, message) =>
        this.#submit(request, respond, message),
      ),
      this.#endpoint("task-get", subjects.taskGet, TaskRequest, ({ taskId }, respond) =>
        this.#withTask(taskId, respond, (record) => this.#answerTask(record, respond)),
      ),
      this.#endpoint("task-wait", subjects.taskWait, TaskWaitRequest, ({ taskId, timeoutMs }, respond) =>
        this.#withTask(taskId, respond, (record) =>
          this.#wait(record, respond, Math.min(timeoutMs ?? WAIT_TIMEOUT_MS_MAX, WAIT_TIMEOUT_MS_MAX)),
        ),
      ),
      this.#endpoint("task-cancel", subjects.taskCancel, TaskRequest, ({ taskId }, respond) =>
        this.#withTask(taskId, respond, (record) => {
          this.#options.core.cancel(taskId, this.#options.clock.now());
          this.#answerTask(record, respond);
        }),
      ),
      this.#endpoint("task-explain", subjects.taskExplain, TaskRequest, ({ taskId }, respond) =>
        this.#withTask(taskId, respond, (record) => {
          const now = this.#options.clock.now();
          const explanation = { taskId, state: visibleState(record), reason: this.#options.core.explain(record, now) };
          this.#answer(respond, { explanation });
        }),
      ),
      this.#endpoint("task-list", subjects.taskList, TaskListRequest, (request, respond) =>
        this.#list(request, respond),
      ),
      this.#endpoint("system-status", subjects.systemStatus, SystemStatusRequest, (_, respond) =>
        this.#answer(respond, this.#options.describeSystem()),
      ),
      this.#healthEndpoint(),
    ];
  }

  /** Health is also broadcast on this subject: a message that asks for no reply is our own. */
  #healthEndpoint(): Endpoint {
    const endpoint = this.#endpoint("health", this.#options.subjects.health, SystemStatusRequest, (_, respond) =>
      this.#answer(respond, this.#options.describeHealth()),
    );
    return {
      ...endpoint,
      handle: (message, respond) => {
        if (message.reply !== undefined) endpoint.handle(message, respond);
      },
    };
  }

  #endpoint<S extends z.ZodType>(
    name: string,
    subject: string,
    schema: S,
    handle: (request: z.infer<S>, respond: Respond, message: Message) => void | Promise<void>,
  ): Endpoint {
    return {
      name,
      subject,
      handle: (message, send) => {
        const respond: Respond = (body, errorCode) => {
          this.#options.tally.countAnswer(name, errorCode);
          send(body, errorCode);
        };
        if (!this.#options.mayAnswer()) {
          refuseNotReady(respond, this.#options.stamp);
          return;
        }
        const parsed = decodeRequest(schema, message.data);
        if (!parsed.ok) {
          const { code, message: why, fields } = parsed.failure;
          this.#refuse(respond, { code, message: `request on ${subject} refused: ${why}`, details: { fields } });
          return;
        }
        const failed = (cause: unknown): void => {
          this.#failed.write({ err: cause, request: name });
          this.#refuse(respond, {
            code: "INTERNAL",
            message: `the orchestrator could not handle the request on ${subject}; whether it took effect is unknown. Ask again with the same ids.`,
          });
        };
        try {
          handle(parsed.value, respond, message)?.catch(failed);
        } catch (cause) {
          failed(cause);
        }
      },
    };
  }

  #list(request: z.infer<typeof TaskListRequest>, respond: Respond): void {
    const { core, clock, answerBytesMax } = this.#options;
    const { tasks, total } = core.list(request, request.limit ?? LIST_LIMIT_DEFAULT, clock.now());
    this.#answer(respond, { tasks: fitting(tasks, answerBytesMax()), total });
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
    const decide = (ended: ReadonlyMap<TaskId, TaskRecord>): void => {
      const submitted = core.submit({ ...asked, ended }, clock.now());
      if (!submitted.ok) this.#refuseSubmission(respond, submitted.refusal);
      else if (request.tasks === undefined) this.#answer(respond, { taskId: submitted.taskIds[0] });
      else this.#answer(respond, { taskIds: submitted.taskIds });
    };
    const named = idsNamedBy(asked);
    const lookUp = (sought: ReadonlySet<TaskId>, ended: ReadonlyMap<TaskId, TaskRecord>): void | Promise<void> => {
      // Nearly always nothing has to be read: a new id is known to be new without asking the server.
      const absent = named.filter((id) => !sought.has(id) && !core.ledger.tasks.has(id) && endedTasks.mayHold(id));
      if (absent.length === 0) return decide(ended);
      // Others may leave memory while these are read; a task forgotten then must not be taken for a new one.
      return endedTasks
        .getAll(absent)
        .then((found) => lookUp(new Set([...sought, ...absent]), new Map([...ended, ...found])));
    };
    return lookUp(new Set(), new Map());
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
    if (record !== undefined) return then(record);
    if (!endedTasks.mayHold(taskId)) return this.#refuse(respond, unknownTask(taskId));
    return endedTasks.get(taskId).then((ended) => {
      // It may have been submitted while the store was asked.
      const found = core.ledger.tasks.get(taskId) ?? ended;
      if (found === null) this.#refuse(respond, unknownTask(taskId));
      else then(found);
    });
  }

  #answerTask(record: TaskRecord, respond: Respond): void {
    this.#answer(respond, { task: this.#options.core.view(record, this.#options.clock.now()) });
  }

  #answer(respond: Respond, fields: object): void {
    this.#options.loop.releaseAfter({ kind: "answerRequest", respond, body: this.#options.stamp(fields) });
  }

  #refuseSubmission(respond: Respond, refusal: Refusal): void {
    const { code, details } = refusal;
    if (code === "QUEUE_FULL") this.#queueFull.write({ code });
    const { logger } = this.#options;
    if (logger.isLevelEnabled("debug")) logger.debug({ taskId: details?.["taskId"], code }, "a submission was refused");
    this.#refuse(respond, refusal);
  }

  #refuse(respond: Respond, error: Refusal): void {
    const body = this.#options.stamp({ error });
    this.#options.loop.releaseAfter({ kind: "answerRequest", respond, body, errorCode: error.code });
  }
}

/** Said at once and not through the loop: it speaks of no state, and the loop of one who does not lead may not move. */
export function refuseNotReady(respond: Respond, stamp: Stamp): void {
  const code = "NOT_READY";
  const message = "this orchestrator does not lead any more, or is not sure to; it answered nothing. Ask again.";
  respond(stamp({ error: { code, message } }), code);
}
