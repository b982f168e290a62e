/**
 * An agent in this process: what it is assigned it runs at once, as many as there are. Its attempts, their ends and
 * what is said of them are those of any agent; only the wire is missing.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Attempt, AttemptContext, type AttemptSurroundings } from "../agent/attempt.js";
import { AttemptStopped, type Settlement, verdictOf } from "../agent/attempt-stop.js";
import { cancelledBody, completedBody, failedBody, type ResultHead } from "../agent/result-message.js";
import { failureOf } from "../agent/task-failure.js";
import type { TaskHandler } from "../agent/task-handler.js";
import type { Logger } from "../logger.js";
import type { AgentOrder, TaskAssignment } from "../protocol/agent-message.js";
import type { AgentId } from "../protocol/ids.js";
import { FIELD_BYTES_MAX } from "../protocol/limits.js";
import type { LocalOrchestrator } from "./local-orchestrator.js";

export interface LocalAgentOptions {
  readonly agentId: AgentId;
  readonly orchestrator: LocalOrchestrator;
  readonly logger: Logger;
  /** `hang`: it takes the task, and nothing is heard of it again. */
  readonly handlerOf: (type: string) => TaskHandler | "hang" | undefined;
}

/** Progress goes out at once: here nobody is flooded, and nothing may be left to a timer of the machine. */
class LocalAttempt extends Attempt {
  /** Waits of its code for the clock of the test. */
  asleep = 0;
  readonly #send: (progress: unknown) => void;

  constructor(assignment: TaskAssignment, now: number, surroundings: AttemptSurroundings) {
    super(assignment, { sentAt: now, startedAt: now, traceparent: undefined }, surroundings);
    this.#send = (progress) => surroundings.sendProgress(this, progress);
  }

  override reportProgress(progress: unknown): void {
    if (!this.settled && this.stopped === null) this.#send(progress);
  }
}

const current = new AsyncLocalStorage<LocalAttempt>();

/** Waits for the clock of the test: an attempt that does so does not hold it up. */
export async function asleep<T>(wait: () => Promise<T>): Promise<T> {
  const attempt = current.getStore();
  if (attempt === undefined) return await wait();
  attempt.asleep += 1;
  try {
    return await wait();
  } finally {
    attempt.asleep -= 1;
  }
}

export class LocalAgent {
  readonly #options: LocalAgentOptions;
  readonly #surroundings: AttemptSurroundings;
  /** By token. */
  readonly #running = new Map<string, LocalAttempt>();

  constructor(options: LocalAgentOptions) {
    this.#options = options;
    const { agentId, orchestrator, logger } = options;
    this.#surroundings = {
      logger,
      sendProgress: ({ assignment: { taskId, token } }, progress) =>
        orchestrator.report({ agentId, state: "progress", taskId, token, progress }),
      adopt: (assignment, handler) => this.#begin(assignment, handler),
    };
  }

  /** Whether code is at work that nothing but the machine's own time will end. */
  get isBusy(): boolean {
    return [...this.#running.values()].some((attempt) => attempt.asleep === 0);
  }

  /** Attempts whose code runs, of those that `which` is true of. */
  count(which: (assignment: TaskAssignment) => boolean): number {
    return [...this.#running.values()].filter(({ assignment }) => which(assignment)).length;
  }

  take(assignment: TaskAssignment): void {
    const { agentId, orchestrator, handlerOf } = this.#options;
    const { taskId, token, type } = assignment;
    // An assignment that was not answered is sent again.
    orchestrator.report({ agentId, state: "accepted", taskId, token });
    const handler = handlerOf(type);
    if (handler !== undefined && handler !== "hang" && !this.#running.has(token)) this.#begin(assignment, handler);
  }

  cancel({ taskId, token }: AgentOrder): void {
    const attempt = token === undefined ? undefined : this.#running.get(token);
    attempt?.stop(new AttemptStopped("cancelled", `task ${taskId} was cancelled`));
  }

  /** As if its process were gone: what it comes to is not heard of. */
  leave(): void {
    for (const attempt of this.#running.values()) attempt.settle();
    this.#running.clear();
  }

  #begin(assignment: TaskAssignment, handler: TaskHandler): void {
    const attempt = new LocalAttempt(assignment, this.#options.orchestrator.now, this.#surroundings);
    this.#running.set(assignment.token, attempt);
    const context = new AttemptContext(attempt, this.#options.orchestrator.now);
    const returned = current.run(attempt, async () => await handler(context, assignment.input));
    returned.then(
      (output) => this.#finish(attempt, "returned", output),
      (reason: unknown) => this.#finish(attempt, "threw", reason),
    );
  }

  #finish(attempt: LocalAttempt, settlement: Settlement, value: unknown): void {
    const { token } = attempt.assignment;
    if (!this.#running.delete(token)) return;
    attempt.settle();
    const { agentId, orchestrator } = this.#options;
    const { taskId, attempt: number } = attempt.assignment;
    const head: ResultHead = { taskId, attempt: number, token, agentId };
    if (attempt.usage !== undefined) head.usage = attempt.usage;
    switch (verdictOf(attempt.stopped?.kind ?? null, settlement)) {
      case "completed":
        orchestrator.handIn(agentId, completedBody(head, value, FIELD_BYTES_MAX));
        break;
      case "cancelled":
        orchestrator.handIn(agentId, cancelledBody(head));
        break;
      default:
        orchestrator.handIn(agentId, failedBody(head, failureOf(value)));
    }
  }
}
