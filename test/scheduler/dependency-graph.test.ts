import fc from "fast-check";
import { expect, it } from "vitest";
import type { TaskId } from "../../src/protocol/ids.js";
import { DependencyGraph, findCycle } from "../../src/scheduler/dependency-graph.js";
import { taskId } from "../support/given.js";

type Edges = Readonly<Record<string, readonly string[]>>;

const batchOf = (edges: Edges): Map<TaskId, readonly TaskId[]> =>
  new Map(Object.entries(edges).map(([id, dependencies]) => [taskId(id), dependencies.map(taskId)]));

it.each<[string, Edges, string[] | null]>([
  ["nothing", {}, null],
  ["one task", { a: [] }, null],
  ["a task that depends on itself", { a: ["a"] }, ["a", "a"]],
  ["two that wait for each other", { a: ["b"], b: ["a"] }, ["a", "b", "a"]],
  ["a way into a circle", { a: ["b"], b: ["c"], c: ["d"], d: ["b"] }, ["b", "c", "d", "b"]],
  ["a diamond", { a: ["b", "c"], b: ["d"], c: ["d"], d: [] }, null],
  ["dependencies outside the batch", { a: ["x"], b: ["a", "y"] }, null],
  ["a circle that is reached last", { a: [], b: ["a"], c: ["b", "e"], d: ["c"], e: ["d"] }, ["c", "e", "d", "c"]],
])("finds the circle in %s", (_what, edges, cycle) => {
  expect(findCycle(batchOf(edges))).toEqual(cycle);
});

it("follows a chain of thousands without running out of stack", () => {
  const ids = Array.from({ length: 20_000 }, (_, index) => taskId(`t-${index}`));
  const chain = new Map(ids.map((id, index) => [id, index === 0 ? [] : [ids[index - 1] as TaskId]]));
  const closed = new Map(chain).set(ids[0] as TaskId, [ids.at(-1) as TaskId]);
  expect([findCycle(chain), findCycle(closed)?.length]).toEqual([null, ids.length + 1]);
});

const anyEdges: fc.Arbitrary<Edges> = fc
  .array(fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), { maxLength: 9 })
  .map((lists) => Object.fromEntries(lists.map((list, index) => [`t-${index}`, list.map((other) => `t-${other}`)])));

/** By taking out, again and again, whatever depends on nothing that is left. */
function hasCycle(edges: Edges): boolean {
  let left = Object.keys(edges);
  for (;;) {
    const blocked = left.filter((id) => edges[id]?.some((dependency) => left.includes(dependency)));
    if (blocked.length === left.length) return left.length > 0;
    left = blocked;
  }
}

it("finds a circle exactly where there is one, and names its edges", () => {
  fc.assert(
    fc.property(anyEdges, (edges) => {
      const cycle = findCycle(batchOf(edges));
      expect(cycle !== null).toBe(hasCycle(edges));
      if (cycle === null) return;
      expect(cycle.at(-1)).toBe(cycle[0]);
      cycle.slice(1).forEach((id, index) => {
        expect(edges[cycle[index] as string]).toContain(id);
      });
    }),
    { numRuns: 500 },
  );
});

it("is done with a task when the last of its dependencies completed", () => {
  const graph = new DependencyGraph();
  graph.add(taskId("c"), [taskId("a"), taskId("b")], 2);
  expect([graph.completeOne(taskId("c")), graph.completeOne(taskId("c")), graph.completeOne(taskId("c"))]).toEqual([
    false,
    true,
    false,
  ]);
});

it("counts only the dependencies that are open when a task comes", () => {
  const graph = new DependencyGraph();
  graph.add(taskId("c"), [taskId("a"), taskId("b")], 1);
  expect(graph.completeOne(taskId("c"))).toBe(true);
});

it("frees a dependency when its last dependent ends, and not before", () => {
  const graph = new DependencyGraph();
  graph.add(taskId("b"), [taskId("a")], 0);
  graph.add(taskId("c"), [taskId("a")], 0);
  const first = graph.remove(taskId("b"), [taskId("a")]);
  const stillNeeded = graph.hasDependents(taskId("a"));
  const last = graph.remove(taskId("c"), [taskId("a")]);
  expect([first, stillNeeded, last, graph.hasDependents(taskId("a"))]).toEqual([[], true, ["a"], false]);
});

it("frees a dependency once, however often its dependent is taken out", () => {
  const graph = new DependencyGraph();
  graph.add(taskId("b"), [taskId("a")], 1);
  expect([graph.remove(taskId("b"), [taskId("a")]), graph.remove(taskId("b"), [taskId("a")])]).toEqual([["a"], []]);
});
