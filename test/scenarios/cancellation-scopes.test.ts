/** After Temporal's sample activities-cancellation-heartbeating, file by file of its cancellation scopes. */
import { CancelledFailure, isCancellation, task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const get = task("get", { input: z.string(), output: z.string() });
const post = task("post", { input: z.string() });
const cleanUp = task("cleanUp", { input: z.string() });
const slowGet = { get: (_: unknown, url: unknown) => `page of ${url}` };

test("a scope cancels the timer in it, and the run goes on", async () => {
  const cancelTimer = workflow("cancelTimer", { output: z.string() }, async (ctx) => {
    try {
      await ctx.cancellable(async (cancel) => {
        const slept = ctx.sleep("1h");
        cancel();
        await slept;
      });
      return "slept";
    } catch (error) {
      if (!isCancellation(error)) throw error;
      return "Timer cancelled";
    }
  });
  const environment = testEnvironment({ workflows: [cancelTimer] });
  const begunAt = environment.now.getTime();
  expect(await (await environment.start(cancelTimer, undefined)).result()).toBe("Timer cancelled");
  expect(environment.now.getTime()).toBe(begunAt);
});

test("a cancelled run cleans up in a scope of its own, after the task that ran has stopped", async () => {
  const happened: string[] = [];
  const posting = workflow("posting", { input: z.string() }, async (ctx, url) => {
    try {
      await ctx.task(post, url);
    } catch (error) {
      if (isCancellation(error)) await ctx.nonCancellable(() => ctx.task(cleanUp, url));
      throw error;
    }
  });
  const environment = testEnvironment({
    workflows: [posting],
    tasks: {
      post: async ({ signal }) => {
        for (;;) {
          await environment.sleep("1s");
          if (signal.aborted) happened.push("stopped");
          signal.throwIfAborted();
        }
      },
      cleanUp: (_, url) => void happened.push(`cleaned up ${url}`),
    },
  });
  const run = await environment.start(posting, "http://a");
  await environment.sleep("10s");
  await run.cancel();
  expect(await run.wait()).toMatchObject({ state: "cancelled" });
  expect(happened).toEqual(["stopped", "cleaned up http://a"]);
});

test("what is not cancellable does not hear of the cancellation", async () => {
  const shielded = workflow("shielded", { input: z.string(), output: z.string() }, (ctx, url) =>
    ctx.nonCancellable(() => ctx.task(get, url)),
  );
  const environment = testEnvironment({ workflows: [shielded] });
  const run = await environment.start(shielded, "http://a");
  await run.cancel();
  await environment.onTask("get", slowGet.get);
  expect(await run.result()).toBe("page of http://a");
});

test("all tasks in a scope with a time-out are cancelled when it is up", async () => {
  const pages = workflow("pages", { input: z.array(z.string()) }, (ctx, urls) =>
    ctx.withTimeout("1m", () => Promise.all(urls.map((url) => ctx.task(get, url)))),
  );
  const environment = testEnvironment({ workflows: [pages], tasks: { get: "hang" } });
  const begunAt = environment.now.getTime();
  const run = await environment.start(pages, ["a", "b"]);
  // Nobody asked for the run to be cancelled: that its code let a cancellation pass is its failure.
  expect(await run.wait()).toMatchObject({
    state: "failed",
    error: { type: "ActivityFailure", cause: { type: "CANCELLED" } },
  });
  // The tasks are waited for; their agent, which hangs, has five seconds to stop them.
  expect(environment.now.getTime() - begunAt).toBe(65_000);
});

test("a run notes that it was cancelled while it waits for what cannot be, and returns that", async () => {
  const resuming = workflow("resuming", { input: z.string() }, async (ctx, url) => {
    const page = ctx.nonCancellable(() => ctx.task(get, url));
    let interrupted = false;
    try {
      await Promise.race([page, ctx.condition(() => false)]);
    } catch (error) {
      if (!(error instanceof CancelledFailure)) throw error;
      interrupted = true;
    }
    return { page: await page, interrupted, cancelRequested: ctx.cancelRequested };
  });
  const environment = testEnvironment({ workflows: [resuming], maxCachedRuns: 0 });
  const run = await environment.start(resuming, "http://a");
  await run.cancel();
  await environment.onTask("get", slowGet.get);
  expect(await run.result()).toEqual({ page: "page of http://a", interrupted: true, cancelRequested: true });
});

test("a scope does not cancel what was asked for outside of it", async () => {
  const shared = workflow("shared", { output: z.array(z.string()) }, async (ctx) => {
    const first = ctx.task(get, "1");
    const second = ctx.task(get, "2");
    const winner = await ctx.cancellable(async (cancel) => {
      const page = await Promise.race([first, second]);
      cancel();
      return page;
    });
    return [winner, await first, await second];
  });
  const environment = testEnvironment({ workflows: [shared], tasks: slowGet });
  const run = await environment.start(shared, undefined);
  expect(await run.result()).toEqual(["page of 1", "page of 1", "page of 2"]);
});

test.each(["tryCancel", "abandon"] as const)("with %s the code goes on before its task has stopped", async (type) => {
  const stubborn = task("stubborn", { cancellationType: type, retry: { maximumAttempts: 1 } });
  const impatient = workflow("impatient", { output: z.string() }, async (ctx) => {
    try {
      await ctx.cancellable(async (cancel) => {
        const done = ctx.task(stubborn);
        await ctx.sleep(1);
        cancel();
        await done;
      });
      return "it was done";
    } catch (error) {
      if (!isCancellation(error)) throw error;
      return "cancelled";
    }
  });
  const environment = testEnvironment({ workflows: [impatient], tasks: { stubborn: "hang" } });
  const begunAt = environment.now.getTime();
  expect(await (await environment.start(impatient, undefined)).result()).toBe("cancelled");
  expect(environment.now.getTime() - begunAt).toBe(1);
});
