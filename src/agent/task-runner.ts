/**
 * Takes assignments, runs their handlers and hands in what they come to: the hot path of an agent.
 *
 * Every assignment gets an answer: its result, `accepted` while it runs, `released` where there is no room for it.
 * The only ones passed over in silence arrive while more results wait than the outbox holds; the orchestrator sends
 * those again later. Nothing that arrives here, however malformed, throws.
 */
import type { Clock } from "../clock.js";
import type { Message } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";
import { type AgentOrder, type AgentReport, TaskAssignment, TaskAssignmentMessage } from "../protocol/agent-message.js";
import { decodeJson } from "../protocol/decode.js";
import type { AgentId } from "../protocol/ids.js";
import { parseMessage } from "../protocol/parse.js";
import { Acceptance } from "./acceptance.js";
import { Attempt, AttemptContext, type AttemptSurroundings } from "./attempt.js";
import { AttemptStopped, type Settlement, type StopKind, verdictOf } from "./attempt-stop.js";
import type { FinishedAttempts } from "./finished-attempts.js";
import type { HandedBack } from "./handed-back.js";
import { cancelledBody, completedBody, failedBody, type ResultHead } from "./result-message.js";
import type { ResultOutbox } from "./result-outbox.js";
import { failureOf } from "./task-failure.js";
import type { TaskHandler } from "./task-handler.js";

