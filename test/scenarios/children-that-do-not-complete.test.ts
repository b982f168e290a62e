/** Temporal's child workflows that fail, are cancelled, terminated, time out or cannot start: what the parent and its client see. */
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  isCancellation,
  TerminatedFailure,
  TimeoutFailure,
  task,
  workflow,
} from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const pay = task("pay", { retry: { maximumAttempts: 1 } });

const child = workflow("child", { input: z.enum(["fail", "task", "wait"]), output: z.string() }, async (ctx, how) => {
  if (how === "fail") throw new ApplicationFailure("out of stock", { type: "OutOfStock", details: { left: 0 } });
  if (how === "task") await ctx.task(pay);
  await ctx.condition(() => false);
  return "never";
});

const names = (error: unknown): string[] =>
  error instanceof Error ? [error.constructor.name, ...names(error.cause)] : [];

const observer = workflow(
  "observer",
  { input: z.enum(["fail", "task", "wait"]), output: z.array(z.string()) },
  async (ctx, how) => {
    try {
      await ctx.child(child, how, { workflowId: "child-1", ...(how === "wait" ? { runTimeout: "1 hour" } : {}) });
      return [];
    } catch (error) {
      return names(error);
    }
  },
);

const tasks = {
  pay: () => {
    throw new RangeError("no funds");
  },
};

const environmentOf = () => testEnvironment({ workflows: [observer, child], tasks, maxCachedRuns: 0 });

describe("a parent catches a ChildWorkflowFailure", () => {
  it.each([
    ["fail", [ChildWorkflowFailure.name, ApplicationFailure.name]],
    ["task", [ChildWorkflowFailure.name, ActivityFailure.name, ApplicationFailure.name]],
    ["wait", [ChildWorkflowFailure.name, TimeoutFailure.name]],
  ] as const)("with its whole chain of causes, of a child that does: %s", async (how, chain) => {
    const environment = environmentOf();
    expect(await (await environment.start(observer, how)).result()).toEqual(chain);
  });

  it.each([
    ["cancel", CancelledFailure.name],
    ["terminate", TerminatedFailure.name],
  ] as const)("of a child that somebody else made %s", async (how, cause) => {
    const environment = environmentOf();
    const run = await environment.start(observer, "wait");
    await environment.workflow("child-1")[how]();
    expect(await run.result()).toEqual([ChildWorkflowFailure.name, cause]);
  });
});

describe("a parent that lets it pass", () => {
  const careless = workflow("careless", { input: z.enum(["fail", "task"]) }, (ctx, how) =>
    ctx.child(child, how, { workflowId: "child-1" }),
  );

  it("fails itself, and its client has the chain as data, with type, message and details", async () => {
    const environment = testEnvironment({ workflows: [careless, child], tasks });
    const failure = await environment
      .start(careless, "fail")
      .then((run) => run.result())
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      state: "failed",
      failure: {
        type: "ChildWorkflowFailure",
        cause: { type: "OutOfStock", message: "out of stock", details: { left: 0 } },
      },
    });
  });

  it("fails itself through a task of the child", async () => {
    const environment = testEnvironment({ workflows: [careless, child], tasks });
    const run = await environment.start(careless, "task");
    await expect(run.result()).rejects.toMatchObject({
      failure: {
        type: "ChildWorkflowFailure",
        cause: { type: "ActivityFailure", cause: { type: "RangeError", message: "no funds" } },
      },
    });
  });
});

describe("a parent that is cancelled", () => {
  it("cancels the child, waits for its clean-up, and ends cancelled", async () => {
    const log: string[] = [];
    const careful = workflow("careful", {}, async (ctx) => {
      try {
        await ctx.condition(() => false);
      } catch (error) {
        if (isCancellation(error)) await ctx.nonCancellable(() => ctx.sleep("5s"));
        log.push("child cleaned up");
        throw error;
      }
    });
    const parent = workflow("parent", {}, async (ctx) => {
      try {
        await ctx.child(careful, undefined, { workflowId: "child-1" });
      } catch (error) {
        log.push(`parent saw ${isCancellation(error) ? "a cancellation" : "?"}`);
        throw error;
      }
    });
    const environment = testEnvironment({ workflows: [parent, careful] });
    const run = await environment.start(parent, undefined);
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ state: "cancelled" });
    await expect(environment.workflow("child-1").result()).rejects.toMatchObject({ state: "cancelled" });
    expect(log).toEqual(["child cleaned up", "parent saw a cancellation"]);
  });
});

it.each([
  ["waitCancellationCompleted", "cleaned up", 11],
  ["waitCancellationRequested", "ChildWorkflowFailure", 1],
  ["tryCancel", "ChildWorkflowFailure", 1],
  ["abandon", "ChildWorkflowFailure", 1],
] as const)("a child in a cancelled scope, with %s, gives its parent: %s", async (cancellationType, seen, seconds) => {
  const slow = workflow("slow", { output: z.string() }, async (ctx) => {
    try {
      await ctx.sleep("1 hour");
      return "never heard of it";
    } catch {
      await ctx.nonCancellable(() => ctx.sleep("10s"));
      return "cleaned up";
    }
  });
  const Seen = z.object({ outcome: z.string(), seconds: z.number() });
  const parent = workflow("parent", { output: Seen }, async (ctx) => {
    const begin = Date.now();
    const scope = ctx.cancellable(async (cancel) => {
      const running = ctx.child(slow, undefined, { workflowId: "slow-1", cancellationType });
      await ctx.sleep("1s");
      cancel();
      return await running;
    });
    const outcome = await scope.catch((error: Error) => error.name);
    const after = Date.now();
    await ctx.sleep("2 hours");
    return { outcome, seconds: (after - begin) / 1_000 };
  });
  const environment = testEnvironment({ workflows: [parent, slow], maxCachedRuns: 0 });
  const run = await environment.start(parent, undefined);
  expect(await run.result()).toEqual({ outcome: seen, seconds });
  const end = cancellationType === "abandon" ? "never heard of it" : "cleaned up";
  expect(await environment.workflow("slow-1").result()).toBe(end);
});

it("a child under an id that is taken cannot be started, which the parent is told", async () => {
  const twice = workflow("twice", { output: z.array(z.string()) }, async (ctx) => {
    await ctx.startChild(child, "wait", { workflowId: "child-1" });
    try {
      await ctx.startChild(child, "fail", { workflowId: "child-1" });
      return [];
    } catch (error) {
      if (!(error instanceof ChildWorkflowFailure) || !(error.cause instanceof ApplicationFailure)) throw error;
      return [error.workflowId, error.workflowType, error.cause.type];
    }
  });
  const environment = testEnvironment({ workflows: [twice, child], tasks });
  expect(await (await environment.start(twice, undefined)).result()).toEqual([
    "child-1",
    "child",
    "WORKFLOW_ALREADY_STARTED",
  ]);
});
