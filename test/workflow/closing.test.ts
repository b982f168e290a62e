import { expect, test } from "vitest";
import { z } from "zod";
import type { RunHandle } from "../../src/client/run-handle.js";
import { workflow } from "../../src/index.js";
import { lab, typesOf } from "./lab.js";

const signals = { note: z.string() };

test("a close that has not seen a signal is refused: the code runs again and sees it", async () => {
  let run: RunHandle | undefined;
  let rounds = 0;
  const closing = workflow("closing", { signals }, async (ctx) => {
    const notes: string[] = [];
    ctx.onSignal("note", (note) => {
      notes.push(note);
    });
    await ctx.sleep("1h");
    rounds += 1;
    // Sent by somebody else, in the very moment in which the code ends.
    if (rounds === 1) sendLate();
    return notes;
  });
  const env = lab(closing);
  run = env.workflow("w-1");
  const sendLate = (): void => void run?.signal("note", "in the last moment");
  const started = await env.start(closing, undefined, { workflowId: "w-1" });
  expect(await started.result()).toEqual(["in the last moment"]);
  expect(rounds).toBe(2);
  expect(await typesOf(started)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "TimerStarted",
    "TimerFired",
    "WorkflowExecutionSignaled",
    "WorkflowTaskCompleted",
    "WorkflowExecutionCompleted",
  ]);
});

test("the same holds for a failure, a cancellation and continue-as-new", async () => {
  const ways = ["fail", "cancel", "continue"] as const;
  for (const way of ways) {
    let rounds = 0;
    let late = (): void => undefined;
    const closing = workflow("closing", { signals, input: z.number() }, async (ctx, n) => {
      const notes: string[] = [];
      ctx.onSignal("note", (note) => {
        notes.push(note);
      });
      if (n === 1) return `continued without ${notes.length} notes`;
      await ctx.sleep("1h").catch(() => undefined);
      rounds += 1;
      late();
      if (notes.length > 0) return `kept: ${notes.join()}`;
      if (way === "fail") throw new Error("failed without its notes");
      if (way === "continue") ctx.continueAsNew(1);
      await ctx.sleep(1);
      return "not cancelled";
    });
    const env = lab(closing);
    late = () => {
      if (rounds === 1) void env.workflow("w-1").signal("note", "late");
    };
    const run = await env.start(closing, 0, { workflowId: "w-1" });
    if (way === "cancel") await run.cancel();
    expect(await run.result(), way).toBe("kept: late");
  }
});

test("of several ways to close in one activation the first holds", async () => {
  const twice = workflow("twice", { signals }, async (ctx) => {
    ctx.onSignal("note", (note) => {
      throw new Error(`closed by ${note}`);
    });
    await ctx.sleep("1h");
  });
  const env = lab(twice);
  const run = await env.start(twice, undefined);
  await Promise.all([run.signal("note", "a"), run.signal("note", "b")]);
  expect(await run.wait()).toMatchObject({ state: "failed", error: { message: "closed by a" } });
  expect((await typesOf(run)).slice(-2)).toEqual(["WorkflowTaskCompleted", "WorkflowExecutionFailed"]);
});

test("what is asked for in the turn that closes is recorded, and not begun", async () => {
  let begun = 0;
  const leaving = workflow("leaving", {}, async (ctx) => {
    void ctx.step("step", () => {
      begun += 1;
    });
    void ctx.task("dig").catch(() => undefined);
    return await Promise.resolve("left");
  });
  const env = lab(leaving, {
    tasks: {
      dig: () => {
        begun += 1;
      },
    },
  });
  const run = await env.start(leaving, undefined);
  expect(await run.result()).toBe("left");
  expect(await typesOf(run)).toContain("StepScheduled");
  await env.sleep("1h");
  expect(begun).toBe(0);
});

test("what a closed run left behind is told to stop", async () => {
  const stopped: string[] = [];
  const leaving = workflow("leaving", { input: z.boolean() }, async (ctx, ends) => {
    const untilStopped = (signal: AbortSignal) =>
      new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => {
          stopped.push((signal.reason as { kind: string }).kind);
          resolve();
        }),
      );
    void ctx.task("dig");
    void ctx.step("watch", ({ signal }) => untilStopped(signal));
    await ctx.sleep(ends ? "1m" : "1h");
    return "left";
  });
  const env = lab(leaving, {
    tasks: {
      dig: async ({ signal }) => {
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => {
            stopped.push((signal.reason as { kind: string }).kind);
            resolve();
          }),
        );
      },
    },
  });
  const ended = await env.start(leaving, true);
  expect(await ended.result()).toBe("left");
  expect(stopped).toEqual(["cancelled", "cancelled"]);
  const terminated = await env.start(leaving, false);
  await terminated.terminate();
  expect(stopped).toHaveLength(4);
});
