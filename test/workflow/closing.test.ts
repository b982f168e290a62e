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

test("of several ways to close in one activation the first holds, and nothing is asked for behind it", async () => {
  const twice = workflow("twice", { signals }, async (ctx) => {
    ctx.onSignal("note", (note) => {
      throw new Error(`closed by ${note}`);
    });
    await ctx.condition(() => false, "1h");
    void ctx.step("behind the end", () => 1);
    return "closed by the code";
  });
  const env = lab(twice);
  const run = await env.start(twice, undefined);
  await env.deploy([]);
  await env.sleep("2h");
  await Promise.all([run.signal("note", "a"), run.signal("note", "b")]);
  await env.deploy([twice]);
  expect(await run.wait()).toMatchObject({ state: "failed", error: { message: "closed by a" } });
  expect(await typesOf(run)).not.toContain("StepScheduled");
});

test("what a run leaves behind is stopped: tasks are cancelled", async () => {
  let stopped = "";
  const leaving = workflow("leaving", {}, async (ctx) => {
    void ctx.task("dig");
    await ctx.sleep("1m");
    return "left";
  });
  const env = lab(leaving, {
    tasks: {
      dig: async ({ signal }) => {
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => {
            stopped = (signal.reason as { kind: string }).kind;
            resolve();
          }),
        );
      },
    },
  });
  const run = await env.start(leaving, undefined);
  // A mock that waits for its agent's signal takes the machine's time; the clock of the test waits for it.
  void run.signal;
  await env.sleep(1).catch(() => undefined);
  await run.terminate();
  await env.workflow(run.workflowId).describe();
  expect(stopped).toBe("cancelled");
});
