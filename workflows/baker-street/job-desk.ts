/** Where jobs are handed in and asked about. A job of ours is a task of the engine from its dispatch to its result. */
import { type Client, PerdureError, type TaskView } from "perdure";
import { dispatchId, dispatchType } from "./brain-bridge.js";
import type { JobBook, JobPicture } from "./job-book.js";
import { dispatchOf, dispatchRetry } from "./lost-dispatches.js";
import type { Job } from "./messages.js";
import type { Tracing } from "./tracing.js";

export interface JobView {
  readonly jobId: string;
  /** What a worker said last; `queued` before that, `completed` or `failed` in the end. */
  readonly state: string;
  readonly updates: JobPicture["updates"];
  readonly result: JobPicture["result"];
  /** Of the engine's task; null for a job that another brain dispatched. */
  readonly task: Pick<TaskView, "taskId" | "state" | "reason" | "attempt"> | null;
}

const endings: ReadonlySet<string> = new Set(["cancelled", "failed", "timed_out"]);

export interface JobDeskParts {
  readonly client: Client;
  readonly book: JobBook;
  readonly tracing: Tracing;
}

export class JobDesk {
  readonly book: JobBook;
  readonly #parts: JobDeskParts;

  constructor(parts: JobDeskParts) {
    this.#parts = parts;
    this.book = parts.book;
  }

  /**
   * Resolves once the job is on disk: from then on it is dispatched by whichever brain is active. The same job again is the
   * same job. @throws PerdureError as `Client.submit` does
   */
  async handIn(job: Job, traceparent: string | undefined): Promise<void> {
    const task = { taskId: dispatchId(job.jobId), type: dispatchType, input: job, retry: dispatchRetry };
    await this.#parts.client.submit(task, { traceparent });
  }

  /** @throws PerdureError NOT_FOUND */
  async view(jobId: string): Promise<JobView> {
    const [{ updates, result }, task] = await Promise.all([this.book.of(jobId), this.#taskOf(jobId)]);
    if (task === null && updates.length === 0 && result === undefined) {
      throw new PerdureError("NOT_FOUND", `no brain of this fleet knows a job ${jobId}`, { details: { jobId } });
    }
    const said = updates.at(-1)?.body["state"];
    const live = typeof said === "string" ? said : (task?.state ?? "unknown");
    // Of a task that somebody cancelled there is no result.
    const state = result?.status ?? (task !== null && endings.has(task.state) ? task.state : live);
    return { jobId, state, updates, result, task };
  }

  async #taskOf(jobId: string): Promise<JobView["task"]> {
    try {
      const { taskId, state, reason, attempt } = await dispatchOf(this.#parts.client, dispatchId(jobId));
      return { taskId, state, attempt, ...(reason === undefined ? {} : { reason }) };
    } catch (fault) {
      if (fault instanceof PerdureError && fault.code === "NOT_FOUND") return null;
      throw fault;
    }
  }
}
