/** After Temporal's sample child-workflows and its feature tests of children. */
import { ChildWorkflowFailure, TerminatedFailure, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const named = workflow("named", { input: z.string(), output: z.string() }, (_, name) =>
  Promise.resolve(`I am a child named ${name}`),
);

test("a parent joins what its children gave", async () => {
  const parent = workflow("parent", { input: z.array(z.string()), output: z.string() }, async (ctx, names) =>
    (await Promise.all(names.map((name) => ctx.child(named, name)))).join("\n"),
  );
  const environment = testEnvironment({ workflows: [parent, named], maxCachedRuns: 0 });
  const run = await environment.start(parent, ["Alice", "Bob", "Charlie"]);
  expect(await run.result()).toBe("I am a child named Alice\nI am a child named Bob\nI am a child named Charlie");
});

test("a parent signals the child it started, and takes its result", async () => {
  const blocked = workflow("blocked", { output: z.string(), signals: { unblock: z.string() } }, (ctx) =>
    ctx.signal("unblock"),
  );
  const parent = workflow("parent", { output: z.string() }, async (ctx) => {
    const child = await ctx.startChild(blocked, undefined);
    await child.signal("unblock", "unblock");
    return await child.result();
  });
  const environment = testEnvironment({ workflows: [parent, blocked] });
  expect(await (await environment.start(parent, undefined)).result()).toBe("unblock");
});

test("a child that was ended from outside is a failure that says so", async () => {
  const waiting = workflow("waiting", {}, (ctx) => ctx.condition(() => false));
  const parent = workflow("parent", { output: z.string() }, async (ctx) => {
    try {
      await ctx.child(waiting, undefined, { workflowId: "the-child" });
      return "it completed";
    } catch (error) {
      if (!(error instanceof ChildWorkflowFailure && error.cause instanceof TerminatedFailure)) throw error;
      return `${error.workflowId}, a ${error.workflowType}, was terminated`;
    }
  });
  const environment = testEnvironment({ workflows: [parent, waiting] });
  const run = await environment.start(parent, undefined);
  await environment.workflow("the-child").terminate("enough");
  expect(await run.result()).toBe("the-child, a waiting, was terminated");
});

describe("when the parent has closed", () => {
  const child = workflow("child", { output: z.string(), signals: { finish: z.void() } }, async (ctx) => {
    await ctx.signal("finish");
    return "finished";
  });
  const parent = workflow(
    "parent",
    { input: z.enum(["terminate", "abandon", "requestCancel"]), output: z.string() },
    async (ctx, parentClosePolicy) => {
      const { workflowId } = await ctx.startChild(child, undefined, { parentClosePolicy });
      return workflowId;
    },
  );

  test.each([
    ["terminate", "terminated"],
    ["requestCancel", "cancelled"],
  ] as const)("the policy %s leaves its child %s", async (policy, state) => {
    const environment = testEnvironment({ workflows: [parent, child] });
    const childId = await (await environment.start(parent, policy)).result();
    expect(await environment.workflow(childId).wait()).toMatchObject({ state });
  });

  test("an abandoned child goes on", async () => {
    const environment = testEnvironment({ workflows: [parent, child] });
    const childId = await (await environment.start(parent, "abandon")).result();
    const orphan = environment.workflow(child, childId);
    expect(await orphan.describe()).toMatchObject({ state: "running" });
    await orphan.signal("finish");
    expect(await orphan.result()).toBe("finished");
  });
});
