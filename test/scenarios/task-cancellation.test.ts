/** Temporal's activity cancellation types, and cancel_try_cancel of its features. */
import { ActivityFailure, CancelledFailure, isCancellation, type TaskContext, task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const Type = z.enum(["waitCancellationCompleted", "tryCancel", "abandon"]);
const work = task("work", { input: z.string(), output: z.string() });

const canceller = workflow("canceller", { input: Type, output: z.unknown() }, async (ctx, cancellationType) => {
  const begin = Date.now();
  let caught: unknown;
  await ctx
    .cancellable(async (cancel) => {
      const doing = ctx.task(work, ctx.info.workflowId, { cancellationType });
      await ctx.sleep(1);
      cancel();
      await doing;
    })
    .catch((error: unknown) => {
      caught = error;
    });
  const afterMs = Date.now() - begin;
  if (cancellationType === "abandon") await ctx.sleep("5 minutes");
  return {
    activity: caught instanceof ActivityFailure,
    cancelled: caught instanceof ActivityFailure && caught.cause instanceof CancelledFailure,
    isCancellation: isCancellation(caught),
    afterMs,
  };
});

/** An agent that takes three seconds to stop. */
function slowToStop() {
  const said: string[] = [];
  const mock = async ({ signal }: TaskContext) => {
    said.push("began");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await environment.sleep("3s");
    said.push("stopped");
    signal.throwIfAborted();
  };
  const environment = testEnvironment({ workflows: [canceller], tasks: { work: mock } });
  return { environment, said };
}

describe("a task whose scope is cancelled", () => {
  it("tryCancel: the code goes on at once, and the agent is told", async () => {
    const { environment, said } = slowToStop();
    const run = await environment.start(canceller, "tryCancel");
    expect(await run.result()).toEqual({ activity: true, cancelled: true, isCancellation: true, afterMs: 1 });
    await environment.sleep("10s");
    expect(said).toEqual(["began", "stopped"]);
  });

  it("waitCancellationCompleted, the default: the code waits until the agent has stopped", async () => {
    const { environment, said } = slowToStop();
    const run = await environment.start(canceller, "waitCancellationCompleted");
    expect(await run.result()).toEqual({ activity: true, cancelled: true, isCancellation: true, afterMs: 3_001 });
    expect(said).toEqual(["began", "stopped"]);
  });

  it("waitCancellationCompleted: what the agent completes all the same is its output", async () => {
    const finisher = workflow("finisher", { output: z.string() }, (ctx) =>
      ctx.cancellable(async (cancel) => {
        const doing = ctx.task(work, "x");
        await ctx.sleep(1);
        cancel();
        return doing;
      }),
    );
    const environment = testEnvironment({
      workflows: [finisher],
      tasks: {
        work: async ({ signal }) => {
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          return "finished anyway";
        },
      },
    });
    const run = await environment.start(finisher, undefined);
    expect(await run.result()).toBe("finished anyway");
  });

  it("abandon: the code goes on at once, and the agent is never told", async () => {
    let isAborted: boolean | undefined;
    const environment = testEnvironment({
      workflows: [canceller],
      tasks: {
        work: async ({ signal }) => {
          await environment.sleep("1 minute");
          isAborted = signal.aborted;
          return "done";
        },
      },
    });
    const run = await environment.start(canceller, "abandon");
    expect(await run.result()).toEqual({ activity: true, cancelled: true, isCancellation: true, afterMs: 1 });
    expect(isAborted).toBe(false);
  });

  it("is cancelled with its run, whose code may clean up in a scope of its own", async () => {
    const log: string[] = [];
    const tidy = workflow("tidy", { output: z.string() }, async (ctx) => {
      try {
        return await ctx.task(work, "render");
      } catch (error) {
        if (!isCancellation(error)) throw error;
        await ctx.nonCancellable(() => ctx.task(work, "release"));
        throw error;
      }
    });
    const environment = testEnvironment({
      workflows: [tidy],
      tasks: {
        work: async ({ signal }, what) => {
          log.push(what as string);
          if (what === "release") return "released";
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          throw signal.reason;
        },
      },
    });
    const run = await environment.start(tidy, undefined);
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ state: "cancelled", failure: { type: "CANCELLED" } });
    expect(log).toEqual(["render", "release"]);
  });
});
