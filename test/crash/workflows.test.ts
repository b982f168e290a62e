/**
 * Leader, standby, workers, agent and server are killed at random, from a seed, while workflows of every kind run. Each
 * ends once, with what it must come to, and its history replays. PERDURE_CRASH_RUNS and PERDURE_CRASH_SEED from outside.
 */
import { expect, it } from "vitest";
import type { HistoryEvent } from "../../src/protocol/history-event.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { useNats } from "../support/nats.js";
import { SeededRandom } from "../support/seeded-random.js";
import { until, untilHolds } from "../support/until.js";
import { Child } from "./child.js";
import { givenScene, type Scene } from "./scene.js";

const nats = useNats();
const RUNS = Number(process.env["PERDURE_CRASH_RUNS"] ?? 150);
const SEED = Number(process.env["PERDURE_CRASH_SEED"] ?? Date.now() % 1_000_000);
/** Runs under way at a time. */
const ABREAST = 25;

interface Job {
  readonly task: { readonly taskId: string; readonly type: string; readonly input: unknown };
  readonly signal: boolean;
  readonly end: readonly [state: string, outcome: unknown];
}
const script = "./mixed-workflows.mjs";
const { jobOf } = (await import(script)) as { jobOf: (n: number) => Job };

const endOf = ({ state, output, error }: TaskView): unknown => [state, state === "completed" ? output : error?.message];

async function runJob(scene: Scene, job: Job): Promise<unknown> {
  const { taskId } = job.task;
  await scene.submit(job.task);
  const poke = { taskId, name: "bump", input: 1, signalId: `bump-${taskId}` };
  if (job.signal) await scene.askWorkflow("Signal", poke);
  return endOf(await scene.untilEnded(taskId));
}

async function historyOf(scene: Scene, taskId: string): Promise<readonly HistoryEvent[]> {
  const page = await scene.askWorkflow("History", { taskId });
  return page["events"] as readonly HistoryEvent[];
}

it(`ends each of ${RUNS} workflows once, whoever is killed meanwhile`, {
  timeout: 60_000 + RUNS * 1_500,
}, async (context) => {
  context.onTestFailed(() => {
    process.stderr.write(`PERDURE_CRASH_SEED=${SEED} repeats it\n`);
  });
  const chance = new SeededRandom(SEED);
  const scene = await givenScene(nats, { heartbeatMs: 300, settings: { leaseMs: 1_000 } });
  const { namespace } = scene;
  const start = async (role: "worker" | "agent", id: string): Promise<Child> => {
    const child = new Child("workflow-process.mjs", { servers: nats.url, namespace, id, role });
    await child.untilSaid("registered");
    return child;
  };
  const orchestrators = [await scene.startOrchestrator(), scene.launchOrchestrator()];
  const members: [role: "worker" | "agent", id: string, child: Child][] = [
    ["worker", "w-1", await start("worker", "w-1")],
    ["worker", "w-2", await start("worker", "w-2")],
    ["agent", "k-1", await start("agent", "k-1")],
  ];

  let next = 0;
  let ended = 0;
  const ends = new Map<string, unknown>();
  const lanes = Array.from({ length: ABREAST }, async () => {
    for (let n = next++; n < RUNS; n = next++) {
      const job = jobOf(n);
      ends.set(job.task.taskId, await runJob(scene, job));
      ended += 1;
    }
  });
  const all = Promise.all(lanes);
  all.catch(() => undefined);

  const strikes = {
    orchestrator: async () => {
      const index = chance.between(0, 1);
      await orchestrators[index]?.kill();
      orchestrators[index] = scene.launchOrchestrator();
    },
    member: async () => {
      const index = chance.between(0, members.length - 1);
      const [role, id, child] = members[index] ?? members[0] ?? [];
      if (role === undefined || id === undefined) return;
      await child?.kill();
      members[index] = [role, id, await start(role, id)];
    },
    server: async () => {
      await nats.kill();
      await nats.restart();
    },
  };
  while (ended < RUNS) {
    const goal = Math.min(RUNS, ended + chance.between(2, 12));
    await until(`${goal} of ${RUNS} workflows have ended`, () => ended >= goal, { deadlineMs: 45_000 });
    if (ended < RUNS)
      await strikes[chance.pick(["orchestrator", "orchestrator", "member", "member", "server"] as const)]();
  }
  await all;

  const jobs = Array.from({ length: RUNS }, (_, n) => jobOf(n));
  expect(Object.fromEntries(ends)).toEqual(Object.fromEntries(jobs.map(({ task, end }) => [task.taskId, end])));

  const [, , replayer] = members[0] ?? [];
  for (const { task } of jobs) {
    const history = await historyOf(scene, task.taskId);
    expect(history.map(({ eventId }) => eventId)).toEqual(history.map((_, index) => index + 1));
    const closed = history.filter(({ type }) =>
      /^WorkflowExecution(Completed|Failed|Canceled|Terminated|TimedOut)$/.test(type),
    );
    expect(closed).toHaveLength(1);
    replayer?.tell({ replay: { taskId: task.taskId, history } });
  }
  const replayed = await untilHolds(
    "every history was replayed",
    () => replayer?.saidOf("replayed") ?? [],
    (said) => said.length === RUNS,
    { deadlineMs: 60_000 },
  );
  expect(replayed.filter((said) => (said as { fault: string | null }).fault !== null)).toEqual([]);
});
