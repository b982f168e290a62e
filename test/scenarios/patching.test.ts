/** After Temporal's sample patching-api: the four versions of one workflow, and histories of each against the next. */
import { type AnyWorkflow, silentLogger, task, workflow } from "perdure";
import { replay, testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";

const activityA = task("activityA");
const activityB = task("activityB");
const afterA = task("activityThatMustRunAfterA");

const v1 = workflow("myWorkflow", {}, async (ctx) => {
  await ctx.task(activityA);
  await ctx.sleep("1 day");
  await ctx.task(afterA);
});
const v2 = workflow("myWorkflow", {}, async (ctx) => {
  if (ctx.patched("my-change-id")) {
    await ctx.task(activityB);
    await ctx.sleep("1 day");
  } else {
    await ctx.task(activityA);
    await ctx.sleep("1 day");
    await ctx.task(afterA);
  }
});
const v3 = workflow("myWorkflow", {}, async (ctx) => {
  ctx.deprecatePatch("my-change-id");
  await ctx.task(activityB);
  await ctx.sleep("1 day");
});
const final = workflow("myWorkflow", {}, async (ctx) => {
  await ctx.task(activityB);
  await ctx.sleep("1 day");
});

/** The activities that ran where a run begins with one version and, half a day later, another is deployed. */
async function deployed(before: AnyWorkflow, after: AnyWorkflow) {
  const did: string[] = [];
  const note = ({ type }: { type: string }) => void did.push(type);
  const environment = testEnvironment({
    workflows: [before],
    logger: silentLogger,
    tasks: { activityA: note, activityB: note, activityThatMustRunAfterA: note },
  });
  const run = await environment.start("myWorkflow");
  await environment.sleep("12h");
  await environment.deploy([after]);
  await environment.sleep("13h");
  const { state } = await run.describe();
  return { state, did, history: await run.history() };
}

test.each([
  ["v1 and then v2", v1, v2, ["activityA", "activityThatMustRunAfterA"]],
  ["v2 and then v3", v2, v3, ["activityB"]],
  ["v3 and then the final version", v3, final, ["activityB"]],
  ["v3 and, as after a rollback, v2", v3, v2, ["activityB"]],
])("a run that was begun with %s goes on as it was begun", async (_, before, after, expected) => {
  const { state, did, history } = await deployed(before, after);
  expect(state).toBe("completed");
  expect(did).toEqual(expected);
  expect(await replay({ workflows: [after], history: JSON.parse(JSON.stringify(history)) })).toEqual({ ok: true });
});

test.each([
  ["v1", "v3", v1, v3],
  ["v1", "the final version", v1, final],
  ["v2", "the final version", v2, final],
])(
  "a run of %s is held when %s comes too early, and the code it was begun with heals it",
  async (_, __, before, after) => {
    const { state, history } = await deployed(before, after);
    expect(state).toBe("stuck");
    expect(await replay({ workflows: [before], history })).toEqual({ ok: true });
    expect(await replay({ workflows: [after], history })).toMatchObject({
      ok: false,
      error: { name: "NondeterminismError" },
    });
  },
);
