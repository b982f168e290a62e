import { expect, test } from "vitest";
import { z } from "zod";
import { type TaskHandler, task, workflow } from "../../src/index.js";
import { ActivityFailure, CancelledFailure, isCancellation } from "../../src/workflow/failures.js";
import { failureOf, lab, typesOf } from "./lab.js";

const dig = task("dig", { timeouts: { startToClose: "1d" } });

/** Digs until it is told to stop, and says so. */
const digging: TaskHandler = async ({ signal }) => {
  await new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
};

test("a run that lets its cancellation through ends cancelled", async () => {
  const sleepy = workflow("sleepy", {}, async (ctx) => {
    await ctx.sleep("1h");
  });
  const env = lab(sleepy);
  const run = await env.start(sleepy, undefined);
  await run.cancel();
  expect(await run.wait()).toMatchObject({ state: "cancelled" });
  expect((await typesOf(run)).slice(-4)).toEqual([
    "WorkflowExecutionCancelRequested",
    "WorkflowTaskCompleted",
    "TimerCanceled",
    "WorkflowExecutionCanceled",
  ]);
});

test("one that finishes all the same is completed, and one that fails over it is failed", async () => {
  const stubborn = workflow("stubborn", { input: z.boolean() }, async (ctx, fails) => {
    try {
      await ctx.sleep("1h");
    } catch (reason) {
      if (fails) throw new RangeError("could not stop");
      return (reason as Error).message;
    }
    return "slept";
  });
  const env = lab(stubborn);
  const done = await env.start(stubborn, false);
  await done.cancel();
  expect(await done.result()).toBe("the workflow was cancelled");
  const failed = await env.start(stubborn, true);
  await failed.cancel();
  expect(await failureOf(failed)).toMatchObject({ type: "RangeError" });
});

test("a cancellation that nobody asked for fails the run", async () => {
  const loose = workflow("loose", {}, async (ctx) => {
    await ctx.cancellable(async (cancel) => {
      const sleeping = ctx.sleep("1h");
      cancel();
      await sleeping;
    });
  });
  const env = lab(loose);
  const run = await env.start(loose, undefined);
  expect(await run.wait()).toMatchObject({ state: "failed", error: { type: "CANCELLED" } });
});

test("asking again changes nothing", async () => {
  const slow = workflow("slow", {}, async (ctx) => {
    await ctx.sleep("1h").catch(() => ctx.nonCancellable(() => ctx.sleep("1m")));
  });
  const env = lab(slow);
  const run = await env.start(slow, undefined);
  await run.cancel();
  await run.cancel();
  await run.result();
  expect((await typesOf(run)).filter((type) => type === "WorkflowExecutionCancelRequested")).toHaveLength(1);
});

test("clean-up needs a shield: what is asked for in a cancelled scope is refused at once", async () => {
  const tidy = workflow("tidy", {}, async (ctx) => {
    const seen: string[] = [];
    try {
      await ctx.sleep("1h");
    } catch {
      await ctx.step("unshielded", () => 1).catch((reason: Error) => seen.push(reason.name));
      seen.push(
        await ctx.nonCancellable(async () => {
          const inside = await ctx.cancellable(() => ctx.step("shielded", () => "cleaned up"));
          await ctx.sleep("1m");
          return inside;
        }),
      );
      await ctx.sleep(1).catch((reason: Error) => seen.push(reason.name));
    }
    return seen;
  });
  const env = lab(tidy);
  const run = await env.start(tidy, undefined);
  await run.cancel();
  expect(await run.result()).toEqual(["CancelledFailure", "cleaned up", "CancelledFailure"]);
});

test("a scope is cancelled by itself, and what is beside it goes on", async () => {
  const two = workflow("two", {}, async (ctx) => {
    const outside = ctx.sleep("2h").then(() => "slept");
    const inside = await ctx
      .cancellable(async (cancel) => {
        const nested = ctx.cancellable(() => ctx.sleep("1h"));
        setTimeout(cancel, 60_000);
        await nested;
        return "never";
      })
      .catch((reason: unknown) => (isCancellation(reason) ? "cancelled" : "failed"));
    return [inside, await outside];
  });
  const env = lab(two);
  expect(await (await env.start(two, undefined)).result()).toEqual(["cancelled", "slept"]);
});

