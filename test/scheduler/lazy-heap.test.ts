import fc from "fast-check";
import { expect, it } from "vitest";
import { LazyHeap } from "../../src/scheduler/lazy-heap.js";

interface Item {
  readonly rank: number;
  alive: boolean;
}

const newHeap = () => new LazyHeap<Item>({ before: (a, b) => a.rank < b.rank, isAlive: (item) => item.alive });

type Act =
  | { readonly kind: "push"; readonly rank: number }
  | { readonly kind: "pop" | "peek" }
  | { readonly kind: "kill"; readonly which: number };

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant("push" as const), rank: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ kind: fc.constantFrom("pop" as const, "peek" as const) }),
  fc.record({ kind: fc.constant("kill" as const), which: fc.nat() }),
);

/** Does the same to the heap and to a plain list; returns what came out of each. */
function play(acts: readonly Act[]): { heap: LazyHeap<Item>; alive: Item[]; seen: [unknown, unknown][] } {
  const heap = newHeap();
  let alive: Item[] = [];
  const seen: [unknown, unknown][] = [];
  for (const act of acts) {
    const lowest = alive.length === 0 ? undefined : Math.min(...alive.map((item) => item.rank));
    if (act.kind === "push") {
      const item = { rank: act.rank, alive: true };
      heap.push(item);
      alive.push(item);
    } else if (act.kind === "kill") {
      const item = alive[act.which % Math.max(1, alive.length)];
      if (item === undefined) continue;
      item.alive = false;
      heap.noteDeath();
      alive = alive.filter((other) => other !== item);
    } else {
      const item = act.kind === "peek" ? heap.peek() : heap.pop();
      seen.push([item?.rank, lowest]);
      if (act.kind === "pop") alive = alive.filter((other) => other !== item);
    }
  }
  return { heap, alive, seen };
}

it("gives the first of the living, whatever dies meanwhile", () => {
  fc.assert(
    fc.property(fc.array(anyAct, { maxLength: 200 }), (acts) => {
      for (const [got, expected] of play(acts).seen) expect(got).toBe(expected);
    }),
  );
});

it("gives every living item once, in order", () => {
  fc.assert(
    fc.property(fc.array(anyAct, { maxLength: 200 }), (acts) => {
      const { heap, alive } = play(acts);
      const drained: Item[] = [];
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) drained.push(item);
      expect(drained.map((item) => item.rank)).toEqual(alive.map((item) => item.rank).sort((a, b) => a - b));
    }),
  );
});

it("still gives the living in order after it was rebuilt", () => {
  const heap = newHeap();
  const items = Array.from({ length: 5_000 }, (_, index) => ({ rank: (index * 7_919) % 5_003, alive: true }));
  for (const item of items) heap.push(item);
  for (const item of items.filter((_, index) => index % 3 !== 0)) {
    item.alive = false;
    heap.noteDeath();
  }
  const living = items.filter((item) => item.alive).map((item) => item.rank);
  expect(living.map(() => heap.pop()?.rank)).toEqual(living.sort((a, b) => a - b));
});

it("holds at most twice the living, or a thousand dead, through any mix of pushes, pops and deaths", () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat({ max: 9 })), (dice) => {
      const heap = newHeap();
      let living: Item[] = [];
      for (let turn = 0; turn < 12_000; turn += 1) {
        const roll = dice.next().value ?? 0;
        if (roll < 5 || living.length === 0) {
          const item = { rank: (turn * 7_919) % 10_007, alive: true };
          heap.push(item);
          living.push(item);
        } else if (roll < 6) {
          const popped = heap.pop();
          if (popped !== undefined) popped.alive = false;
          living = living.filter((item) => item.alive);
        } else {
          const item = living.pop();
          if (item !== undefined) item.alive = false;
          heap.noteDeath();
        }
        if (heap.heldCount > Math.max(2 * living.length, living.length + LazyHeap.DEAD_MIN)) {
          expect.fail(`turn ${turn}: ${heap.heldCount} held for ${living.length} living`);
        }
      }
    }),
    { numRuns: 5 },
  );
});
