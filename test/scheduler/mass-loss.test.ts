import { expect, it } from "vitest";
import { MassLoss, type Silence } from "../../src/scheduler/mass-loss.js";

const LOST_MS = 6_000;
const startedAt = 1_000_000;

const overdue = (silentCount: number, activeCount: number): Silence => ({
  silentCount,
  overdueCount: silentCount,
  activeCount,
});

function observing(silence: Silence, monotonicNow = startedAt): MassLoss {
  const massLoss = new MassLoss(LOST_MS);
  massLoss.observe(silence, monotonicNow);
  return massLoss;
}

it.each<[string, Silence, boolean]>([
  ["two of two", overdue(2, 2), false],
  ["three of three", overdue(3, 3), true],
  ["three of five", overdue(3, 5), true],
  ["three of six, which are not more than half", overdue(3, 6), false],
  ["four of six", overdue(4, 6), true],
  ["three of a thousand", overdue(3, 1_000), false],
  ["one overdue and two that are silent as well, of three", { ...overdue(3, 3), overdueCount: 1 }, true],
])("with %s silent, holds them: %#", (_, silence, holds) => {
  const massLoss = observing(silence);
  expect([massLoss.isSuspected, massLoss.mayLose(startedAt)]).toEqual([holds, !holds]);
});

it("sees it coming before the first of them is overdue, and holds nobody yet", () => {
  const massLoss = observing({ silentCount: 3, overdueCount: 0, activeCount: 4 });
  expect([massLoss.isLooming, massLoss.isSuspected]).toEqual([true, false]);
});

it("counts those that were declared lost one by one within a lost threshold", () => {
  const massLoss = new MassLoss(LOST_MS);
  const lose = (left: number, monotonicNow: number): boolean => {
    massLoss.observe(overdue(1, left), monotonicNow);
    return massLoss.mayLose(monotonicNow);
  };
  expect([lose(3, startedAt), lose(2, startedAt + 1_000), lose(1, startedAt + 2_000)]).toEqual([true, true, false]);
  expect([lose(1, startedAt + 19_999), lose(1, startedAt + 20_000)]).toEqual([false, true]);
});

it("forgets who was lost more than a lost threshold ago", () => {
  const massLoss = observing(overdue(2, 3));
  massLoss.mayLose(startedAt);
  massLoss.mayLose(startedAt);
  massLoss.observe(overdue(1, 1), startedAt + LOST_MS);
  expect(massLoss.mayLose(startedAt + LOST_MS)).toBe(true);
});

it("holds nobody any more once enough are heard again", () => {
  const massLoss = observing(overdue(4, 6));
  massLoss.observe(overdue(3, 6), startedAt + 1_000);
  expect([massLoss.isSuspected, massLoss.mayLose(startedAt + 1_000)]).toEqual([false, true]);
});

it("gives them up one a second when nothing has changed for three lost thresholds", () => {
  const massLoss = observing(overdue(12, 12));
  const givenUpAt: number[] = [];
  let left = 12;
  for (let afterMs = 0; left > 0 && afterMs < 60_000; afterMs += 250) {
    massLoss.observe(overdue(left, left), startedAt + afterMs);
    for (let index = left; index > 0; index -= 1) {
      if (!massLoss.mayLose(startedAt + afterMs)) continue;
      givenUpAt.push(afterMs);
      left -= 1;
    }
  }
  expect(givenUpAt).toEqual(Array.from({ length: 12 }, (_, index) => 18_000 + 1_000 * index));
});

it("begins anew where the silence was broken in between", () => {
  const massLoss = observing(overdue(4, 4));
  massLoss.observe(overdue(0, 4), startedAt + 17_000);
  massLoss.observe(overdue(4, 4), startedAt + 23_000);
  expect([massLoss.mayLose(startedAt + 40_999), massLoss.mayLose(startedAt + 41_000)]).toEqual([false, true]);
});
