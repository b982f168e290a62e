import fc from "fast-check";
import { expect, it } from "vitest";
import { priorities } from "../../src/protocol/priority.js";
import type { TaskRecord } from "../../src/protocol/task-record.js";
import { PROMOTION_INTERVAL_MS } from "../../src/scheduler/pick-task.js";
import { capabilityKey, ReadyQueue } from "../../src/scheduler/ready-queue.js";
import { givenTask, taskId } from "../support/given.js";

function givenQueue(...tasks: readonly TaskRecord[]): ReadyQueue {
  const queue = new ReadyQueue();
  for (const task of tasks) queue.add(task);
  return queue;
}

/** Ids in the order in which they would start if nothing else came, over all lines by age and priority at `now`. */
function orderAt(queue: ReadyQueue, now: number): string[] {
  const taken: string[] = [];
  for (const line of [...queue.lines()]) {
    for (let first = line.first(now); first !== undefined; first = line.first(now)) {
      queue.takeFirst(line, first);
      taken.push(first.spec.taskId);
    }
  }
  return taken;
}

const task = (id: string, priority: (typeof priorities)[number], readyAt: number, order = 1) =>
  givenTask({ spec: { taskId: taskId(id), priority }, readyAt, order });

it.each<[string, TaskRecord[], number, string[]]>([
  [
    "priority before age",
    [task("old-low", "low", 0), task("new-critical", "critical", 10)],
    20,
    ["new-critical", "old-low"],
  ],
  ["the older of two equal ones", [task("newer", "normal", 10), task("older", "normal", 0)], 20, ["older", "newer"]],
  [
    "the submitted earlier of two ready at once",
    [task("second", "normal", 0, 2), task("first", "normal", 0, 1)],
    20,
    ["first", "second"],
  ],
  [
    "a low one that waited 30 s like a normal one",
    [task("normal", "normal", 1_000), task("low", "low", 0)],
    30_000,
    ["low", "normal"],
  ],
  [
    "no promotion before 30 s are over",
    [task("normal", "normal", 1_000), task("low", "low", 0)],
    29_999,
    ["normal", "low"],
  ],
  [
    "a low one that waited 90 s before a new critical one",
    [task("critical", "critical", 90_000), task("low", "low", 0)],
    90_000,
    ["low", "critical"],
  ],
  [
    "critical as the highest there is, however long it waited",
    [task("critical", "critical", 1_000), task("high", "high", 0)],
    600_000,
    ["high", "critical"],
  ],
  [
    "the same order while the clock is behind",
    [task("newer", "normal", 10), task("older", "normal", 5)],
    0,
    ["older", "newer"],
  ],
])("puts first: %s", (_what, tasks, now, order) => {
  expect(orderAt(givenQueue(...tasks), now)).toEqual(order);
});

interface Wish {
  readonly level: number;
  readonly readyAt: number;
  readonly crew: number;
}

const capabilitySets = [[], ["ocr"], ["ocr", "gpu"], ["gpu", "ocr"], ["scan"]];
const anyWish: fc.Arbitrary<Wish> = fc.record({
  level: fc.integer({ min: 0, max: 3 }),
  readyAt: fc.integer({ min: 0, max: 200_000 }),
  crew: fc.nat({ max: capabilitySets.length - 1 }),
});

const tasksOf = (wishes: readonly Wish[]): TaskRecord[] =>
  wishes.map(({ level, readyAt, crew }, order) =>
    givenTask({
      spec: {
        taskId: taskId(`t-${order}`),
        priority: priorities[level] ?? "low",
        requiredCapabilities: capabilitySets[crew] ?? [],
      },
      readyAt,
      order,
    }),
  );

/** By the rule, without a data structure: level after promotions, then age, then order of submission. */
function naiveFirst(tasks: readonly TaskRecord[], now: number): TaskRecord | undefined {
  const rank = (record: TaskRecord): [number, number, number] => {
    const waited = Math.max(0, now - (record.readyAt ?? 0));
    const level = priorities.indexOf(record.spec.priority) - Math.floor(waited / PROMOTION_INTERVAL_MS);
    return [Math.max(0, level), record.readyAt ?? 0, record.order];
  };
  return [...tasks].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
  })[0];
}

it("agrees with a plain sort at any time, whoever leaves the line meanwhile", () => {
  const anyMove = fc.record({ now: fc.integer({ min: 0, max: 400_000 }), leaves: fc.option(fc.nat()) });
  fc.assert(
    fc.property(fc.array(anyWish, { maxLength: 40 }), fc.array(anyMove, { maxLength: 40 }), (wishes, moves) => {
      let waiting = tasksOf(wishes);
      const queue = givenQueue(...waiting);
      for (const { now, leaves } of moves) {
        const leaver = leaves === null ? undefined : waiting[leaves % Math.max(1, waiting.length)];
        if (leaver !== undefined) {
          leaver.state = "cancelled";
          queue.noteLeft(leaver);
          waiting = waiting.filter((record) => record !== leaver);
        }
        expect(queue.size).toBe(waiting.length);
        for (const line of [...queue.lines()]) {
          const inLine = waiting.filter(
            ({ spec }) => capabilityKey(spec.requiredCapabilities) === capabilityKey(line.capabilities),
          );
          const first = line.first(now);
          expect(first?.spec.taskId).toBe(naiveFirst(inLine, now)?.spec.taskId);
          expect(line.size).toBe(inLine.length);
          if (first === undefined) continue;
          queue.takeFirst(line, first);
          first.state = "assigned";
          waiting = waiting.filter((record) => record !== first);
        }
      }
    }),
  );
});

it("puts tasks that need the same capabilities into one line, whatever their order or repetition", () => {
  const needs = (...requiredCapabilities: string[]) => givenTask({ spec: { requiredCapabilities } });
  const queue = givenQueue(needs("ocr", "gpu"), needs("gpu", "ocr"), needs("ocr", "gpu", "ocr"), needs("ocr"));
  expect([...queue.lines()].map((line) => line.size)).toEqual([3, 1]);
});

it("keeps no line for a kind of task that is gone", () => {
  const record = givenTask();
  const queue = givenQueue(record);
  record.state = "cancelled";
  queue.noteLeft(record);
  expect([...queue.lines()]).toEqual([]);
});

it("refuses to take a task that is not the first of its line", () => {
  const second = task("second", "normal", 10);
  const queue = givenQueue(task("first", "normal", 0), second);
  const [line] = queue.lines();
  expect(() => line?.takeFirst(second)).toThrow("task second is not the first of its line");
});

it("knows since when the oldest of a line waits, whatever its priority", () => {
  const oldest = task("oldest", "low", 5);
  const queue = givenQueue(task("urgent", "critical", 20), oldest, task("newer", "low", 10));
  const since = () => queue.line("ocr")?.waitingSince;
  const before = since();
  oldest.state = "cancelled";
  queue.noteLeft(oldest);
  expect([before, since(), queue.line("gpu")]).toEqual([5, 10, undefined]);
});
