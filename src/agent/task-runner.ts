/**
 * Takes assignments, runs their handlers and hands in what they come to: the hot path of an agent.
 *
 * Every assignment gets an answer: its result, `accepted` while it runs, `released` where there is no room for it.
 * The only ones passed over in silence arrive while more results wait than the outbox holds; the orchestrator sends
 * those again later. Nothing that arrives here, however malformed, throws.
 */
import type { Clock } from "../clock.js";
import type { Message } from "../jetstream/connection.js";
import { type Logger, SampledLog } from "../logger.js";
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
  /** Whether the next incarnation may have begun already, as far as the orchestrator is concerned. */
  readonly isRegistering: () => boolean;
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
  /** Arrived with the confirmation they follow from, and were heard first. */
  #early: Message[] = [];
  #takesWork = true;
  #idled: (() => void)[] = [];
  readonly #ignored: SampledLog;
  readonly #refused: SampledLog;
  readonly #notOurs: SampledLog;
  readonly #full: SampledLog;
  #completedTasks = 0;
  #failedTasks = 0;

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
    const { logger } = options;
    this.#ignored = new SampledLog(logger, "warn", "ignored an assignment that cannot be read");
    this.#refused = new SampledLog(logger, "warn", "refused an assignment that cannot be read; its attempt fails");
    this.#notOurs = new SampledLog(logger, "warn", "left an assignment to another incarnation");
    this.#full = new SampledLog(logger, "warn", "left an assignment alone: too many results wait for their stream");
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
      this.#ignored.write({ reason: decoded.failure.message });
      return;
    }
    const parsed = parseMessage(TaskAssignmentMessage, decoded.value);
    if (!parsed.ok) {
      this.#refuseMalformed(decoded.value, parsed.failure.message);
      return;
    }
    const { task, timestamp } = parsed.value;
    if (task.incarnation !== undefined && task.incarnation !== this.#options.incarnation()) {
      if (this.#options.isRegistering() && this.#early.length < this.#options.maxConcurrentTasks) {
        this.#early.push(message);
        return;
      }
      // Meant for another process of this id; if it is this one after all, it is sent again.
      this.#notOurs.write({ taskId: task.taskId, incarnation: task.incarnation });
      return;
    }
    if (this.#answerRepeated(task)) return;
    const { handedBack, maxConcurrentTasks, outbox } = this.#options;
    if (!this.#takesWork || this.#occupied >= maxConcurrentTasks) {
      handedBack.add(task);
    } else if (outbox.full) {
      this.#full.write({ taskId: task.taskId, unacknowledgedResults: outbox.size });
    } else {
      this.#start(task, timestamp, message.header("traceparent"));
    }
  }

  /** Takes what came before the registration was confirmed. */
  takeEarly(): void {
    const early = this.#early;
    this.#early = [];
    for (const message of early) this.take(message);
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
      attempt.flushProgress();
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
    if (body !== null) outbox.add(task.token, body);
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
    const { clock, logger } = this.#options;
    if (logger.isLevelEnabled("debug")) {
      logger.debug({ taskId: task.taskId, taskType: task.type, attempt: task.attempt }, "attempt started");
    }
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
    if (settlement === "threw") attempt.flushProgress();
    attempt.settle();
    this.#conclude(attempt, settlement, value);
    if (this.#running.size === 0) this.#announceIdle();
  }

  #conclude(attempt: Attempt, settlement: Settlement, value: unknown): void {
    const { finished, outbox, handedBack, outputBytesMax, logger } = this.#options;
    const { taskId, token, attempt: number } = attempt.assignment;
    const verdict = verdictOf(attempt.stopped?.kind ?? null, settlement);
    if (logger.isLevelEnabled("debug")) {
      const durationMs = this.#elapsedMs(attempt);
      const reason = attempt.stopped?.kind;
      logger.debug({ taskId, attempt: number, state: verdict, reason, durationMs }, "attempt ended");
    }
    switch (verdict) {
      case "completed":
        this.#completedTasks += 1;
        outbox.add(token, completedBody(this.#headOf(attempt), value, outputBytesMax()));
        break;
      case "failed":
        this.#failedTasks += 1;
        outbox.add(token, failedBody(this.#headOf(attempt), failureOf(value)));
        break;
      case "lost": {
        const message = attempt.stopped?.message ?? "the agent lost touch";
        outbox.add(token, failedBody(this.#headOf(attempt), { type: "AGENT_LOST", message }));
        break;
      }
      case "cancelled":
        outbox.add(token, cancelledBody(this.#headOf(attempt)));
        break;
      case "released":
        handedBack.add(attempt.assignment);
        break;
      case "dropped":
        // The orchestrator may not have heard of its end and send it again; the code must not run again for that.
        finished.remember(token, null);
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
    const { agentId, outbox } = this.#options;
    const answerable = parseMessage(AnswerableAssignment, value);
    if (!answerable.ok) {
      this.#ignored.write({ reason });
      return;
    }
    const { task } = answerable.value;
    this.#refused.write({ taskId: task.taskId, reason });
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
