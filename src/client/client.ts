/**
 * The client: submits tasks and asks about them. Every method asks until it is answered or its time is up
 * (idempotent-request.ts), so a change of leaders in between is not noticed.
 */
import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { z } from "zod";
import { systemClock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { type Connection, connect, type Subscription } from "../jetstream/connection.js";
import { connectionOptionsOf } from "../jetstream/connection-options.js";
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
import { Traceparent } from "../protocol/traceparent.js";
import type { UpdateStanding } from "../protocol/workflow-message.js";
import type { DagDefinition } from "../workflow/dag.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import type { InputOf } from "../workflow/standard-schema.js";
import type { ClientOptions } from "./client-options.js";
import { askUntilAnswered } from "./idempotent-request.js";
import { type RunHandle, type RunHandleParts, runHandle } from "./run-handle.js";
import { encodeSubmission, type NewTask, type Submission } from "./submission.js";
import { eventsOf, listenToEvents, type SystemEvent } from "./system-events.js";
import { type EndedTask, isEnded, outputOf } from "./task-outcome.js";
import { type UpdateWithStart, updateWithStart } from "./update-with-start.js";
import { notEnded, waitForTask } from "./wait-for-task.js";
import { type StartOptions, startOf } from "./workflow-start.js";

export interface AskOptions {
  /** How long to ask. Default: the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SubmitOptions extends AskOptions {
  /** Chosen if it can take the task; another one otherwise. */
  readonly preferredAgentId?: string | undefined;
  /** A UUID. Give your own to submit again, later or from another process, what may have been submitted already. */
  readonly messageId?: string | undefined;
  /** W3C trace context; goes out with every assignment of the task. */
  readonly traceparent?: string | undefined;
}

export interface WaitOptions {
  /** Default: as long as it takes. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TaskFilter {
  readonly states?: readonly TaskState[] | undefined;
  readonly type?: string | undefined;
  readonly agentId?: string | undefined;
  /** Tasks that this workflow asked for. */
  readonly workflowId?: string | undefined;
  /**
   * Workflows whose search attributes are equal to all of these; one that is a list has the value among its members.
   * At most 16 names.
   */
  readonly searchAttributes?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** At most 1,000. */
  readonly limit?: number | undefined;
}

export interface TaskList {
  readonly tasks: readonly TaskView[];
  /** Tasks that match, of which `tasks` has the first `limit`. */
  readonly total: number;
}

/** A submitted task. */
export interface TaskHandle {
  readonly taskId: string;
  /** Of a start that an update was submitted with: how far that has come. */
  readonly update?: UpdateStanding;
  wait(options?: WaitOptions): Promise<EndedTask>;
  result(options?: WaitOptions): Promise<unknown>;
  get(): Promise<TaskView>;
  cancel(): Promise<TaskView>;
}

/**
 * Every method throws a PerdureError: the orchestrator's refusal with its code; NO_RESPONDERS or REQUEST_TIMED_OUT
 * when nobody answered in time; CONNECTION_FAILED after `close`, or when the connection did not come back in time;
 * INVALID_ID for what cannot be an id, before asking.
 */
export interface Client extends UpdateWithStart {
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
  /** Submits all tasks of a dag, which is accepted whole or not at all; handles by the names of its tasks. */
  startDag<Definition extends DagDefinition>(
    definition: Definition,
    input: InputOf<Definition["input"]>,
    options?: { readonly dagId?: string },
  ): Promise<ReadonlyMap<string, TaskHandle>>;
  /** A workflow that was started before, by whomever. */
  workflow<Definition extends AnyWorkflow>(definition: Definition, workflowId: string): RunHandle<Definition>;
  workflow(workflowId: string): RunHandle;
  /** Resolves when the task has ended, in whichever way. REQUEST_TIMED_OUT when `timeoutMs` passes before. */
  wait(taskId: string, options?: WaitOptions): Promise<EndedTask>;
  /** The same for callers that look on: when `timeoutMs` passes before, resolves with the task as it is then. */
  waitAtMost(taskId: string, options: WaitOptions & { readonly timeoutMs: number }): Promise<TaskView>;
  /**
   * The output of a task, once it has ended.
   * @throws TaskFailedError if it did not complete
   */
  result(taskId: string, options?: WaitOptions): Promise<unknown>;
  get(taskId: string, options?: AskOptions): Promise<TaskView>;
  list(filter?: TaskFilter, options?: AskOptions): Promise<TaskList>;
  /** Resolves once the request is on disk; a running task ends a moment later, and `wait` says how. */
  cancel(taskId: string, options?: AskOptions): Promise<TaskView>;
  /** One sentence: what the task waits for, or how it ended. */
  explain(taskId: string, options?: AskOptions): Promise<string>;
  status(options?: AskOptions): Promise<SystemStatusReply>;
  health(options?: AskOptions): Promise<HealthMessage>;
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

/**
 * @throws PerdureError CONNECTION_FAILED where no server answers, INVALID_ID for a namespace that is none, USAGE for
 *   credentials that cannot be used.
 */
export async function connectClient(options: ClientOptions = {}): Promise<Client> {
  const namespace = Namespace.safeParse(options.namespace ?? DEFAULT_NAMESPACE);
  if (!namespace.success) {
    throw new PerdureError("INVALID_ID", `namespace "${options.namespace}" must match [a-z0-9][a-z0-9-]{0,31}`, {
      details: { namespace: options.namespace },
    });
  }
  const logger = options.logger ?? silentLogger;
  const connection =
    options.connection ??
    (await connect({
      ...connectionOptionsOf(options),
      servers: options.servers ?? SERVER_DEFAULT,
      name: options.name ?? "perdure client",
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
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly reply: S;
  readonly what: string;
}

class ConnectedClient implements Client {
  readonly #parts: ClientParts;
  /** Aborted by `close`. */
  readonly #closing = new AbortController();
  readonly executeUpdateWithStart: UpdateWithStart["executeUpdateWithStart"];
  readonly startUpdateWithStart: UpdateWithStart["startUpdateWithStart"];

  constructor(parts: ClientParts) {
    this.#parts = parts;
    // One for each watcher of events; Node would warn of the eleventh.
    setMaxListeners(0, this.#closing.signal);
    const calls = updateWithStart(
      this.#runHandleParts(),
      async (task, signal) => (await this.#submitOne(task, { signal })).update,
    );
    this.executeUpdateWithStart = calls.executeUpdateWithStart;
    this.startUpdateWithStart = calls.startUpdateWithStart;
  }

  async submit(task: NewTask, options: SubmitOptions = {}): Promise<TaskHandle> {
    const { taskId, update } = await this.#submitOne(task, options);
    return { ...this.#handle(taskId), ...(update === undefined ? {} : { update }) };
  }

  async #submitOne(task: NewTask, options: SubmitOptions) {
    const messageId = options.messageId ?? randomUUID();
    const what = `the submission of task ${task.taskId ?? messageId}`;
    const { taskId, update } = await this.#submit({ task, messageId }, what, options);
    if (taskId === undefined) throw unnamed(messageId);
    return { taskId, update };
  }

  async submitAll(tasks: readonly NewTask[], options: SubmitOptions = {}): Promise<readonly TaskHandle[]> {
    const messageId = options.messageId ?? randomUUID();
    const what = `the submission of ${tasks.length} tasks (message ${messageId})`;
    const { taskIds } = await this.#submit({ tasks, messageId }, what, options);
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

  async startDag<Definition extends DagDefinition>(
    definition: Definition,
    input: InputOf<Definition["input"]>,
    { dagId = randomUUID() }: { readonly dagId?: string } = {},
  ): Promise<ReadonlyMap<string, TaskHandle>> {
    const planned = definition.plan(dagId, input as never);
    const handles = await this.submitAll(planned.map(({ key: _, ...task }) => task));
    return new Map(planned.map(({ key }, index) => [key, handles[index] as TaskHandle]));
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
      ask: ({ signal, ...question }) => this.#ask(question, { signal }),
      requestTimeoutMs: this.#parts.requestTimeoutMs,
      get: (taskId) => this.get(taskId),
      wait: (taskId, options) => this.wait(taskId, options),
      result: (taskId, options) => this.result(taskId, options),
    };
  }

  async wait(taskId: string, options: WaitOptions = {}): Promise<EndedTask> {
    const timeoutMs = options.timeoutMs ?? Number.POSITIVE_INFINITY;
    const task = await this.waitAtMost(taskId, { ...options, timeoutMs });
    if (isEnded(task)) return task;
    throw notEnded(task, timeoutMs);
  }

  async waitAtMost(taskId: string, options: WaitOptions & { readonly timeoutMs: number }): Promise<TaskView> {
    const { connection, subjects } = this.#parts;
    return await waitForTask({
      connection,
      subject: subjects.taskWait,
      taskId: checkedTaskId(taskId),
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      closing: this.#closing.signal,
      clock: systemClock,
    });
  }

  async result(taskId: string, options: WaitOptions = {}): Promise<unknown> {
    return outputOf(await this.wait(taskId, options));
  }

  async get(taskId: string, options?: AskOptions): Promise<TaskView> {
    const { taskGet } = this.#parts.subjects;
    return (await this.#askAbout(taskId, taskGet, TaskReply, "the state of task", options)).task;
  }

  async cancel(taskId: string, options?: AskOptions): Promise<TaskView> {
    const { taskCancel } = this.#parts.subjects;
    return (await this.#askAbout(taskId, taskCancel, TaskReply, "the cancellation of task", options)).task;
  }

  async explain(taskId: string, options?: AskOptions): Promise<string> {
    const { taskExplain } = this.#parts.subjects;
    const answer = await this.#askAbout(taskId, taskExplain, TaskExplainReply, "the explanation of task", options);
    return answer.explanation.reason;
  }

  async list(filter: TaskFilter = {}, options?: AskOptions): Promise<TaskList> {
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
    const question = {
      subject: this.#parts.subjects.taskList,
      body: JSON.stringify(request.value),
      reply: TaskListReply,
      what: "the list of tasks",
    };
    const { tasks, total } = await this.#ask(question, options);
    return { tasks, total };
  }

  status(options?: AskOptions): Promise<SystemStatusReply> {
    const body = JSON.stringify(newEnvelope());
    const subject = this.#parts.subjects.systemStatus;
    return this.#ask({ subject, body, reply: SystemStatusReply, what: "the system's status" }, options);
  }

  health(options?: AskOptions): Promise<HealthMessage> {
    const body = JSON.stringify(newEnvelope());
    const subject = this.#parts.subjects.health;
    return this.#ask({ subject, body, reply: HealthMessage, what: "the system's health" }, options);
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

  #submit(
    asked: Pick<Submission, "task" | "tasks" | "messageId">,
    what: string,
    options: SubmitOptions,
  ): Promise<TaskSubmissionResponse> {
    const { connection, subjects } = this.#parts;
    const { preferredAgentId, traceparent } = options;
    const question = {
      subject: subjects.taskSubmit,
      body: encodeSubmission({ ...asked, preferredAgentId }, Date.now(), connection.maxPayloadBytes),
      headers: traceparent === undefined ? undefined : { traceparent: checkedTraceparent(traceparent) },
      reply: TaskSubmissionResponse,
      what,
    };
    return this.#ask(question, options);
  }

  async #askAbout<S extends z.ZodType>(
    taskId: string,
    subject: string,
    reply: S,
    what: string,
    options?: AskOptions,
  ): Promise<z.infer<S>> {
    const checked = checkedTaskId(taskId);
    const body = JSON.stringify({ ...newEnvelope(), taskId: checked });
    return await this.#ask({ subject, body, reply, what: `${what} ${checked}` }, options);
  }

  async #ask<S extends z.ZodType>(question: Question<S>, options: AskOptions = {}): Promise<z.infer<S>> {
    const { connection, requestTimeoutMs } = this.#parts;
    return await askUntilAnswered({
      connection,
      ...question,
      tryTimeoutMs: TRY_TIMEOUT_MS,
      timeoutMs: options.timeoutMs ?? requestTimeoutMs,
      signal: options.signal,
      closing: this.#closing.signal,
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

function checkedTraceparent(traceparent: string): string {
  const parsed = Traceparent.safeParse(traceparent);
  if (parsed.success) return parsed.data;
  throw new PerdureError(
    "INVALID_MESSAGE",
    `"${traceparent}" is no W3C trace context (00-<32 hex digits>-<16>-<2>); nothing was sent`,
    { details: { traceparent } },
  );
}

function unnamed(messageId: string): PerdureError {
  return new PerdureError(
    "INVALID_MESSAGE",
    `the answer to submission ${messageId} names no task; it was accepted. Is another version of the orchestrator running?`,
    { details: { messageId } },
  );
}
