/**
 * The client: submits tasks and asks about them. Every method asks until it is answered or its time is up
 * (idempotent-request.ts), so a change of leaders in between is not noticed.
 */
import { randomUUID } from "node:crypto";
import type { z } from "zod";
import { systemClock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { type Connection, connect, type Subscription } from "../jetstream/connection.js";
import { type Logger, silentLogger } from "../logger.js";
import { DEFAULT_NAMESPACE, Namespace, TaskId } from "../protocol/ids.js";
import { parseMessage } from "../protocol/parse.js";
import { type Subjects, subjectsOf } from "../protocol/subjects.js";
import { HealthMessage, SystemStatusReply } from "../protocol/system-message.js";
import {
  TaskExplainReply,
  TaskListReply,
  TaskListRequest,
  TaskReply,
  type TaskState,
  TaskSubmissionResponse,
  type TaskView,
} from "../protocol/task-message.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import type { InputOf } from "../workflow/standard-schema.js";
import type { ClientOptions } from "./client-options.js";
import { askUntilAnswered } from "./idempotent-request.js";
import { type RunHandle, type RunHandleParts, runHandle, type StartOptions, startOf } from "./run-handle.js";
import { encodeSubmission, type NewTask } from "./submission.js";
import { eventsOf, listenToEvents, type SystemEvent } from "./system-events.js";
import { type EndedTask, outputOf } from "./task-outcome.js";
import { waitForTask } from "./wait-for-task.js";

export interface SubmitOptions {
  /** Chosen if it can take the task; another one otherwise. */
  readonly preferredAgentId?: string;
  /** A UUID. Give your own to submit again, later or from another process, what may have been submitted already. */
  readonly messageId?: string;
  /** How long to ask. Default: the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WaitOptions {
  /** Default: as long as it takes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface TaskFilter {
  readonly states?: readonly TaskState[];
  readonly type?: string;
  readonly agentId?: string;
  /** At most 1,000. */
  readonly limit?: number;
}

export interface TaskList {
  readonly tasks: readonly TaskView[];
  /** Tasks that match, of which `tasks` has the first `limit`. */
  readonly total: number;
}

/** A submitted task. */
export interface TaskHandle {
  readonly taskId: string;
  wait(options?: WaitOptions): Promise<EndedTask>;
  result(options?: WaitOptions): Promise<unknown>;
  get(): Promise<TaskView>;
  cancel(): Promise<TaskView>;
}

/**
 * Every method throws a PerdureError: the orchestrator's refusal with its code; NO_RESPONDERS or REQUEST_TIMED_OUT
 * when nobody answered in time; CONNECTION_FAILED after `close`; INVALID_ID for what cannot be an id, before asking.
 */
export interface Client {
  /**
   * Resolves once the task is on disk. When it fails with REQUEST_TIMED_OUT nobody knows: submit again with the same
   * `taskId` or `messageId`.
   * @throws PerdureError also INVALID_MESSAGE, INVALID_PRIORITY, PAYLOAD_TOO_LARGE (before asking), ID_CONFLICT,
   *   DEPENDENCY_UNKNOWN, QUEUE_FULL
   */
  submit(task: NewTask, options?: SubmitOptions): Promise<TaskHandle>;
  /** Accepted whole or not at all; members may depend on each other. Handles are in the order of the tasks. */
  submitAll(tasks: readonly NewTask[], options?: SubmitOptions): Promise<readonly TaskHandle[]>;
  /** Starts a workflow: resolves once that is on disk. @throws as `submit` does; INVALID_MESSAGE for a wrong input */
  start<Definition extends AnyWorkflow>(
    definition: Definition,
    input: InputOf<Definition["declared"]["input"]>,
    options?: StartOptions,
  ): Promise<RunHandle<Definition>>;
  start(workflowType: string, input?: unknown, options?: StartOptions): Promise<RunHandle>;
  /** A workflow that was started before, by whomever. */
  workflow<Definition extends AnyWorkflow>(definition: Definition, workflowId: string): RunHandle<Definition>;
  workflow(workflowId: string): RunHandle;
  /** Resolves when the task has ended, in whichever way. REQUEST_TIMED_OUT when `timeoutMs` passes before. */
  wait(taskId: string, options?: WaitOptions): Promise<EndedTask>;
  /**
   * The output of a task, once it has ended.
   * @throws TaskFailedError if it did not complete
   */
  result(taskId: string, options?: WaitOptions): Promise<unknown>;
  get(taskId: string): Promise<TaskView>;
  list(filter?: TaskFilter): Promise<TaskList>;
  /** Resolves once the request is on disk; a running task ends a moment later, and `wait` says how. */
  cancel(taskId: string): Promise<TaskView>;
  /** One sentence: what the task waits for, or how it ended. */
  explain(taskId: string): Promise<string>;
  status(): Promise<SystemStatusReply>;
  health(): Promise<HealthMessage>;
  /** Calls back with each system event from now on. At most once each: look on with them, do not decide. */
  onEvent(listener: (event: SystemEvent) => void): Subscription;
  /** The same for a `for await` loop; ends with the signal, or with the client. */
  events(options?: { readonly signal?: AbortSignal }): AsyncGenerator<SystemEvent, void, undefined>;
  /** Ends event loops and, unless it was handed in, the connection. May be called twice. */
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS_DEFAULT = 30_000;
/** An orchestrator answers within milliseconds; one that has not by now may have died with the request. */
const TRY_TIMEOUT_MS = 5_000;
const SERVER_DEFAULT = "nats://localhost:4222";

/** @throws PerdureError CONNECTION_FAILED where no server answers, INVALID_ID for a namespace that is none. */
export async function connectClient(options: ClientOptions = {}): Promise<Client> {
  const namespace = Namespace.safeParse(options.namespace ?? DEFAULT_NAMESPACE);
  if (!namespace.success) {
    throw new PerdureError("INVALID_ID", `namespace "${options.namespace}" must match [a-z0-9][a-z0-9-]{0,31}`, {
      details: { namespace: options.namespace },
    });
  }
  const logger = options.logger ?? silentLogger;
  const { token, user, password, inboxPrefix } = options;
  const connection =
    options.connection ??
    (await connect({
      servers: options.servers ?? SERVER_DEFAULT,
      name: options.name ?? "perdure client",
      token,
      user,
      password,
      inboxPrefix,
      logger,
    }));
  return new ConnectedClient({
    connection,
    connectionOwner: options.connection === undefined ? "client" : "caller",
    subjects: subjectsOf(namespace.data),
    requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
    logger,
  });
}

interface ClientParts {
  readonly connection: Connection;
  readonly connectionOwner: "client" | "caller";
  readonly subjects: Subjects;
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
}

interface Question<S extends z.ZodType> {
  readonly subject: string;
  readonly body: string;
  readonly reply: S;
  readonly what: string;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

class ConnectedClient implements Client {
  readonly #parts: ClientParts;
  /** Aborted by `close`. */
  readonly #closing = new AbortController();

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  async submit(task: NewTask, options: SubmitOptions = {}): Promise<TaskHandle> {
    const messageId = options.messageId ?? randomUUID();
    const { preferredAgentId } = options;
    const { connection, subjects } = this.#parts;
    const { taskId } = await this.#ask({
      subject: subjects.taskSubmit,
      body: encodeSubmission({ task, messageId, preferredAgentId }, Date.now(), connection.maxPayloadBytes),
      reply: TaskSubmissionResponse,
      what: `the submission of task ${task.taskId ?? messageId}`,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
    });
    if (taskId === undefined) throw unnamed(messageId);
    return this.#handle(taskId);
  }

  async submitAll(tasks: readonly NewTask[], options: SubmitOptions = {}): Promise<readonly TaskHandle[]> {
    const messageId = options.messageId ?? randomUUID();
    const { preferredAgentId } = options;
    const { connection, subjects } = this.#parts;
    const { taskIds } = await this.#ask({
      subject: subjects.taskSubmit,
      body: encodeSubmission({ tasks, messageId, preferredAgentId }, Date.now(), connection.maxPayloadBytes),
      reply: TaskSubmissionResponse,
      what: `the submission of ${tasks.length} tasks (message ${messageId})`,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
    });
    if (taskIds === undefined) throw unnamed(messageId);
    return taskIds.map((taskId) => this.#handle(taskId));
  }

  async start<Definition extends AnyWorkflow>(
    definition: Definition | string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<RunHandle<Definition>> {
    const { taskId } = await this.submit(startOf(definition, input, options));
    return runHandle(this.#runHandleParts(), definition, taskId);
  }

  workflow<Definition extends AnyWorkflow>(
    definition: Definition | string,
    workflowId?: string,
  ): RunHandle<Definition> {
    const id = checkedTaskId(workflowId ?? String(definition));
    return runHandle(this.#runHandleParts(), definition, id);
  }

  #runHandleParts(): RunHandleParts {
    return {
      subjects: this.#parts.subjects,
      ask: (question) => this.#ask(question),
      get: (taskId) => this.get(taskId),
      wait: (taskId, options) => this.wait(taskId, options),
      result: (taskId, options) => this.result(taskId, options),
    };
  }

  async wait(taskId: string, options: WaitOptions = {}): Promise<EndedTask> {
    const { connection, subjects } = this.#parts;
    return await waitForTask({
      connection,
      subject: subjects.taskWait,
      taskId: checkedTaskId(taskId),
      timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY,
      signal: options.signal,
      closing: this.#closing.signal,
      clock: systemClock,
    });
  }

  async result(taskId: string, options: WaitOptions = {}): Promise<unknown> {
    return outputOf(await this.wait(taskId, options));
  }

  async get(taskId: string): Promise<TaskView> {
    const { task } = await this.#askAbout(taskId, this.#parts.subjects.taskGet, TaskReply, "the state of task");
    return task;
  }

  async cancel(taskId: string): Promise<TaskView> {
    const { task } = await this.#askAbout(
      taskId,
      this.#parts.subjects.taskCancel,
      TaskReply,
      "the cancellation of task",
    );
    return task;
  }

  async explain(taskId: string): Promise<string> {
    const { subjects } = this.#parts;
    const { explanation } = await this.#askAbout(
      taskId,
      subjects.taskExplain,
      TaskExplainReply,
      "the explanation of task",
    );
    return explanation.reason;
  }

  async list(filter: TaskFilter = {}): Promise<TaskList> {
    const request = parseMessage(TaskListRequest, { ...newEnvelope(), ...filter });
    if (!request.ok) {
      throw new PerdureError(
        request.failure.code,
        `the filter would be refused and was not sent: ${request.failure.message}`,
        {
          details: { fields: request.failure.fields },
        },
      );
    }
    const { tasks, total } = await this.#ask({
      subject: this.#parts.subjects.taskList,
      body: JSON.stringify(request.value),
      reply: TaskListReply,
      what: "the list of tasks",
    });
    return { tasks, total };
  }

  status(): Promise<SystemStatusReply> {
    return this.#ask({
      subject: this.#parts.subjects.systemStatus,
      body: JSON.stringify(newEnvelope()),
      reply: SystemStatusReply,
      what: "the system's status",
    });
  }

  health(): Promise<HealthMessage> {
    return this.#ask({
      subject: this.#parts.subjects.health,
      body: JSON.stringify(newEnvelope()),
      reply: HealthMessage,
      what: "the system's health",
    });
  }

  onEvent(listener: (event: SystemEvent) => void): Subscription {
    const { connection, subjects, logger } = this.#parts;
    const subscription = listenToEvents(connection, subjects.systemEvent, listener, logger);
    const closing = this.#closing.signal;
    const unsubscribe = (): void => {
      closing.removeEventListener("abort", unsubscribe);
      subscription.unsubscribe();
    };
    closing.addEventListener("abort", unsubscribe);
    return { unsubscribe };
  }

  events(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<SystemEvent, void, undefined> {
    const { signal } = options;
    const closing = this.#closing.signal;
    return eventsOf(
      (listener) => this.onEvent(listener),
      signal === undefined ? closing : AbortSignal.any([closing, signal]),
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const { connection, connectionOwner } = this.#parts;
    if (connectionOwner === "client") await connection.close();
  }

  #handle(taskId: TaskId): TaskHandle {
    return {
      taskId,
      wait: (options) => this.wait(taskId, options),
      result: (options) => this.result(taskId, options),
      get: () => this.get(taskId),
      cancel: () => this.cancel(taskId),
    };
  }

  async #askAbout<S extends z.ZodType>(taskId: string, subject: string, reply: S, what: string): Promise<z.infer<S>> {
    const checked = checkedTaskId(taskId);
    return await this.#ask({
      subject,
      body: JSON.stringify({ ...newEnvelope(), taskId: checked }),
      reply,
      what: `${what} ${checked}`,
    });
  }

  #ask<S extends z.ZodType>(question: Question<S>): Promise<z.infer<S>> {
    const { connection, requestTimeoutMs } = this.#parts;
    return askUntilAnswered({
      connection,
      subject: question.subject,
      body: question.body,
      reply: question.reply,
      tryTimeoutMs: TRY_TIMEOUT_MS,
      timeoutMs: question.timeoutMs ?? requestTimeoutMs,
      signal: question.signal,
      closing: this.#closing.signal,
      what: question.what,
      clock: systemClock,
    });
  }
}

const newEnvelope = () => ({ messageId: randomUUID(), timestamp: Date.now() });

function checkedTaskId(taskId: string): TaskId {
  const parsed = TaskId.safeParse(taskId);
  if (parsed.success) return parsed.data;
  throw new PerdureError("INVALID_ID", `"${taskId}" is no task id: it must match [A-Za-z0-9][A-Za-z0-9_-]{0,127}`, {
    details: { taskId },
  });
}

function unnamed(messageId: string): PerdureError {
  return new PerdureError(
    "INVALID_MESSAGE",
    `the answer to submission ${messageId} names no task; it was accepted. Is another version of the orchestrator running?`,
    { details: { messageId } },
  );
}