test("withTimeout cancels what takes too long, and takes back its timer where it does not", async () => {
  const timed = workflow("timed", { input: z.string() }, async (ctx, duration) => {
    return await ctx.withTimeout("1h", async () => {
      await ctx.sleep(duration as "1m");
      return "in time";
    });
  });
  const env = lab(timed);
  const quick = await env.start(timed, "1m");
  expect(await quick.result()).toBe("in time");
  expect(await typesOf(quick)).toContain("TimerCanceled");
  const slow = await env.start(timed, "2h");
  expect(await failureOf(slow)).toMatchObject({ type: "CANCELLED", message: "cancelled after 3600000 ms" });
});

test("a task's cancellation waits for how it really ends, unless it says otherwise", async () => {
  const digger = workflow("digger", { input: z.string().optional() }, async (ctx, type) => {
    const begun = Date.now();
    try {
      await ctx.task(dig, undefined, type === undefined ? {} : { cancellationType: type as "tryCancel" });
      return "dug";
    } catch (reason) {
      const cancelled = reason instanceof ActivityFailure && reason.cause instanceof CancelledFailure;
      return { cancelled, after: Date.now() - begun };
    }
  });
  const env = lab(digger, {
    tasks: {
      // Finishes what it does, two seconds after it was told to stop.
      dig: async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        await env.sleep(2_000);
        return "a hole";
      },
    },
  });
  const waited = await env.start(digger, undefined);
  await waited.cancel();
  // It finished before it stopped: that is how it ended.
  expect(await waited.result()).toBe("dug");

  await env.onTask("dig", async (context, input) => {
    await digging(context, input);
  });
  const stopped = await env.start(digger, undefined);
  await stopped.cancel();
  expect(await stopped.result()).toEqual({ cancelled: true, after: 0 });

  await env.onTask("dig", "hang");
  const deaf = await env.start(digger, undefined);
  await deaf.cancel();
  expect(await deaf.result()).toEqual({ cancelled: true, after: 5_000 });

  for (const type of ["tryCancel", "abandon"]) {
    const left = await env.start(digger, type);
    await left.cancel();
    expect(await left.result()).toEqual({ cancelled: true, after: 0 });
    const told = (await typesOf(left)).includes("ActivityTaskCancelRequested");
    expect(told).toBe(type === "tryCancel");
  }
});

test("a task that no agent has yet is cancelled at once", async () => {
  const digger = workflow("digger", {}, async (ctx) => {
    await ctx.task(dig);
  });
  const env = lab(digger);
  const run = await env.start(digger, undefined);
  await run.cancel();
  expect(await run.wait()).toMatchObject({ state: "cancelled" });
  expect(await typesOf(run)).toContain("ActivityTaskCanceled");
});

test("one that is cancelled in the turn that asks for it never starts", async () => {
  let started = 0;
  const fickle = workflow("fickle", {}, async (ctx) => {
    return await ctx
      .cancellable(async (cancel) => {
        const digs = ctx.task(dig);
        const step = ctx.step("dig here", () => {
          started += 1;
        });
        cancel();
        await Promise.allSettled([digs, step]);
        await digs;
      })
      .catch((reason: unknown) => isCancellation(reason));
  });
  const env = lab(fickle, {
    tasks: {
      dig: () => {
        started += 1;
      },
    },
  });
  expect(await (await env.start(fickle, undefined)).result()).toBe(true);
  expect(started).toBe(0);
});

test("a step that is cancelled hears of it, and the code does not wait for it", async () => {
  let heard = "";
  const stepping = workflow("stepping", {}, async (ctx) => {
    try {
      await ctx.step("long", async ({ signal }) => {
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      });
    } catch (reason) {
      return isCancellation(reason);
    }
    return false;
  });
  const watched = workflow("watched", {}, async (ctx) => {
    try {
      await ctx.step("long", async ({ signal }) => {
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => {
            heard = (signal.reason as Error).name;
            resolve();
          }),
        );
      });
    } finally {
      await ctx.nonCancellable(() => ctx.sleep("1m"));
    }
  });
  const env = lab([stepping, watched]);
  const run = await env.start(stepping, undefined);
  await run.cancel();
  expect(await run.result()).toBe(true);
  const other = await env.start(watched, undefined);
  await other.cancel();
  expect(await other.wait()).toMatchObject({ state: "cancelled" });
  expect(heard).toBe("AbortError");
});

test("terminating runs no code", async () => {
  let cleaned = false;
  const guarded = workflow("guarded", {}, async (ctx) => {
    try {
      await ctx.sleep("1h");
    } finally {
      cleaned = true;
    }
  });
  const env = lab(guarded);
  const run = await env.start(guarded, undefined);
  await run.terminate("no longer wanted");
  expect(await run.wait()).toMatchObject({ state: "terminated", error: { message: "no longer wanted" } });
  expect(cleaned).toBe(false);
});
