/** Random events for an engine, each one that could come at that moment; invalid and late ones among them. */
import fc from "fast-check";
import type { TaskRecord } from "../../src/protocol/task-record.js";
import { taskId } from "../support/given.js";
import type { Engine } from "./engine.js";

export interface Act {
  readonly kind: keyof typeof acts;
  readonly dice: readonly number[];
  readonly value: unknown;
}

const agentNames = ["k-1", "k-2", "k-3", "k-4"];

const pick = <T>(list: readonly T[], die: number): T | undefined => list[die % Math.max(1, list.length)];

const tasksOf = (engine: Engine): TaskRecord[] => [...engine.core.ledger.tasks.values()];
const held = (engine: Engine, die: number) =>
  pick(
    tasksOf(engine).filter((record) => record.token !== null),
    die,
  );

const acts = {
  submit(engine: Engine, [a = 0, b = 0, c = 0]: readonly number[], value: unknown) {
    const dependencies = tasksOf(engine)
      .slice(-3, -3 + (a % 3))
      .map((record) => record.spec.taskId);
    engine.submit({
      taskId: `t-${engine.core.ledger.nextOrder}`,
      type: pick(["ocr", "gpu"], b) ?? "ocr",
      input: value,
      dependencies,
      priority: pick(["critical", "high", "normal", "low"] as const, c) ?? "normal",
      retry: { maximumAttempts: a % 4 },
      ...(b % 3 === 0 ? { timeoutMs: 3_000 } : {}),
      ...(c % 4 === 0 ? { scheduleToCloseMs: 12_000 } : {}),
    });
  },
  submitBatch(engine: Engine, [a = 0]: readonly number[]) {
    const first = engine.core.ledger.nextOrder;
    const ids = [`t-${first}`, `t-${first + 1}`, `t-${first + 2}`];
    engine.submit(
      ids.map((id, index) => ({
        taskId: id,
        dependencies: ids.slice(index + 1),
        priority: a % 2 === 0 ? "low" : "high",
      })),
    );
  },
  register(engine: Engine, [a = 0, b = 0, c = 0]: readonly number[]) {
    engine.register(pick(agentNames, a) ?? "k-1", {
      instanceId: `process-${b % 3}`,
      capabilities: pick([["ocr"], ["gpu"], ["ocr", "gpu"]], c) ?? [],
      maxConcurrentTasks: 1 + (b % 3),
    });
  },
  report(engine: Engine, [a = 0, b = 0]: readonly number[], value: unknown) {
    const record = held(engine, a);
    const state = pick(["accepted", "accepted", "progress", "released"] as const, b) ?? "accepted";
    if (record === undefined) return;
    engine.report(String(record.agentId), {
      state,
      taskId: record.spec.taskId,
      token: record.token ?? "",
      progress: value,
    });
  },
  leave(engine: Engine, [a = 0, b = 0]: readonly number[]) {
    const id = pick(agentNames, a) ?? "k-1";
    engine.report(id, { state: "draining" });
    if (b % 2 === 0) engine.report(id, { state: "idle" });
  },
  result(engine: Engine, [a = 0, b = 0]: readonly number[], value: unknown) {
    const record = held(engine, a);
    const status = pick(["completed", "completed", "failed", "cancelled"] as const, b) ?? "completed";
    if (record !== undefined) engine.handIn(engine.resultOf(record.spec.taskId, { status, output: value }));
  },
  cancel(engine: Engine, [a = 0]: readonly number[]) {
    const record = pick(tasksOf(engine), a);
    engine.cancel(record?.spec.taskId ?? taskId("nobody"));
  },
  undeliverable(engine: Engine, [a = 0]: readonly number[]) {
    const record = held(engine, a);
    if (record !== undefined) engine.undeliverable(record.spec.taskId);
  },
  pass(engine: Engine, [a = 0, b = 0]: readonly number[]) {
    engine.pass(1 + (a % 5_000), { silent: agentNames.slice(0, b % 3) });
  },
  lose(engine: Engine, [a = 0]: readonly number[]) {
    engine.lose(pick(agentNames, a) ?? "k-1");
  },
};

export function play(engine: Engine, life: readonly Act[]): void {
  for (const { kind, dice, value } of life) acts[kind](engine, dice, value);
}

const anyKind = fc.constantFrom<Act["kind"]>(
  ...(Object.keys(acts) as Act["kind"][]),
  "submit",
  "submit",
  "register",
  "report",
  "result",
);

export const anyLife = fc.array(
  fc.record({ kind: anyKind, dice: fc.array(fc.nat(), { minLength: 3, maxLength: 3 }), value: fc.jsonValue() }),
  { maxLength: 60, size: "max" },
);
