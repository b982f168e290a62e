/** After Temporal's samples continue-as-new and batch-sliding-window, and its feature test continue_as_same. */
import { workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

test("a loop of ten runs is one workflow to whoever waits for it", async () => {
  const looping = workflow("looping", { input: z.int(), output: z.int() }, async (ctx, iteration) => {
    if (iteration === 10) return iteration;
    await ctx.sleep("1s");
    return ctx.continueAsNew(iteration + 1);
  });
  const environment = testEnvironment({ workflows: [looping] });
  const begunAt = environment.now.getTime();
  const run = await environment.start(looping, 0);
  expect(await run.result()).toBe(10);
  expect(environment.now.getTime() - begunAt).toBe(10_000);
});

test("id, memo and search attributes stay what they were; the run is another one", async () => {
  const same = workflow("same", { input: z.string() }, async (ctx, input) => {
    const { workflowId, runId, firstExecutionRunId, continuedFromRunId, memo, searchAttributes } = ctx.info;
    if (continuedFromRunId === undefined) return ctx.continueAsNew(input);
    return await Promise.resolve({
      input,
      workflowId,
      isAnother: runId !== continuedFromRunId && firstExecutionRunId === continuedFromRunId,
      memo,
      searchAttributes,
    });
  });
  const environment = testEnvironment({ workflows: [same] });
  const run = await environment.start(same, "InputData", {
    workflowId: "WorkflowID",
    memo: { MemoKey: "MemoValue" },
    searchAttributes: { Customer: "ada" },
    executionTimeout: "1m",
  });
  expect(await run.result()).toEqual({
    input: "InputData",
    workflowId: "WorkflowID",
    isAnother: true,
    memo: { MemoKey: "MemoValue" },
    searchAttributes: { Customer: "ada" },
  });
});

test("an account that renews itself after three entries loses none, whenever they come", async () => {
  const State = z.object({ entries: z.array(z.int()), runs: z.int() });
  const account = workflow(
    "account",
    { input: State, output: State, signals: { enter: z.int(), close: z.void() } },
    async (ctx, { entries, runs }) => {
      const pending: number[] = [];
      let closing = false;
      ctx.onSignal("enter", (entry) => void pending.push(entry));
      ctx.onSignal("close", () => {
        closing = true;
      });
      let here = 0;
      while (!closing || pending.length > 0) {
        await ctx.condition(() => pending.length > 0 || closing);
        const entry = pending.shift();
        if (entry === undefined) continue;
        // Others come in while this one is booked.
        await ctx.step("book", () => entry);
        entries.push(entry);
        here += 1;
        if (here === 3) return ctx.continueAsNew({ entries: entries.concat(pending.splice(0)), runs: runs + 1 });
      }
      return { entries, runs };
    },
  );
  const environment = testEnvironment({ workflows: [account], maxCachedRuns: 0 });
  const run = await environment.start(account, { entries: [], runs: 1 });
  const numbers = Array.from({ length: 20 }, (_, n) => n);
  // Not one after the other: some meet a run that is about to close.
  await Promise.all(numbers.map((n) => run.signal("enter", n)));
  await run.signal("close");
  const { entries, runs } = await run.result();
  expect(entries.toSorted((a, b) => a - b)).toEqual(numbers);
  expect(runs).toBeGreaterThan(1);
});

test("signals that the code did not take go with it, in their order, through as many runs as it takes", async () => {
  const patient = workflow(
    "patient",
    { input: z.int(), signals: { word: z.string(), other: z.string() }, output: z.array(z.string()) },
    async (ctx, runsLeft) => {
      if (runsLeft > 0) {
        await ctx.sleep("1h");
        return ctx.continueAsNew(runsLeft - 1);
      }
      return [await ctx.signal("word"), await ctx.signal("other"), await ctx.signal("word")];
    },
  );
  const environment = testEnvironment({ workflows: [patient] });
  const run = await environment.start(patient, 2);
  await environment.sleep("10m");
  await run.signal("word", "one");
  await run.signal("other", "two");
  await environment.sleep("80m");
  await run.signal("word", "three");
  expect(await run.result()).toEqual(["one", "two", "three"]);
});
