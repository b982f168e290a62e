import fc from "fast-check";
import { expect, it } from "vitest";
import type { TaskRecord } from "../../src/protocol/task-record.js";
import { Deadlines } from "../../src/scheduler/deadlines.js";
import { nextDeadline } from "../../src/scheduler/next-deadline.js";
import { givenTask, taskId } from "../support/given.js";

it.each<[string, TaskRecord, ReturnType<typeof nextDeadline>]>([
  [
    "a waiting task's is its close",
    givenTask({ state: "waiting", closeDeadlineAt: 9_000 }),
    { at: 9_000, event: "CloseTimedOut" },
  ],
  ["a queued task's is its close", givenTask({ closeDeadlineAt: 9_000 }), { at: 9_000, event: "CloseTimedOut" }],
  ["a queued task without a limit has none", givenTask(), null],
  ["a task in backoff is retried", givenTask({ state: "backoff", retryAt: 4_000 }), { at: 4_000, event: "RetryDue" }],
  [
    "a task in backoff closes first",
    givenTask({ state: "backoff", retryAt: 4_000, closeDeadlineAt: 3_000 }),
    { at: 3_000, event: "CloseTimedOut" },
  ],
  [
    "an assigned task is to be answered",
    givenTask({ state: "assigned", answerBy: 7_000 }),
    { at: 7_000, event: "AnswerOverdue" },
  ],
  [
    "an assigned task's attempt ends first",
    givenTask({ state: "assigned", answerBy: 7_000, attemptDeadlineAt: 6_000 }),
    { at: 6_000, event: "AttemptTimedOut" },
  ],
  [
    "of two at once, the one that ends more goes first",
    givenTask({ state: "assigned", answerBy: 7_000, attemptDeadlineAt: 7_000, closeDeadlineAt: 7_000 }),
    { at: 7_000, event: "CloseTimedOut" },
  ],
  [
    "an attempt's end goes before its answer",
    givenTask({ state: "assigned", answerBy: 7_000, attemptDeadlineAt: 7_000 }),
    { at: 7_000, event: "AttemptTimedOut" },
  ],
  ["a running task without limits has none", givenTask({ state: "running" }), null],
  [
    "a cancellation is to be answered",
    givenTask({ state: "cancelling", answerBy: 7_000 }),
    { at: 7_000, event: "AnswerOverdue" },
  ],
  ["an ended task has none", givenTask({ state: "completed", closeDeadlineAt: 9_000 }), null],
])("%s", (_what, record, deadline) => {
  expect(nextDeadline(record)).toEqual(deadline);
});

const closingAt = (at: number, id = "t-1") => givenTask({ spec: { taskId: taskId(id) }, closeDeadlineAt: at });

it("looks again for a deadline that moved later, and fires it then only", () => {
  const deadlines = new Deadlines(nextDeadline);
  const record = closingAt(1_000);
  deadlines.update(record);
  record.closeDeadlineAt = 5_000;
  deadlines.update(record);
  expect([deadlines.takeDue(1_000), deadlines.nextAt, deadlines.takeDue(5_000)?.item]).toEqual([null, 5_000, record]);
});

it("forgets a deadline that moved later and whose task then ended", () => {
  const deadlines = new Deadlines(nextDeadline);
  const record = closingAt(1_000);
  deadlines.update(record);
  record.closeDeadlineAt = 5_000;
  deadlines.update(record);
  record.state = "completed";
  deadlines.update(record);
  expect([deadlines.size, deadlines.nextAt, deadlines.takeDue(9_000)]).toEqual([0, null, null]);
});

it("fires a deadline that moved earlier once", () => {
  const deadlines = new Deadlines(nextDeadline);
  const record = closingAt(5_000);
  deadlines.update(record);
  record.closeDeadlineAt = 1_000;
  deadlines.update(record);
  const fired = deadlines.takeDue(1_000);
  record.state = "timed_out";
  deadlines.update(record);
  expect([fired?.deadline.at, deadlines.takeDue(9_000)]).toEqual([1_000, null]);
});

it("knows again a task that lost its deadline and got another", () => {
  const deadlines = new Deadlines(nextDeadline);
  const record = closingAt(5_000);
  deadlines.update(record);
  record.closeDeadlineAt = null;
  deadlines.update(record);
  record.closeDeadlineAt = 6_000;
  deadlines.update(record);
  expect([deadlines.nextAt, deadlines.takeDue(6_000)?.item]).toEqual([6_000, record]);
});

it("fires each task exactly when its deadline, wherever it moved, has come", () => {
  const anyMove = fc.record({
    which: fc.nat({ max: 9 }),
    at: fc.option(fc.integer({ min: 1, max: 1_000 })),
    passes: fc.integer({ min: 0, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 150 }), (moves) => {
      const tasks = Array.from({ length: 10 }, (_, index) => givenTask({ spec: { taskId: taskId(`t-${index}`) } }));
      const deadlines = new Deadlines(nextDeadline);
      let now = 0;
      for (const { which, at, passes } of moves) {
        const moved = tasks[which] as TaskRecord;
        moved.closeDeadlineAt = at === null ? null : now + at;
        deadlines.update(moved);
        now += passes;
        const due = tasks.filter((task) => task.closeDeadlineAt !== null && task.closeDeadlineAt <= now);
        const fired: TaskRecord[] = [];
        for (let next = deadlines.takeDue(now); next !== null; next = deadlines.takeDue(now)) {
          fired.push(next.item);
          next.item.closeDeadlineAt = null;
          deadlines.update(next.item);
        }
        expect(fired.map((task) => task.spec.taskId).sort()).toEqual(due.map((task) => task.spec.taskId).sort());

        const pending = tasks.flatMap((task) => task.closeDeadlineAt ?? []);
        expect(deadlines.size).toBe(pending.length);
        const earliest = pending.length === 0 ? null : Math.min(...pending);
        // It may be told too early, never too late.
        if (earliest === null) expect(deadlines.nextAt).toBeNull();
        else expect(deadlines.nextAt).toBeLessThanOrEqual(earliest);
      }
    }),
  );
});
