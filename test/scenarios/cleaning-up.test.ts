/** After Temporal's samples saga (compensations at once), cancellation, and the features child_workflow/cancel_*. */
import { ApplicationFailure, isCancellation, type TaskContext, TaskFailure, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

it("compensations that run at once all end, whichever fails, and what cannot be undone is said", async () => {
  const trip = workflow("trip", { output: z.void() }, async (ctx) => {
    const undo: (() => Promise<unknown>)[] = [];
    try {
      for (const what of ["car", "hotel", "flight"]) {
        // Noted before it is booked: one that failed may have taken effect.
        undo.push(() => ctx.task("cancel", what, { retry: { maximumAttempts: 2 } }));
        await ctx.task("book", what, { retry: { maximumAttempts: 1 } });
      }
    } catch (error) {
      const ends = await ctx.nonCancellable(() => Promise.allSettled(undo.map((step) => step())));
      const details = { notUndone: ends.filter(({ status }) => status === "rejected").length };
      throw new ApplicationFailure("not booked", { type: "TripFailed", details, cause: error });
    }
  });
  const cancelled: string[] = [];
  const environment = testEnvironment({
    workflows: [trip],
    tasks: {
      book: (_, what) => {
        if (what === "flight") throw new TaskFailure("sold out", { type: "SoldOut" });
      },
      cancel: async (_: TaskContext, what: string) => {
        await environment.sleep("3s");
        if (what === "hotel") throw new Error("nobody answers");
        cancelled.push(what);
      },
    },
  });
  await expect((await environment.start(trip, undefined)).result()).rejects.toMatchObject({
    failure: {
      type: "TripFailed",
      details: { notUndone: 1 },
      cause: { type: "ActivityFailure", cause: { type: "SoldOut", message: "sold out" } },
    },
  });
  expect(cancelled).toEqual(["car", "flight"]);
  expect(environment.now.toISOString()).toBe("2025-01-01T00:00:07.000Z");
});

it("a scope that is not cancellable has time-outs and cancellations of its own; outside of it nothing more begins", async () => {
  const nested = workflow("nested", { output: z.array(z.string()) }, async (ctx) => {
    const said: string[] = [];
    const note = (what: string) => (error: unknown) =>
      void said.push(`${what} ${isCancellation(error)} ${Date.now() % 60_000}`);
    await ctx.sleep("1 hour").catch(() => undefined);
    await ctx.nonCancellable(async () => {
      await ctx.withTimeout("3s", () => ctx.sleep("1 hour")).catch(note("time-out"));
      await ctx.cancellable(async (cancel) => {
        setTimeout(cancel, 1_000);
        await ctx.sleep("1 hour").catch(note("cancelled"));
      });
      said.push(String(await ctx.task("clean")));
    });
    await ctx.sleep("1s").catch(note("sleep"));
    await ctx.task("clean").catch(note("task"));
    await ctx.step("step", () => 1).catch(note("step"));
    await ctx.condition(() => false).catch(note("condition"));
    await ctx.child("nested").catch(note("child"));
    return said;
  });
  const environment = testEnvironment({ workflows: [nested], tasks: { clean: () => "clean" }, maxCachedRuns: 0 });
  const run = await environment.start(nested, undefined);
  await environment.sleep("10s");
  await run.cancel();
  expect(await run.result()).toEqual([
    "time-out true 13000",
    "cancelled true 14000",
    "clean",
    "sleep true 14000",
    "task true 14000",
    "step true 14000",
    "condition true 14000",
    "child true 14000",
  ]);
});

describe("a child whose scope is cancelled after five seconds, and that takes ten to clean up", () => {
  const types = ["waitCancellationCompleted", "waitCancellationRequested", "tryCancel", "abandon"] as const;
  const child = workflow("child", {}, async (ctx) => {
    try {
      await ctx.sleep("1 hour");
    } catch (error) {
      await ctx.nonCancellable(() => ctx.sleep("10s"));
      throw error;
    }
  });
  const parent = workflow("parent", { input: z.enum(types), output: z.number() }, async (ctx, cancellationType) => {
    const startedAt = Date.now();
    const options = { cancellationType, workflowId: "the-child" };
    const error = await ctx.withTimeout("5s", () => ctx.child(child, undefined, options)).catch((thrown) => thrown);
    const seconds = (Date.now() - startedAt) / 1_000;
    if (!isCancellation(error)) throw error;
    await ctx.sleep("2 hours");
    return seconds;
  });

  it.each([
    ["waitCancellationCompleted", 15, "cancelled"],
    ["waitCancellationRequested", 5, "cancelled"],
    ["tryCancel", 5, "cancelled"],
    ["abandon", 5, "completed"],
  ] as const)("%s: the parent goes on after %d s, and the child is %s", async (cancellationType, seconds, state) => {
    const environment = testEnvironment({ workflows: [child, parent] });
    expect(await (await environment.start(parent, cancellationType)).result()).toBe(seconds);
    expect((await environment.workflow("the-child").wait()).state).toBe(state);
  });
});
