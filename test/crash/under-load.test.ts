/** Orchestrators, and then the server under them, are killed again and again while all kinds of tasks run. */
import { expect, it } from "vitest";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import type { NewTask } from "../../src/client/submission.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { givenScene, type OrchestratorChild, type Scene } from "./scene.js";

const nats = useNats();

type Job = NewTask & { readonly taskId: string };

const quickRetry = { initialIntervalMs: 10, maximumAttempts: 5 };

/** A round of every kind of task; rounds depend on each other too. */
function roundOf(round: number): readonly Job[] {
  const earlier = round === 0 ? [] : [`quick-${round - 1}`];
  return [
    { taskId: `quick-${round}`, type: "quick", input: round },
    { taskId: `sum-${round}`, type: "sum", dependencies: [`quick-${round}`, ...earlier] },
    { taskId: `flaky-${round}`, type: "flaky", retry: quickRetry },
    { taskId: `after-flaky-${round}`, type: "sum", dependencies: [`flaky-${round}`] },
    { taskId: `broken-${round}`, type: "broken", retry: { ...quickRetry, maximumAttempts: 2 } },
    { taskId: `after-broken-${round}`, type: "sum", dependencies: [`broken-${round}`] },
    { taskId: `endless-${round}`, type: "endless" },
  ];
}

const handlers: Record<string, TaskHandler> = {
  quick: (_, input) => input,
  sum: ({ dependencyResults }) => dependencyResults,
  flaky: ({ attempt }) => {
    if (attempt < 3) throw new Error("not yet");
    return "at last";
  },
  broken: () => {
    throw new Error("never");
  },
  endless: ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
};

function expectedEnd(round: number): Record<string, unknown> {
  const quick = { [`quick-${round}`]: round };
  return {
    [`quick-${round}`]: ["completed", round],
    [`sum-${round}`]: ["completed", round === 0 ? quick : { ...quick, [`quick-${round - 1}`]: round - 1 }],
    [`flaky-${round}`]: ["completed", "at last"],
    [`after-flaky-${round}`]: ["completed", { [`flaky-${round}`]: "at last" }],
    [`broken-${round}`]: ["failed", "Error"],
    [`after-broken-${round}`]: ["failed", "DEPENDENCY_FAILED"],
    [`endless-${round}`]: ["cancelled", undefined],
  };
}

const endOf = ({ state, output, error }: TaskView): unknown => [state, output ?? error?.type];

/** Submits rounds one after another, cancels what never ends, and waits for every end, until told that it is enough. */
class Work {
  readonly ends = new Map<string, TaskView>();
  rounds = 0;
  readonly #scene: Scene;
  readonly #waiting: Promise<void>[] = [];
  readonly #running: Promise<void>;
  #enough = false;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  /** Resolves when every task that was accepted has ended. */
  async finish(): Promise<void> {
    this.#enough = true;
    await this.#running;
    await Promise.all(this.#waiting);
  }

  async #run(): Promise<void> {
    while (!this.#enough) {
      const jobs = roundOf(this.rounds);
      this.rounds += 1;
      for (const job of jobs) {
        await this.#scene.submit(job);
        const ended = this.#follow(job.taskId);
        ended.catch(() => undefined);
        this.#waiting.push(ended);
      }
    }
  }

  async #follow(taskId: string): Promise<void> {
    if (taskId.startsWith("endless")) await this.#scene.cancel(taskId);
    this.ends.set(taskId, await this.#scene.untilEnded(taskId));
  }
}

async function givenWork(scene: Scene): Promise<Work> {
  await scene.startAgent("k-1", handlers, 50);
  await scene.startAgent("k-2", handlers, 50);
  return new Work(scene);
}

/** So that each crash falls into work, and is survived before the next. */
async function untilMoreEnded(work: Work): Promise<void> {
  const enough = work.ends.size + 20;
  await until("work goes on", () => work.ends.size >= enough, { deadlineMs: 40_000 });
}

async function expectEachEndedOnce(scene: Scene, work: Work): Promise<void> {
  const expected = Object.assign({}, ...Array.from({ length: work.rounds }, (_, round) => expectedEnd(round)));
  expect(Object.fromEntries([...work.ends].map(([taskId, task]) => [taskId, endOf(task)]))).toEqual(expected);

  const { total } = await scene.client.list({ states: ["waiting", "queued", "assigned", "running", "backoff"] });
  expect(total).toBe(0);
  for (const [taskId, seen] of work.ends) expect(await scene.client.get(taskId)).toEqual(seen);

  const told = scene.events.filter(({ eventType }) => /^TASK_(COMPLETED|FAILED|CANCELLED|TIMED_OUT)$/.test(eventType));
  const toldOf = told.map(({ payload }) => payload?.["taskId"]);
  expect(toldOf).toEqual([...new Set(toldOf)]);

  const tokens = scene.runs.map(({ token }) => token);
  expect(tokens).toEqual([...new Set(tokens)]);
}

it("ends every accepted task exactly once though orchestrators die under load", async () => {
  const scene = await givenScene(nats, { heartbeatMs: 500 });
  let leader: OrchestratorChild = await scene.startOrchestrator();
  const work = await givenWork(scene);
  for (let crash = 0; crash < 5; crash += 1) {
    const standby = scene.launchOrchestrator();
    await untilMoreEnded(work);
    await leader.kill();
    leader = standby;
  }
  await untilMoreEnded(work);
  await work.finish();
  await expectEachEndedOnce(scene, work);
});

it("goes on, and loses nothing it accepted, when the server is killed and comes back", async () => {
  const scene = await givenScene(nats, { heartbeatMs: 500 });
  await scene.startOrchestrator();
  const work = await givenWork(scene);
  for (let crash = 0; crash < 3; crash += 1) {
    await untilMoreEnded(work);
    await nats.kill();
    await nats.restart();
  }
  await untilMoreEnded(work);
  await work.finish();
  await expectEachEndedOnce(scene, work);
});
