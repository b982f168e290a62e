/**
 * The clients of a run: they submit what was planned, ask again when nobody answers, ask twice, cancel, follow every task
 * to its end, look at some of them again later, and write down all of it.
 */

import { type ClientRecord, endedStates, type PlannedTask, type TaskView } from "../checker/history.js";
import type { PlannedSubmission } from "../checker/workload.js";
import type { SeededRandom } from "../support/seeded-random.js";
import type { Agenda } from "./agenda.js";
import type { Asked, ChaosClient } from "./raw-client.js";

export interface CrowdOptions {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly clients: readonly ChaosClient[];
  readonly submissions: readonly PlannedSubmission[];
  /** In which the last submission is sent for the first time, milliseconds. */
  readonly spreadMs: number;
  readonly record: (record: ClientRecord) => void;
}

/** Answers that say that nothing was done and the next orchestrator may do it. */
const passingCodes: ReadonlySet<string> = new Set(["NOT_READY", "STORAGE_UNAVAILABLE"]);
const WAIT_MS = 5_000;
/** More than this between acceptance and end hold back further submissions: a test of an engine, not of queues. */
const UNFINISHED_MAX = 2_000;
const ASK_AGAIN_MS_MIN = 50;
const ASK_AGAIN_MS_MAX = 2_000;

export class Crowd {
  readonly #options: CrowdOptions;
  readonly #accepted = new Map<string, Promise<void>>();
  readonly #accept = new Map<string, () => void>();
  #unfinished = 0;
  #endedCount = 0;
  /** Epoch milliseconds of the last answer of any kind, and the longest time without one. */
  #lastAnswerAt = Date.now();
  #longestSilenceMs = 0;

  constructor(options: CrowdOptions) {
    this.#options = options;
    for (const { tasks, expected } of options.submissions) {
      if (expected !== "accepted") continue;
      for (const { taskId } of tasks) {
        this.#accepted.set(taskId, new Promise((resolve) => this.#accept.set(taskId, resolve)));
      }
    }
  }

  get endedCount(): number {
    return this.#endedCount;
  }

  get longestSilenceMs(): number {
    return this.#longestSilenceMs;
  }

  /** Resolves when everything was answered and everything accepted has ended. */
  async run(): Promise<void> {
    const { submissions, spreadMs, agenda } = this.#options;
    const startedAt = performance.now();
    const underWay: Promise<void>[] = [];
    for (const [index, submission] of submissions.entries()) {
      const dueInMs = startedAt + (index / submissions.length) * spreadMs - performance.now();
      if (dueInMs > 1) await agenda.pause(dueInMs);
      while (this.#unfinished > UNFINISHED_MAX) await agenda.pause(20);
      underWay.push(this.#carryOut(submission));
    }
    await Promise.all(underWay);
  }

  async #carryOut(submission: PlannedSubmission): Promise<void> {
    const { agenda } = this.#options;
    const { tasks, after, expected, repeatAfterMs, cancellations } = submission;
    await Promise.all(after.map((taskId) => this.#accepted.get(taskId)));
    await this.#submit(submission);
    const repeats = repeatAfterMs.map(async (afterMs) => {
      await agenda.pause(afterMs);
      await this.#submit(submission);
    });
    if (expected === "accepted") {
      const cancels = cancellations.map(async ({ taskId, afterMs }) => {
        await agenda.pause(afterMs);
        await this.#cancel(taskId);
      });
      await Promise.all([...cancels, ...tasks.map((task) => this.#follow(task))]);
    }
    await Promise.all(repeats);
  }

  /** Asks until somebody knows. */
  async #submit(submission: PlannedSubmission): Promise<void> {
    const { record } = this.#options;
    const { tasks, expected } = submission;
    await this.#untilAnswered(
      (client) => client.submit(submission),
      (asked, askedAt) => {
        const answer = asked.kind === "answered" ? "accepted" : asked.kind === "refused" ? asked.code : asked.kind;
        const named = asked.kind === "answered" ? asked.value : [];
        record({ kind: "submitted", askedAt, answeredAt: Date.now(), tasks, answer, named, expected });
      },
    );
    for (const { taskId } of expected === "accepted" ? tasks : []) this.#accept.get(taskId)?.();
  }

  async #cancel(taskId: string): Promise<void> {
    this.#options.record({ kind: "cancelled", askedAt: Date.now(), taskId });
    await this.#untilAnswered(
      (client) => client.cancel(taskId),
      (asked, askedAt) => this.#see(taskId, asked, askedAt),
    );
  }

  async #follow({ taskId }: PlannedTask): Promise<void> {
    this.#unfinished += 1;
    for (let state = ""; !endedStates.has(state); ) {
      const asked = await this.#untilAnswered(
        (client) => client.wait(taskId, WAIT_MS),
        (answer, askedAt) => this.#see(taskId, answer, askedAt),
      );
      // What was accepted and is not found is a breach already.
      state = asked.kind === "answered" ? asked.value.state : "failed";
    }
    this.#unfinished -= 1;
    this.#endedCount += 1;
    const { agenda, random } = this.#options;
    if (random.happens(0.2)) agenda.after(random.between(500, 10_000), () => void this.look(taskId));
  }

  /** Asks for the state of a task, once it is answered. */
  async look(taskId: string): Promise<void> {
    await this.#untilAnswered(
      (client) => client.get(taskId),
      (asked, askedAt) => this.#see(taskId, asked, askedAt),
    );
  }

  #see(taskId: string, asked: Asked<TaskView>, askedAt: number): void {
    const answeredAt = Date.now();
    const { record } = this.#options;
    if (asked.kind === "answered") record({ kind: "saw", askedAt, answeredAt, taskId, view: viewOf(asked.value) });
    else if (asked.kind === "refused" && asked.code === "NOT_FOUND")
      record({ kind: "saw", askedAt, answeredAt, taskId, view: null });
    else if (asked.kind === "refused" && !passingCodes.has(asked.code))
      record({ kind: "fault", at: answeredAt, what: `asking about ${taskId} was refused with ${asked.code}` });
  }

  async #untilAnswered<T>(
    ask: (client: ChaosClient) => Promise<Asked<T>>,
    note: (asked: Asked<T>, askedAt: number) => void,
  ): Promise<Asked<T>> {
    const { agenda, random, clients } = this.#options;
    const client = random.pick(clients);
    for (let againMs = ASK_AGAIN_MS_MIN; ; againMs = Math.min(2 * againMs, ASK_AGAIN_MS_MAX)) {
      const askedAt = Date.now();
      const asked = await ask(client);
      note(asked, askedAt);
      if (asked.kind === "answered" || (asked.kind === "refused" && !passingCodes.has(asked.code))) {
        this.#heard();
        return asked;
      }
      await agenda.pause(random.between(Math.floor(againMs / 2), againMs));
    }
  }

  #heard(): void {
    const now = Date.now();
    this.#longestSilenceMs = Math.max(this.#longestSilenceMs, now - this.#lastAnswerAt);
    this.#lastAnswerAt = now;
  }
}

/** Without what nobody holds against anything: inputs would fill the memory of a long run. */
function viewOf({ taskId, state, attempt, output, error, endedAt, usage }: TaskView): TaskView {
  return {
    taskId,
    state,
    attempt,
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error: { type: error.type } }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(usage === undefined ? {} : { usage: { cost: usage.cost } }),
  };
}
