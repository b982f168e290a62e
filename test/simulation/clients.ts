/**
 * The clients of a run: they ask for what was planned until they are answered, ask again now and then, cancel, and follow
 * every task to its end. Requests and answers travel through the same bad network as everything else.
 */
import type { TaskId } from "../../src/protocol/ids.js";
import type { TaskSubmission, TaskView } from "../../src/protocol/task-message.js";
import { endedStates, type PlannedTask } from "../checker/history.js";
import type { PlannedSubmission } from "../checker/workload.js";
import type { Leader, Store } from "./leader.js";
import type { Witness } from "./witness.js";
import type { World } from "./world.js";

export interface ClientWorld {
  readonly world: World;
  readonly store: Store;
  readonly witness: Witness;
  /** Whoever leads now; null between two leaders. */
  readonly leader: () => Leader | null;
}

const ASK_AGAIN_MS = 2_000;
const LOOK_AGAIN_MS = 3_000;

export class Clients {
  readonly #sim: ClientWorld;
  readonly #submissions: readonly PlannedSubmission[];
  readonly #answered = new Set<PlannedSubmission>();
  readonly #accepted = new Set<string>();
  readonly #ended = new Map<string, string>();

  constructor(sim: ClientWorld, submissions: readonly PlannedSubmission[]) {
    this.#sim = sim;
    this.#submissions = submissions;
  }

  /** How many tasks a client has seen end in which way. */
  get ends(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const state of this.#ended.values()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  /** Accepted, and not seen to end by anybody. */
  get unfinished(): string[] {
    return [...this.#accepted].filter((id) => !this.#ended.has(id));
  }

  get isAtRest(): boolean {
    return this.#answered.size === this.#submissions.length && this.unfinished.length === 0;
  }

  /** Spreads the submissions over so much time. */
  start(spreadMs: number): void {
    const { world } = this.#sim;
    for (const submission of this.#submissions) world.after(world.between(0, spreadMs), () => this.#begin(submission));
  }

  /** Looks at every task that anybody ever named. */
  lookAtAll(): void {
    const ids = this.#submissions.flatMap(({ tasks }) => tasks.map(({ taskId }) => taskId));
    for (const id of new Set(ids)) this.#look(id as TaskId);
  }

  /** A waiting client is told of an end. */
  isTold(view: TaskView): void {
    const { world } = this.#sim;
    const askedAt = world.now;
    world.send(() => this.#sees(view.taskId, view, askedAt));
  }

  #begin(submission: PlannedSubmission): void {
    if (submission.after.every((id) => this.#accepted.has(id))) this.#askUntilAnswered(submission);
    else this.#sim.world.after(500, () => this.#begin(submission));
  }

  #askUntilAnswered(submission: PlannedSubmission): void {
    const { world } = this.#sim;
    this.#ask(submission);
    world.after(ASK_AGAIN_MS, () => {
      if (!this.#answered.has(submission) || world.mishap(0.1)) this.#askUntilAnswered(submission);
    });
  }

  #ask(submission: PlannedSubmission): void {
    const { world, witness, leader, store } = this.#sim;
    const { messageId, form, tasks, expected } = submission;
    const askedAt = world.now;
    const asked = { kind: "submitted" as const, askedAt, tasks, expected };
    // Whether an answer ever comes is not known yet; that it was asked counts from now on.
    witness.sees({ ...asked, answeredAt: askedAt, answer: "unanswered", named: [] });
    world.send(() => {
      const asking = leader();
      asking?.deliver(() => {
        const wire = structuredClone(tasks) as unknown as TaskSubmission[];
        const request = { messageId, form, tasks: wire, bytes: 1_000, ended: store.endedTasks };
        const submitted = asking.core.submit(request, world.now);
        asking.releaseAfter(() =>
          world.send(() => {
            const answer = submitted.ok ? "accepted" : submitted.refusal.code;
            const named = submitted.ok ? submitted.taskIds : [];
            witness.sees({ ...asked, answeredAt: world.now, answer, named });
            this.#isAnswered(submission);
          }),
        );
      });
    });
  }

  #isAnswered(submission: PlannedSubmission): void {
    if (this.#answered.has(submission)) return;
    this.#answered.add(submission);
    const { world } = this.#sim;
    for (const afterMs of submission.repeatAfterMs) world.after(afterMs, () => this.#ask(submission));
    if (submission.expected !== "accepted") return;
    for (const { taskId, afterMs } of submission.cancellations) world.after(afterMs, () => this.#cancel(taskId));
    for (const task of submission.tasks) {
      this.#accepted.add(task.taskId);
      this.#follow(task);
    }
  }

  #cancel(taskId: string): void {
    const { world, witness, leader } = this.#sim;
    witness.sees({ kind: "cancelled", askedAt: world.now, taskId });
    const ask = (): void => {
      const asked = leader();
      world.send(() => asked?.deliver(() => asked.core.cancel(taskId as TaskId, world.now)));
      // Some of what is cancelled would hang for ever.
      world.after(ASK_AGAIN_MS, () => {
        if (!this.#ended.has(taskId)) ask();
      });
    };
    ask();
  }

  /** Looks at a task every so often until its end was seen. */
  #follow(task: PlannedTask): void {
    if (this.#ended.has(task.taskId)) return;
    this.#look(task.taskId as TaskId);
    this.#sim.world.after(LOOK_AGAIN_MS, () => this.#follow(task));
  }

  #look(taskId: TaskId): void {
    const { world, store, leader } = this.#sim;
    const asked = leader();
    asked?.deliver(() => {
      // One that stood still and was replaced has no lease to answer by.
      if (leader() !== asked) return;
      const askedAt = world.now;
      const record = asked.core.ledger.tasks.get(taskId) ?? store.endedTasks.get(taskId);
      const view = record === undefined ? null : asked.core.view(record, world.now);
      const see = (): void => this.#sees(taskId, view, askedAt);
      if (asked.isIdle) see();
      else asked.releaseAfter(see);
    });
  }

  #sees(taskId: string, view: TaskView | null, askedAt: number): void {
    this.#sim.witness.seesTask(taskId, view, { askedAt, answeredAt: this.#sim.world.now });
    if (view !== null && endedStates.has(view.state)) this.#ended.set(taskId, view.state);
  }
}
