/** Large fan-outs and joins, as in Temporal's samples and benchmarks: 500 tasks, 500 steps, 100 children. */
import { task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const square = task("square", { input: z.number(), output: z.number() });
const numbers = Array.from({ length: 500 }, (_, n) => n);
const squares = numbers.map((n) => n * n);

const tasks = { square: (_task: unknown, n: unknown) => (n as number) ** 2 };

it("joins 500 tasks, each result in its place", async () => {
  const wide = workflow("wide", { output: z.array(z.number()) }, (ctx) =>
    Promise.all(numbers.map((n) => ctx.task(square, n))),
  );
  const environment = testEnvironment({ workflows: [wide], tasks });
  const run = await environment.start(wide, undefined);
  expect(await run.result()).toEqual(squares);
});

it("joins 500 steps", async () => {
  const wide = workflow("wide", { output: z.array(z.number()) }, (ctx) =>
    Promise.all(numbers.map((n) => ctx.step(`square-${n}`, () => n * n))),
  );
  const environment = testEnvironment({ workflows: [wide] });
  const run = await environment.start(wide, undefined);
  expect(await run.result()).toEqual(squares);
});

it("joins 500 tasks of which some fail at first, in a worker that forgets the run after every turn", async () => {
  const attempts = new Map<number, number>();
  const wide = workflow("wide", { output: z.number() }, async (ctx) => {
    const results = await Promise.all(numbers.map((n) => ctx.task(square, n)));
    return results.reduce((sum, one) => sum + one, 0);
  });
  const environment = testEnvironment({
    workflows: [wide],
    maxCachedRuns: 0,
    tasks: {
      square: ({ attempt }, given) => {
        const n = given as number;
        attempts.set(n, attempt);
        if (n % 10 === 0 && attempt === 1) throw new Error("first time unlucky");
        return n * n;
      },
    },
  });
  const run = await environment.start(wide, undefined);
  expect(await run.result()).toBe(squares.reduce((sum, one) => sum + one, 0));
  expect([...attempts.values()].filter((attempt) => attempt === 2)).toHaveLength(50);
});

it("joins 100 children that each do a task", async () => {
  const leaf = workflow("leaf", { input: z.number(), output: z.number() }, (ctx, n) => ctx.task(square, n));
  const tree = workflow("tree", { output: z.array(z.number()) }, (ctx) =>
    Promise.all(numbers.slice(0, 100).map((n) => ctx.child(leaf, n))),
  );
  const environment = testEnvironment({ workflows: [tree, leaf], tasks });
  const run = await environment.start(tree, undefined);
  expect(await run.result()).toEqual(squares.slice(0, 100));
});
