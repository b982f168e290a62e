/** After Temporal's sample dsl-interpreter: its two programs, which are data. */
import { type WorkflowContext, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const Invocation = z.object({
  name: z.string(),
  arguments: z.array(z.string()).default([]),
  result: z.string().optional(),
});
type Statement =
  | { activity: z.infer<typeof Invocation> }
  | { sequence: { elements: Statement[] } }
  | { parallel: { branches: Statement[] } };
const Statement: z.ZodType<Statement> = z.lazy(() =>
  z.union([
    z.object({ activity: Invocation }),
    z.object({ sequence: z.object({ elements: z.array(Statement) }) }),
    z.object({ parallel: z.object({ branches: z.array(Statement) }) }),
  ]),
);
const Program = z.object({ variables: z.record(z.string(), z.string()), root: Statement });
type Bindings = Record<string, string>;

async function execute(ctx: Pick<WorkflowContext, "task">, statement: Statement, bindings: Bindings): Promise<void> {
  if ("parallel" in statement) {
    await Promise.all(statement.parallel.branches.map((branch) => execute(ctx, branch, bindings)));
  } else if ("sequence" in statement) {
    for (const element of statement.sequence.elements) await execute(ctx, element, bindings);
  } else {
    const { name, result, arguments: names } = statement.activity;
    const output = await ctx.task(
      name,
      names.map((each) => bindings[each] ?? each),
    );
    if (result !== undefined) bindings[result] = z.string().parse(output);
  }
}

const interpreter = workflow("interpreter", { input: Program }, async (ctx, { variables, root }) => {
  const bindings = { ...variables };
  await execute(ctx, root, bindings);
  return bindings;
});

const invoke = (name: string, names: string[], result: string): Statement => ({
  activity: { name, arguments: names, result },
});
const inSequence = (...elements: Statement[]): Statement => ({ sequence: { elements } });
const call = ({ type }: { type: string }, input: unknown) => `${type}(${z.array(z.string()).parse(input).join(", ")})`;
const tasks = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`activity${n}`, call]));

test("a sequence hands on what its steps gave", async () => {
  const environment = testEnvironment({ workflows: [interpreter], tasks, maxCachedRuns: 0 });
  const run = await environment.start(interpreter, {
    variables: { arg1: "value1", arg2: "value2" },
    root: inSequence(
      invoke("activity1", ["arg1"], "result1"),
      invoke("activity2", ["result1"], "result2"),
      invoke("activity3", ["arg2", "result2"], "result3"),
    ),
  });
  expect(await run.result()).toMatchObject({ result3: "activity3(value2, activity2(activity1(value1)))" });
});

test("branches run beside each other, each in its own order, and are joined", async () => {
  const order: string[] = [];
  const environment = testEnvironment({
    workflows: [interpreter],
    tasks: {
      ...tasks,
      activity2: async (context, input) => {
        await environment.sleep("1h");
        order.push("activity2");
        return call(context, input);
      },
      activity4: (context, input) => {
        order.push("activity4");
        return call(context, input);
      },
    },
    maxCachedRuns: 0,
  });
  const run = await environment.start(interpreter, {
    variables: { arg1: "value1", arg2: "value2", arg3: "value3" },
    root: inSequence(
      invoke("activity1", ["arg1"], "result1"),
      {
        parallel: {
          branches: [
            inSequence(
              invoke("activity2", ["result1"], "result2"),
              invoke("activity3", ["arg2", "result2"], "result3"),
            ),
            inSequence(
              invoke("activity4", ["result1"], "result4"),
              invoke("activity5", ["arg3", "result4"], "result5"),
            ),
          ],
        },
      },
      invoke("activity1", ["result3", "result5"], "result6"),
    ),
  });
  expect(await run.result()).toMatchObject({
    result6:
      "activity1(activity3(value2, activity2(activity1(value1))), activity5(value3, activity4(activity1(value1))))",
  });
  expect(order).toEqual(["activity4", "activity2"]);
});

test("a program that is none is refused before anything is started, with the place that is wrong", async () => {
  const environment = testEnvironment({ workflows: [interpreter], tasks });
  const wrong = { variables: {}, root: { sequence: { elements: "none" } } } as never;
  await expect(environment.start(interpreter, wrong)).rejects.toMatchObject({
    code: "INVALID_MESSAGE",
    message: expect.stringContaining("root"),
  });
});
