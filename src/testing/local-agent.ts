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

/** Code under way: of an attempt, and of the steps that an activation began and that became attempts of their own. */
interface Work {
  /** Of its code, how much waits for the clock of the test. */
  asleep: number;
  /** Whether the clock waits for it. */
  isAwaited: boolean;
}

const newWork = (): Work => ({ asleep: 0, isAwaited: true });

/** Progress goes out at once: here nobody is flooded, and nothing may be left to a timer of the machine. */
class LocalAttempt extends Attempt {
  readonly work: Work;
  readonly #send: (progress: unknown) => void;

  constructor(assignment: TaskAssignment, now: number, work: Work, surroundings: AttemptSurroundings) {
    super(assignment, { sentAt: now, startedAt: now, traceparent: undefined }, surroundings);
    this.work = work;
    this.#send = (progress) => surroundings.sendProgress(this, progress);
  }

  override reportProgress(progress: unknown): void {
    if (!this.settled && this.stopped === null) this.#send(progress);
  }
}

const current = new AsyncLocalStorage<Work>();

/** Whether it is code of an attempt that asks, and not the test. */
export function isInAttempt(): boolean {
  return current.getStore() !== undefined;
}

/** Waits for the clock of the test: code of an attempt that does so does not hold it up. */
export async function asleep<T>(wait: () => Promise<T>): Promise<T> {
  const work = current.getStore();
  if (work === undefined) return await wait();
  work.asleep += 1;
  try {
    return await wait();
  } finally {
    work.asleep -= 1;
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
      adopt: (assignment, handler) => this.#begin(assignment, handler, current.getStore()),
    };
  }

  /** Whether code is at work that nothing but the machine's own time will end. */
  get isBusy(): boolean {
    const awake = new Map<Work, number>();
    for (const { work } of this.#running.values()) {
      if (work.isAwaited) awake.set(work, (awake.get(work) ?? -work.asleep) + 1);
    }
    return [...awake.values()].some((count) => count > 0);
  }

  /** What runs now holds up the clock no longer. */
  leaveBehind(): void {
    for (const { work } of this.#running.values()) work.isAwaited = false;
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

  /** Hands back what it has, and takes nothing more. */
  leave(): void {
    const { agentId, orchestrator } = this.#options;
    orchestrator.report({ agentId, state: "draining" });
    for (const attempt of this.#running.values()) {
      attempt.settle();
      const { taskId, token } = attempt.assignment;
      orchestrator.report({ agentId, state: "released", taskId, token });
    }
    this.#running.clear();
    orchestrator.report({ agentId, state: "idle" });
  }

  #begin(assignment: TaskAssignment, handler: TaskHandler, work: Work = newWork()): void {
    const { now } = this.#options.orchestrator;
    const attempt = new LocalAttempt(assignment, now, work, this.#surroundings);
    this.#running.set(assignment.token, attempt);
    const context = new AttemptContext(attempt, now);
    const returned = current.run(work, async () => await handler(context, assignment.input));
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
        orchestrator.handIn(agentId, token, completedBody(head, value, FIELD_BYTES_MAX));
        break;
      case "cancelled":
        orchestrator.handIn(agentId, token, cancelledBody(head));
        break;
      default:
        orchestrator.handIn(agentId, token, failedBody(head, failureOf(value)));
    }
  }
}
