import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import type { ChildOptions } from "../../src/workflow/context.js";
import {
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from "../../src/workflow/failures.js";
import { eventOf, failureOf, lab, typesOf } from "./lab.js";

const child = workflow(
  "child",
  { input: z.string(), output: z.string(), signals: { go: z.string(), end: z.void() } },
  async (ctx, how) => {
    if (how === "fails") throw new ApplicationFailure("broke", { type: "Broke", details: { how } });
    if (how === "waits") return await ctx.signal("go");
    if (how === "sleeps") await ctx.sleep("1h");
    if (how === "cleans up") {
      await ctx.sleep("1h").catch(() => ctx.nonCancellable(() => ctx.sleep("10m")));
      return "cleaned up";
    }
    if (how === "continues") return ctx.continueAsNew("at once");
    return `done ${how}`;
  },
);

/** How a child ended, as its parent caught it. */
const parent = workflow(
  "parent",
  { input: z.object({ how: z.string(), options: z.record(z.string(), z.unknown()).optional() }) },
  async (ctx, { how, options }) => {
    const begun = Date.now();
    try {
      return await ctx.child(child, how, options as ChildOptions);
    } catch (reason) {
      if (!(reason instanceof ChildWorkflowFailure)) throw reason;
      const { cause, workflowType } = reason;
      const kinds = [CancelledFailure, TerminatedFailure, TimeoutFailure, ApplicationFailure];
      const kind = kinds.find((each) => cause instanceof each)?.name;
      return { kind, workflowType, message: (cause as Error).message, after: Date.now() - begun };
    }
  },
);

test("a parent goes on with what its child returns, also at the end of the child's chain", async () => {
  const env = lab([parent, child]);
  expect(await (await env.start(parent, { how: "at once" })).result()).toBe("done at once");
  expect(await (await env.start(parent, { how: "continues" })).result()).toBe("done at once");
});

test("each way for a child to end has its failure", async () => {
  const env = lab([parent, child]);
  const failed = await env.start(parent, { how: "fails" });
  expect(await failed.result()).toMatchObject({ kind: "ApplicationFailure", message: "broke", workflowType: "child" });
  const late = await env.start(parent, { how: "sleeps", options: { runTimeout: "1m" } });
  expect(await late.result()).toMatchObject({ kind: "TimeoutFailure", after: 60_000 });

  for (const [end, kind] of [
    ["terminate", "TerminatedFailure"],
    ["cancel", "CancelledFailure"],
  ] as const) {
    const run = await env.start(parent, { how: "sleeps", options: { workflowId: `child-${end}` } });
    await env.workflow(`child-${end}`)[end]();
    expect(await run.result()).toMatchObject({ kind });
  }
});

test("a child that is open already is not started a second time", async () => {
  const env = lab([parent, child]);
  const first = await env.start(child, "sleeps", { workflowId: "taken" });
  const run = await env.start(parent, { how: "at once", options: { workflowId: "taken" } });
  expect(await run.result()).toMatchObject({ kind: "ApplicationFailure", message: expect.stringMatching(/taken/) });
  expect(await typesOf(run)).toContain("StartChildWorkflowExecutionFailed");
  await first.result();
  // A closed one's id is free again, unless the policy says otherwise.
  const again = await env.start(parent, { how: "at once", options: { workflowId: "taken" } });
  expect(await again.result()).toBe("done at once");
  const rejected = { workflowId: "taken", idReusePolicy: "rejectDuplicate" };
  const refused = await env.start(parent, { how: "at once", options: rejected });
  expect(await refused.result()).toMatchObject({ kind: "ApplicationFailure" });
});

test("a started child is signalled and cancelled by its handle, and its result awaited later", async () => {
  const leading = workflow("leading", {}, async (ctx) => {
    const handle = await ctx.startChild(child, "waits");
    const other = await ctx.startChild(child, "sleeps");
    await handle.signal("go", "on");
    await other.cancel();
    const ends = await Promise.allSettled([handle.result(), other.result()]);
    return ends.map((end) => (end.status === "fulfilled" ? end.value : (end.reason as Error).message));
  });
  const env = lab([leading, child]);
  const ends = (await (await env.start(leading, undefined)).result()) as string[];
  expect(ends[0]).toBe("on");
  expect(ends[1]).toMatch(/the child was cancelled/);
});

test("cancelling a parent waits for its child's real end, unless it says otherwise", async () => {
  const env = lab([parent, child]);
  const options = (cancellationType: string) => ({ how: "cleans up", options: { cancellationType } });
  const start = async (type: string) => {
    const run = await env.start(parent, options(type));
    await run.cancel();
    return run;
  };
  // The child ignored its cancellation and completed: so does the parent.
  expect(await (await start("waitCancellationCompleted")).result()).toBe("cleaned up");
  for (const type of ["waitCancellationRequested", "tryCancel", "abandon"]) {
    const run = await start(type);
    expect(await run.result(), type).toMatchObject({ kind: "CancelledFailure", after: 0 });
    const types = await typesOf(run);
    expect(types.includes("RequestCancelExternalWorkflowExecutionInitiated"), type).toBe(type !== "abandon");
    expect(types.includes("ExternalWorkflowExecutionCancelRequested"), type).toBe(type === "waitCancellationRequested");
  }
});

test("what becomes of a child when its parent closes is its policy's affair", async () => {
  const leaving = workflow("leaving", { input: z.string() }, async (ctx, policy) => {
    const options = { workflowId: `left-${policy}`, parentClosePolicy: policy as "abandon" };
    await ctx.startChild(child, "sleeps", options);
    return "gone";
  });
  const env = lab([leaving, child]);
  for (const [policy, state] of [
    ["terminate", "terminated"],
    ["requestCancel", "cancelled"],
    ["abandon", "completed"],
  ] as const) {
    await (await env.start(leaving, policy)).result();
    expect(await env.workflow(`left-${policy}`).wait(), policy).toMatchObject({ state });
  }
});

test("continue-as-new closes a parent too: its children are treated by their policy", async () => {
  const renewing = workflow("renewing", { input: z.number() }, async (ctx, n) => {
    if (n === 1) return "renewed";
    await ctx.startChild(child, "sleeps", { workflowId: "kept", parentClosePolicy: "abandon" });
    await ctx.startChild(child, "sleeps", { workflowId: "not-kept" });
    return ctx.continueAsNew(1);
  });
  const env = lab([renewing, child]);
  expect(await (await env.start(renewing, 0)).result()).toBe("renewed");
  expect(await env.workflow("kept").wait()).toMatchObject({ state: "completed" });
  expect(await env.workflow("not-kept").wait()).toMatchObject({ state: "terminated" });
});

test("a child whose parent closes before it was started never starts, whatever its policy", async () => {
  const hasty = workflow("hasty", {}, async (ctx) => {
    void ctx.startChild(child, "sleeps", { workflowId: "never", parentClosePolicy: "abandon" });
    return await Promise.resolve("gone");
  });
  const env = lab([hasty, child]);
  const run = await env.start(hasty, undefined);
  expect(await run.result()).toBe("gone");
  await expect(env.workflow("never").describe()).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a child that continues as new, or is retried, belongs to its parent all along", async () => {
  const flaky = workflow("flaky", {}, async (ctx) => {
    await ctx.sleep("1m");
    if (ctx.info.attempt < 3) throw new Error("again");
    return `${ctx.info.attempt} attempts`;
  });
  const mother = workflow("mother", {}, async (ctx) => {
    return await ctx.child(flaky, undefined, { retry: { initialIntervalMs: 1_000 } });
  });
  const env = lab([mother, flaky]);
  const run = await env.start(mother, undefined);
  expect(await run.result()).toBe("3 attempts");
  expect(await typesOf(run)).toHaveLength(8);
});

test("a child is told who its parent is, and what it was given to carry", async () => {
  const curious = workflow("curious", {}, async (ctx) => {
    return await Promise.resolve({
      parent: ctx.info.parent,
      memo: ctx.info.memo,
      attributes: ctx.info.searchAttributes,
    });
  });
  const asking = workflow("asking", {}, async (ctx) => {
    const told = await ctx.child(curious, undefined, { memo: { a: 1 }, searchAttributes: { b: 2 } });
    return { told, runId: ctx.info.runId };
  });
  const env = lab([asking, curious]);
  const run = await env.start(asking, undefined, { workflowId: "asker" });
  const { told, runId } = (await run.result()) as { told: object; runId: string };
  expect(told).toEqual({
    parent: expect.objectContaining({ workflowId: "asker", runId }),
    memo: { a: 1 },
    attributes: { b: 2 },
  });
});

test("a wrong input starts no child", async () => {
  const wrong = workflow("wrong", {}, async (ctx) => await ctx.child(child, 5 as never));
  const env = lab([wrong, child]);
  const run = await env.start(wrong, undefined);
  expect(await failureOf(run)).toMatchObject({
    type: "INVALID_INPUT",
    message: expect.stringMatching(/^the input of child child is wrong: /),
  });
  expect((await eventOf(run, "WorkflowExecutionFailed")).retryState).toBe("retryPolicyNotSet");
});

test("signals and cancellations go to any workflow; one that is not there is a failure", async () => {
  const busybody = workflow("busybody", { input: z.string() }, async (ctx, id) => {
    const other = ctx.external(id);
    try {
      await other.signal("go", "from outside");
    } catch (reason) {
      return `signal: ${(reason as ApplicationFailure).type}`;
    }
    return "signalled";
  });
  const canceller = workflow("canceller", { input: z.string() }, async (ctx, id) => {
    return await ctx
      .external(id)
      .cancel()
      .then(() => "cancelled")
      .catch((reason: ApplicationFailure) => `cancel: ${reason.type}`);
  });
  const env = lab([busybody, canceller, child]);
  const target = await env.start(child, "waits", { workflowId: "target" });
  expect(await (await env.start(busybody, "target")).result()).toBe("signalled");
  expect(await target.result()).toBe("from outside");
  expect(await (await env.start(busybody, "target")).result()).toBe("signal: NOT_FOUND");
  expect(await (await env.start(busybody, "nobody")).result()).toBe("signal: NOT_FOUND");
  const sleeper = await env.start(child, "sleeps", { workflowId: "sleeper" });
  expect(await (await env.start(canceller, "sleeper")).result()).toBe("cancelled");
  expect(await sleeper.wait()).toMatchObject({ state: "cancelled" });
  expect(await (await env.start(canceller, "sleeper")).result()).toBe("cancel: NOT_FOUND");
});

test("a handle made before a cancellation may be used in what shields from it", async () => {
  const leader = workflow("leader", {}, async (ctx) => {
    const handle = await ctx.startChild(child, "waits", { cancellationType: "abandon" });
    try {
      await ctx.sleep("1h");
    } catch {
      await ctx.nonCancellable(() => handle.signal("go", "last words"));
      return await ctx.nonCancellable(() => ctx.sleep("1s").then(() => "told"));
    }
    return "slept";
  });
  const env = lab([leader, child]);
  const run = await env.start(leader, undefined);
  await run.cancel();
  expect(await run.result()).toBe("told");
});
