import { agent, connectClient, dag, task } from "perdure";
import { expect, it } from "vitest";
import { z } from "zod";
import { silentLogger } from "../../src/logger.js";
import { startLocalSystem } from "../../src/testing/local-system.js";

const Part = z.object({ n: z.int() });
const half = task("half", { input: Part, output: Part });
const sum = task("sum");

const build = dag("build", { input: z.array(z.int()) }, (d, numbers) => {
  const halves = numbers.map((n, index) => d.task(`half-${index}`, half, { n }));
  d.task("sum", sum, undefined, { after: halves, priority: "high" });
});

it("plans each task once, behind those it depends on", () => {
  expect(build.plan("b-1", [4, 6])).toEqual([
    { key: "half-0", taskId: "b-1-half-0", type: "half", input: { n: 4 }, dependencies: [] },
    { key: "half-1", taskId: "b-1-half-1", type: "half", input: { n: 6 }, dependencies: [] },
    {
      key: "sum",
      taskId: "b-1-sum",
      type: "sum",
      input: undefined,
      dependencies: ["b-1-half-0", "b-1-half-1"],
      priority: "high",
    },
  ]);
});

it("refuses an input that does not fit, and two tasks of one name", () => {
  expect(() => build.plan("b-1", ["x"] as never)).toThrow(/the input of dag build is wrong: 0/);
  const twice = dag("twice", {}, (d) => {
    d.task("a", sum);
    d.task("a", sum);
  });
  expect(() => twice.plan("t", undefined)).toThrow('dag twice has two tasks named "a"');
});

it("hands outputs on along its edges", async () => {
  const system = await startLocalSystem({ logger: silentLogger });
  const options = { servers: system.url, logger: silentLogger };
  const adder = agent("adder", {
    ...options,
    maxConcurrentTasks: 4,
    tasks: {
      half: (_ctx, input) => ({ n: Part.parse(input).n / 2 }),
      sum: ({ dependencyResults }) =>
        Object.values(dependencyResults).reduce<number>((all, one) => all + Part.parse(one).n, 0),
    },
  });
  await adder.start();
  const client = await connectClient(options);
  try {
    const tasks = await client.startDag(build, [4, 6, 10]);
    expect([...tasks.keys()]).toEqual(["half-0", "half-1", "half-2", "sum"]);
    expect(await tasks.get("sum")?.result()).toBe(10);
  } finally {
    await client.close();
    await adder.stop();
    await system.stop();
  }
});
