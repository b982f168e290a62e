import { expect, it } from "vitest";
import { RecentlyEnded } from "../../src/orchestrator/recently-ended.js";
import { taskId } from "../support/given.js";

function given(count: number, entry: { length?: number; expiresAt?: number } = {}): RecentlyEnded {
  const recent = new RecentlyEnded();
  for (let index = 0; index < count; index += 1) {
    recent.add({ taskId: taskId(`t-${index}`), length: entry.length ?? 100, expiresAt: entry.expiresAt ?? 1_000 });
  }
  return recent;
}

it("keeps the last ten thousand", () => {
  const recent = given(10_002);
  expect([recent.takeSurplus(0), recent.takeSurplus(0)]).toEqual([["t-0", "t-1"], []]);
});

it("keeps no more than 32 MiB of them, whatever their number", () => {
  expect(given(6, { length: 8 * 1024 * 1024 }).takeSurplus(0)).toEqual(["t-0", "t-1"]);
});

it("keeps none beyond its retention", () => {
  const recent = given(2, { expiresAt: 1_000 });
  expect([recent.takeSurplus(999), recent.takeSurplus(1_000)]).toEqual([[], ["t-0", "t-1"]]);
});
