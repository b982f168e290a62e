/** What a knight does with each message: one after the other, and a result for every one that can have one. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { PerdureError } from "perdure";
import type { Fleet, Received } from "perdure/bridges";
import { executeTask } from "./execution.js";
import { type Executors, type Log, nothingSpent } from "./executor.js";
import type { TaskCounts } from "./health.js";
import { childLog } from "./json-log.js";
import { HeardResult, type KnightResult, type KnightTask, resultSubject } from "./messages.js";
import { readTaskMessage } from "./task-message.js";
import { resultsStream } from "./topology.js";

const resultRetryMs = 1_000;
/** A result that no stream takes for so long is logged and given up. */
const resultPatienceMs = 600_000;

export interface WorkOptions {
  readonly knight: string;
  readonly executors: Executors;
  /** For tasks that do not say. */
  readonly taskTimeoutMs: number;
  readonly log: Log;
  /** Aborts when the knight has no time left. */
  readonly stopping: AbortSignal;
}

export class Work {
  readonly #fleet: Fleet;
  readonly #options: WorkOptions;
  #counts = {
    running: 0,
    succeeded: 0,
    failed: 0,
    malformed: 0,
    duplicates: 0,
    cost: 0,
    tokens: { input: 0, output: 0 },
  };

  constructor(fleet: Fleet, options: WorkOptions) {
    this.#fleet = fleet;
    this.#options = options;
  }

  get counts(): TaskCounts {
    return this.#counts;
  }

  async take({ body, subject }: Received<string>): Promise<void> {
    const read = readTaskMessage(body, subject);
    this.#counts.running += 1;
    try {
      if (read.kind === "task") await this.#execute(read.task);
      else await this.#refuse(read.taskId, read.fault, subject);
    } finally {
      this.#counts.running -= 1;
    }
  }

  async #execute(task: KnightTask): Promise<void> {
    const log = childLog(this.#options.log, { task_id: task.task_id, domain: task.domain });
    if (await this.#hasResult(task.task_id)) {
      this.#counts.duplicates += 1;
      log.warn({}, "a task with this id has a result already; it is not run again");
      return;
    }
    const result = await executeTask(task, { ...this.#options, log });
    this.#count(result);
    const { success, duration_ms, cost, tokens, model } = result;
    const facts = { success, duration_ms, cost, tokens, model };
    if (success) log.info(facts, "task completed");
    else log.warn({ ...facts, error: result.result }, "task failed");
    await this.#publish(result, log);
  }

  async #refuse(taskId: string | undefined, fault: string, subject: string): Promise<void> {
    this.#counts.malformed += 1;
    const log = childLog(this.#options.log, { subject, ...(taskId === undefined ? {} : { task_id: taskId }) });
    log.warn({ fault }, "a malformed task");
    if (taskId === undefined || (await this.#hasResult(taskId))) return;
    const result: KnightResult = {
      task_id: taskId,
      knight: this.#options.knight,
      success: false,
      result: `The message on ${subject} is no task: ${fault}.`,
      duration_ms: 0,
      ...nothingSpent,
      timestamp: new Date().toISOString(),
    };
    await this.#publish(result, log);
  }

  /** The same id twice is the same task; a dispatcher that lost track may have sent it again. */
  async #hasResult(taskId: string): Promise<boolean> {
    try {
      return (await this.#fleet.last(resultsStream, resultSubject(taskId), HeardResult)) !== undefined;
    } catch (error) {
      this.#options.log.warn({ task_id: taskId, why: messageOf(error) }, "cannot tell whether a task was done before");
      return false;
    }
  }

  #count({ success, cost, tokens }: KnightResult): void {
    this.#counts[success ? "succeeded" : "failed"] += 1;
    this.#counts.cost += cost;
    this.#counts.tokens.input += tokens.input;
    this.#counts.tokens.output += tokens.output;
  }

  /** What was done is not lost because the server is away for a while. */
  async #publish(result: KnightResult, log: Log): Promise<void> {
    // Of this execution: a repeated publication of it is one message, and another execution's is another.
    const messageId = `${result.task_id}:${randomUUID()}`;
    const until = performance.now() + resultPatienceMs;
    for (;;) {
      try {
        await this.#fleet.publish(resultSubject(result.task_id), result, { messageId });
        return;
      } catch (error) {
        if (error instanceof PerdureError && error.code === "PAYLOAD_TOO_LARGE") {
          const text = `The result of task ${result.task_id} is too large to be published: ${error.message}`;
          if (text.length < result.result.length) {
            return await this.#publish({ ...result, success: false, result: text }, log);
          }
        }
        if (performance.now() > until || this.#options.stopping.aborted) {
          log.error({ why: messageOf(error) }, "a result could not be published and is lost");
          return;
        }
        log.warn({ why: messageOf(error) }, "a result could not be published; trying again");
        await delay(resultRetryMs);
      }
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
