import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, it } from "vitest";
import { endedStates } from "../../src/protocol/task-record.js";
import { Engine } from "../core/engine.js";
import { anyLife, play } from "../core/random-life.js";
import { agentId, taskId } from "../support/given.js";
import { until } from "../support/until.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const WEEK_MS = 7 * 86_400_000;
const CAPABILITIES = new Set(["ocr", "gpu", "scan"]);

/** Thousands of random events, among them every way a task can end. */
function livedThrough(): {
  readonly engine: Engine;
  readonly ids: readonly string[];
  readonly kept: WeakRef<object>[];
} {
  const engine = new Engine();
  const ids = new Set<string>();
  const kept: WeakRef<object>[] = [];
  for (const life of fc.sample(anyLife, { numRuns: 120, seed: 1 })) {
    play(engine, life);
    for (const [id, record] of engine.core.ledger.tasks) {
      if (!ids.has(id)) kept.push(new WeakRef(record), new WeakRef(record.spec));
      ids.add(id);
    }
    for (const agent of engine.core.ledger.agents.values()) kept.push(new WeakRef(agent));
  }
  return { engine, ids: [...ids], kept };
}

/** Ends whatever is left and drops what ended, as retention does. */
function endAll(engine: Engine): void {
  const { tasks } = engine.core.ledger;
  for (const id of [...tasks.keys()]) engine.cancel(id);
  engine.pass(60_000);
  expect([...tasks.values()].filter(({ state }) => !endedStates.has(state))).toEqual([]);
  for (const id of [...tasks.keys()]) engine.core.ledger.forgetTask(id);
  // They are not given up all at once, and their records outlive them by a week.
  const silent = ["k-1", "k-2", "k-3", "k-4"];
  for (let round = 0; round < 10; round += 1) engine.pass(60_000, { silent });
  engine.pass(WEEK_MS, { silent });
  engine.decisions.length = 0;
}

function untilCollected(kept: readonly WeakRef<object>[]): Promise<void> {
  return until("none of it is reachable any more", async () => {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    return kept.every((reference) => reference.deref() === undefined);
  });
}

it("keeps nothing of tasks and agents that are gone", async () => {
  const { engine, ids, kept } = livedThrough();
  expect(ids.length).toBeGreaterThan(1_000);
  endAll(engine);
  const { ledger } = engine.core;
  expect({
    tasks: ledger.tasks.size,
    agents: ledger.agents.size,
    active: ledger.activeTasks.size,
    queued: ledger.queue.size,
    lines: [...ledger.queue.lines(), ...ledger.queue.servedBy(CAPABILITIES), ...ledger.queue.takeFresh()],
    deadlines: ledger.deadlines.size,
    alarms: ledger.deadlines.nextAt,
    places: ledger.pool.places,
    dependents: ids.filter((id) => ledger.graph.hasDependents(taskId(id)) || ledger.graph.completeOne(taskId(id))),
    followUp: ledger.takeFollowUp(),
    changed: [...ledger.dirtyTasks.keys(), ...ledger.dirtyEnded],
    counts: Object.values({ ...ledger.counts, ...ledger.agentCounts }).filter((count) => count !== 0),
  }).toEqual({
    tasks: 0,
    agents: 0,
    active: 0,
    queued: 0,
    lines: [],
    deadlines: 0,
    alarms: null,
    places: { total: 0, taken: 0 },
    dependents: [],
    followUp: undefined,
    changed: [],
    counts: [],
  });
  await untilCollected(kept);
  // The engine itself must not be what was collected.
  expect(engine.core.ledger).toBe(ledger);
});

it("keeps no ended task for the sake of a deadline that is far away", async () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "waits", type: "scan", scheduleToCloseMs: 1_000 });
  engine.submit({ taskId: "ends", scheduleToCloseMs: WEEK_MS });
  const kept = [new WeakRef(engine.task("ends"))];
  engine.complete("ends");
  engine.core.ledger.forgetTask(taskId("ends"));
  await untilCollected(kept);
  expect(engine.core.ledger.deadlines.size).toBe(1);
});

it("decides what one end entails for thousands in parts, and all of it in the end", () => {
  const engine = new Engine({ settings: { maxQueuedTasks: 10_000 } });
  engine.submit({ taskId: "gate" });
  const dependents = Array.from({ length: 3_500 }, (_, index) => `d-${index}`);
  for (const id of dependents) engine.submit({ taskId: id, type: "scan", dependencies: ["gate"] });
  engine.register("k-1");
  const instant = { at: engine.now, monotonicAt: engine.now };
  engine.core.result(agentId("k-1"), engine.resultOf("gate"), instant);
  const atOnce = engine.core.ledger.counts.queued;
  for (let flush = 0; flush < 4; flush += 1) engine.core.place(engine.now);
  expect([atOnce, engine.core.ledger.counts.queued]).toEqual([1_000, 3_500]);
});

it("fires thousands of deadlines of one moment in parts, and says that there are more", () => {
  const engine = new Engine({ settings: { maxQueuedTasks: 10_000 } });
  for (let index = 0; index < 1_500; index += 1) engine.submit({ taskId: `t-${index}`, scheduleToCloseMs: 100 });
  const { ledger } = engine.core;
  engine.core.fireDeadlines(engine.now + 100);
  const first = [ledger.counts.timed_out, ledger.deadlines.nextAt];
  engine.core.fireDeadlines(engine.now + 100);
  expect([first, [ledger.counts.timed_out, ledger.deadlines.nextAt]]).toEqual([
    [1_000, engine.now + 100],
    [1_500, null],
  ]);
});

it("gives thousands of tasks to agents in parts, and all of them in the end", () => {
  const engine = new Engine({ settings: { maxQueuedTasks: 10_000 } });
  for (let index = 0; index < 1_500; index += 1) engine.submit({ taskId: `t-${index}` });
  engine.register("k-1", { maxConcurrentTasks: 10_000 });
  const atOnce = engine.core.ledger.counts.assigned;
  engine.core.place(engine.now);
  expect([atOnce, engine.core.ledger.counts.assigned]).toEqual([1_000, 1_500]);
});
