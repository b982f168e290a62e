import { expect, it } from "vitest";
import { RecentIds } from "../../../workflows/overmind/recent-ids.js";

it("knows what it has seen, also after it was stored", () => {
  const recent = new RecentIds();
  const first = [recent.add("routing.model.selected", "r-1"), recent.add("routing.model.selected", "r-1")];
  const stored = new RecentIds(recent.toString());

  expect(first).toEqual([true, false]);
  expect(stored.add("routing.model.selected", "r-1")).toBe(false);
  // No two parts run into each other.
  expect(stored.add("routing.model.selectedr", "-1")).toBe(true);
});

it("forgets the oldest, and nothing else", () => {
  const recent = new RecentIds();
  for (let number = 0; number <= 20_000; number += 1) expect(recent.add(String(number))).toBe(true);

  expect(recent.add("1")).toBe(false);
  expect(recent.add("0")).toBe(true);
  expect(recent.toString()).toHaveLength(160_000);
});
