import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { giveBack, type Picture, takePicture } from "../../src/orchestrator/copy-picture.js";
import type { TaskId } from "../../src/protocol/ids.js";
import { Engine, type Submission } from "../core/engine.js";

interface Given {
  readonly engine: Engine;
  readonly liveKeys: Set<TaskId>;
  /** One batch of tasks, decided while the journal stood at a sequence. */
  submitAt(sequence: number, ...tasks: Submission[]): void;
  take(options?: { youngMs?: number; liveMax?: number }): Picture;
}

function given(): Given {
  const engine = new Engine();
  const { ledger } = engine.core;
  const liveKeys = new Set<TaskId>();
  return {
    engine,
    liveKeys,
    submitAt: (sequence, ...tasks) => {
      ledger.nextSequence = sequence;
      engine.submit(tasks);
    },
    take: ({ youngMs = 0, liveMax = 100 } = {}) =>
      takePicture({ ledger, liveKeys, journalSequence: 50, now: engine.now, youngMs, liveMax }),
  };
}

const keys = ({ live }: Picture): string[] => live.map(({ key, value }) => (value === null ? `-${key}` : key));

it("takes so many live tasks at most, oldest first, and is complete up to the first that is left", () => {
  const { submitAt, take } = given();
  submitAt(10, { taskId: "a" }, { taskId: "b" });
  submitAt(20, { taskId: "c" });
  const first = take({ liveMax: 2 });
  const second = take({ liveMax: 2 });
  expect([keys(first), first.complete, keys(second), second.complete]).toEqual([["a", "b"], 19, ["c"], 50]);
});

it("leaves young tasks for later, and takes older ones behind them", () => {
  const { engine, submitAt, take } = given();
  submitAt(10, { taskId: "old" });
  take();
  engine.now += 1_000;
  submitAt(20, { taskId: "young" });
  engine.core.ledger.nextSequence = 30;
  engine.cancel("old");
  submitAt(40, { taskId: "younger" });
  const picture = take({ youngMs: 500 });
  expect([keys(picture), picture.ended.map(({ spec }) => spec.taskId), picture.complete]).toEqual([
    ["-old"],
    ["old"],
    19,
  ]);
});

it("takes ended tasks however many live ones wait to be copied", () => {
  const { engine, submitAt, take } = given();
  submitAt(10, { taskId: "a" }, { taskId: "b" });
  submitAt(20, { taskId: "ends" });
  engine.cancel("ends");
  const picture = take({ liveMax: 1 });
  expect([keys(picture), picture.ended.length, picture.complete]).toEqual([["a"], 1, 9]);
});

it("keeps an ended task among the live ones while another depends on it, and lets it go after that", () => {
  const { engine, submitAt, take } = given();
  submitAt(10, { taskId: "a" }, { taskId: "b", dependencies: ["a"], type: "scan" });
  engine.register("k-1");
  engine.complete("a");
  const needed = take();
  engine.cancel("b");
  const free = take();
  expect([keys(needed), needed.ended.length]).toEqual([["a", "b"], 0]);
  expect([keys(free).sort(), free.ended.map(({ spec }) => spec.taskId).sort()]).toEqual([
    ["-a", "-b"],
    ["a", "b"],
  ]);
});

it("takes again what may not have been written, and is not complete before", () => {
  const { engine, liveKeys, submitAt, take } = given();
  const { ledger } = engine.core;
  submitAt(10, { taskId: "a" });
  take();
  engine.cancel("a");
  submitAt(20, { taskId: "b" });
  submitAt(30, { taskId: "c" });
  const lost = take({ liveMax: 1 });
  giveBack(lost, { ledger, liveKeys, since: 11 });
  const none = take({ liveMax: 0 });
  const again = take();
  expect([none.complete, keys(none), none.ended.length]).toEqual([10, ["-a"], 1]);
  expect([keys(again), again.complete]).toEqual([["b", "c"], 50]);
});

it("keeps a workflow among the live ones that is open again before its end was copied", () => {
  const { engine, submitAt, take } = given();
  const start = { taskId: "o-1", type: "workflow:order", idReusePolicy: "allowDuplicate" } as const;
  submitAt(10, start);
  engine.core.terminate("o-1" as TaskId, "enough", engine.now);
  engine.submit(start, { messageId: randomUUID() });
  const picture = take();
  expect([keys(picture).includes("o-1"), picture.ended]).toEqual([true, []]);
});