export interface TaskRunnerOptions {
  readonly agentId: AgentId;
  readonly handlers: ReadonlyMap<string, TaskHandler>;
  readonly maxConcurrentTasks: number;
  /** Depends on the server, which may be another one after a reconnect. */
  readonly outputBytesMax: () => number;
  readonly incarnation: () => number | undefined;
  readonly report: (report: Omit<AgentReport, "agentId">) => void;
  readonly outbox: ResultOutbox;
  readonly finished: FinishedAttempts;
  readonly handedBack: HandedBack;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What must be readable of a malformed assignment for it to be answered. */
const AnswerableAssignment = TaskAssignmentMessage.pick({ task: true }).extend({
  task: TaskAssignment.pick({ taskId: true, attempt: true, token: true }),
});

type AnswerableTask = Pick<TaskAssignment, "taskId" | "attempt" | "token">;

export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #surroundings: AttemptSurroundings;
  readonly #acceptance = new Acceptance((attempt) => this.#accept(attempt));
  /** By token, in order of arrival. */
  readonly #running = new Map<string, Attempt>();
  /** Running ones that were not told to stop. The others take no place: to the orchestrator theirs are free. */
  #occupied = 0;
  #takesWork = true;
  #idled: (() => void)[] = [];
  #completedTasks = 0;
  #failedTasks = 0;

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
    this.#surroundings = {
      logger: options.logger,
      sendProgress: ({ assignment: { taskId, token } }, progress) =>
        options.report({ state: "progress", taskId, token, progress }),
      adopt: (assignment, handler) => this.#begin(assignment, options.clock.now(), undefined, handler),
    };
  }

  get metrics(): Readonly<Record<string, number>> {
    return {
      activeTasks: this.#occupied,
      stoppingTasks: this.#running.size - this.#occupied,
      completedTasks: this.#completedTasks,
      failedTasks: this.#failedTasks,
      unacknowledgedResults: this.#options.outbox.size,
    };
  }

  /** Of the attempts in hand, the oldest first. */
  tokens(): Iterable<string> {
    return this.#running.keys();
  }

  /** One message of the agent's task subject. */
  take(message: Message): void {
    const decoded = decodeJson(message.data);
    if (!decoded.ok) {
      this.#options.logger.warn({ reason: decoded.failure.message }, "ignored an assignment that cannot be read");
      return;
    }
    const parsed = parseMessage(TaskAssignmentMessage, decoded.value);
    if (!parsed.ok) {
      this.#refuseMalformed(decoded.value, parsed.failure.message);
      return;
    }
    const { task, timestamp } = parsed.value;
    if (task.incarnation !== undefined && task.incarnation !== this.#options.incarnation()) {
      // Meant for another process of this id; if it is this one after all, it is sent again.
      this.#options.logger.warn(
        { taskId: task.taskId, incarnation: task.incarnation },
        "left an assignment to another incarnation",
      );
      return;
    }
    if (this.#answerRepeated(task)) return;
    const { handedBack, maxConcurrentTasks, outbox, logger } = this.#options;
    if (!this.#takesWork || this.#occupied >= maxConcurrentTasks) {
      handedBack.add(task);
    } else if (outbox.full) {
      logger.warn(
        { taskId: task.taskId, unacknowledgedResults: outbox.size },
        "took no notice of an assignment: too many results wait for the results stream",
      );
    } else {
      this.#start(task, timestamp, message.header("traceparent"));
    }
  }

  /** An order of the orchestrator to stop one attempt. */
  cancel(order: AgentOrder): void {
    const attempt = this.#named(order);
    if (attempt !== undefined) {
      this.#stop(attempt, "cancelled", `task ${attempt.assignment.taskId} was cancelled`);
    }
  }

  /** The orchestrator says that these are not this agent's any more. */
  forget(tokens: readonly string[]): void {
    for (const token of tokens) {
      this.#options.handedBack.confirm(token);
      const attempt = this.#running.get(token);
      if (attempt !== undefined) {
        const { taskId, attempt: number } = attempt.assignment;
        this.#stop(
          attempt,
          "noLongerOurs",
          `attempt ${number} of task ${taskId} was given to another agent or has ended`,
        );
      }
    }
  }

  stopAll(kind: StopKind, message: string): void {
    for (const attempt of this.#running.values()) this.#stop(attempt, kind, message);
  }

  /** New assignments are handed back from now on. */
  takeNoMore(): void {
    this.#takesWork = false;
  }

  /** Resolves once nothing runs. */
  idled(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idled.push(resolve));
  }

  /** Hands back whatever still runs; what it comes to later is of no interest. */
  handBackRest(): void {
    for (const attempt of this.#running.values()) {
      attempt.settle();
      this.#options.handedBack.add(attempt.assignment);
    }
    this.close();
  }

  /** Forgets whatever still runs, silently. */
  close(): void {
    for (const attempt of this.#running.values()) attempt.settle();
    this.#running.clear();
    this.#occupied = 0;
    this.#takesWork = false;
    this.#acceptance.stop();
    this.#announceIdle();
  }

  /** True where the token is known: then the assignment was sent again, and the answer is given again. */
  #answerRepeated(task: TaskAssignment): boolean {
    const { outbox, finished, handedBack } = this.#options;
    const running = this.#running.get(task.token);
    if (running !== undefined) {
      this.#accept(running);
      return true;
    }
    if (outbox.has(task.token)) return true;
    if (handedBack.has(task.token)) {
      handedBack.add(task);
      return true;
    }
    const body = finished.resultOf(task.token);
    if (body === undefined) return false;
    outbox.add(task.token, body);
    return true;
  }

  #start(task: TaskAssignment, sentAt: number, traceparent: string | undefined): void {
    this.#begin(task, sentAt, traceparent, this.#options.handlers.get(task.type));
  }

  #begin(
    task: TaskAssignment,
    sentAt: number,
    traceparent: string | undefined,
    handler: TaskHandler | undefined,
  ): void {
    const { clock } = this.#options;
    const attempt = new Attempt(task, { sentAt, startedAt: clock.monotonicNow(), traceparent }, this.#surroundings);
    if (handler === undefined) {
      this.#refuseUnknownType(attempt);
      return;
    }
    this.#running.set(task.token, attempt);
    this.#occupied += 1;
    this.#acceptance.watch(attempt);
    let returned: unknown;
    try {
      returned = handler(new AttemptContext(attempt, clock.now()), task.input);
    } catch (error) {
      this.#finish(attempt, "threw", error);
      return;
    }
    if (isPromiseLike(returned)) {
      returned.then(
        (output) => this.#finish(attempt, "returned", output),
        (error: unknown) => this.#finish(attempt, "threw", error),
      );
    } else {
      this.#finish(attempt, "returned", returned);
    }
  }

  #accept(attempt: Attempt): void {
    const { taskId, token } = attempt.assignment;
    this.#options.report({ state: "accepted", taskId, token });
    // Armed only now, so that a short task needs no timer of its own. The orchestrator keeps the exact time.
    attempt.watchDeadline(this.#elapsedMs(attempt), () =>
      this.#stop(attempt, "deadlinePassed", `attempt ${attempt.assignment.attempt} of task ${taskId} ran out of time`),
    );
  }

  #stop(attempt: Attempt, kind: StopKind, message: string): void {
    if (attempt.stopped !== null || attempt.settled) return;
    this.#occupied -= 1;
    attempt.stop(new AttemptStopped(kind, message));
  }

  #finish(attempt: Attempt, settlement: Settlement, value: unknown): void {
    const { token } = attempt.assignment;
    // Gone from the list: it was handed back, or the agent has ended.
    if (!this.#running.delete(token)) return;
    if (attempt.stopped === null) this.#occupied -= 1;
    attempt.settle();
    this.#conclude(attempt, settlement, value);
    if (this.#running.size === 0) this.#announceIdle();
  }

  #conclude(attempt: Attempt, settlement: Settlement, value: unknown): void {
    const { outbox, handedBack, outputBytesMax, logger } = this.#options;
    const { taskId, token } = attempt.assignment;
    switch (verdictOf(attempt.stopped?.kind ?? null, settlement)) {
      case "completed":
        this.#completedTasks += 1;
        outbox.add(token, completedBody(this.#headOf(attempt), value, outputBytesMax()));
        break;
      case "failed":
        this.#failedTasks += 1;
        outbox.add(token, failedBody(this.#headOf(attempt), failureOf(value)));
        break;
      case "cancelled":
        outbox.add(token, cancelledBody(this.#headOf(attempt)));
        break;
      case "released":
        handedBack.add(attempt.assignment);
        break;
      case "dropped":
        logger.info({ taskId, token, stopped: attempt.stopped?.kind }, "dropped what a stopped attempt came to");
        break;
    }
  }

  #headOf(attempt: Attempt): ResultHead {
    const { taskId, attempt: number, token } = attempt.assignment;
    const head: ResultHead = {
      ...this.#signed({ taskId, attempt: number, token }),
      durationMs: this.#elapsedMs(attempt),
    };
    if (attempt.usage !== undefined) head.usage = attempt.usage;
    return head;
  }

  #signed(task: AnswerableTask): ResultHead {
    const head: ResultHead = { ...task, agentId: this.#options.agentId };
    const incarnation = this.#options.incarnation();
    if (incarnation !== undefined) head.incarnation = incarnation;
    return head;
  }

  #elapsedMs(attempt: Attempt): number {
    return Math.max(0, Math.round(this.#options.clock.monotonicNow() - attempt.startedAt));
  }

  /** Another agent of the same capability may know the type, so the failure is retryable. */
  #refuseUnknownType(attempt: Attempt): void {
    const { agentId, handlers, outbox } = this.#options;
    const { taskId, token, type } = attempt.assignment;
    this.#failedTasks += 1;
    const known = [...handlers.keys()].slice(0, 20).join(", ");
    const message = `agent ${agentId} has no handler for tasks of type "${type}" (task ${taskId}); it has: ${known}. Register it without that capability, or add the handler.`;
    outbox.add(token, failedBody(this.#headOf(attempt), { type: "TASK_TYPE_UNKNOWN", message }));
  }

  #refuseMalformed(value: unknown, reason: string): void {
    const { agentId, logger, outbox } = this.#options;
    const answerable = parseMessage(AnswerableAssignment, value);
    if (!answerable.ok) {
      logger.warn({ reason }, "ignored an assignment that cannot be read");
      return;
    }
    const { task } = answerable.value;
    logger.warn({ taskId: task.taskId, reason }, "refused an assignment that cannot be read");
    const message = `agent ${agentId} cannot read attempt ${task.attempt} of task ${task.taskId}: ${reason}`;
    outbox.add(task.token, failedBody(this.#signed(task), { type: "INVALID_MESSAGE", message }));
  }

  #named({ token, taskId, attempt: number }: AgentOrder): Attempt | undefined {
    if (token !== undefined) return this.#running.get(token);
    for (const attempt of this.#running.values()) {
      if (attempt.assignment.taskId === taskId && (number === undefined || attempt.assignment.attempt === number)) {
        return attempt;
      }
    }
    return undefined;
  }

  #announceIdle(): void {
    const idled = this.#idled;
    this.#idled = [];
    for (const announce of idled) announce();
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
