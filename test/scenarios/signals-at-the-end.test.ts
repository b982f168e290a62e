/** Temporal's "signals are always processed": what was accepted before a run closes is seen by its code. */
import { workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const declared = {
  input: z.number(),
  output: z.array(z.string()),
  signals: { note: z.string(), finish: z.undefined() },
} as const;

it.each([0, 10])(
  "a run that is told to finish has seen every signal from before, with %d cached runs",
  async (cached) => {
    const collector = workflow("collector", declared, async (ctx) => {
      const notes: string[] = [];
      ctx.onSignal("note", (note) => {
        notes.push(note);
      });
      await ctx.signal("finish");
      return notes;
    });
    const environment = testEnvironment({ workflows: [collector], maxCachedRuns: cached });
    const run = await environment.start(collector, 0);
    const sent = Array.from({ length: 100 }, (_, n) => `n-${n}`);
    await Promise.all([...sent.map((note) => run.signal("note", note)), run.signal("finish")]);
    expect(await run.result()).toEqual(sent);
  },
);

it("a signal while the last step runs is seen before the end", async () => {
  const late = workflow("late", declared, async (ctx) => {
    const seen: string[] = [];
    ctx.onSignal("note", (note) => {
      seen.push(note);
    });
    await ctx.step("last", async () => {
      await run.signal("note", "just in time");
    });
    return seen;
  });
  const environment = testEnvironment({ workflows: [late] });
  const run = await environment.start(late, 0);
  expect(await run.result()).toEqual(["just in time"]);
});

it("a chain of runs sees each signal in one of its runs, when each hands on what it has", async () => {
  const chain = workflow(
    "chain",
    { ...declared, input: z.array(z.string()) },
    async (ctx, before): Promise<string[]> => {
      const notes = [...before];
      let isFinished = false;
      ctx.onSignal("note", (note) => {
        notes.push(note);
      });
      ctx.onSignal("finish", () => {
        isFinished = true;
      });
      await ctx.condition(() => isFinished || notes.length >= before.length + 7);
      if (!isFinished) ctx.continueAsNew(notes);
      return notes;
    },
  );
  const environment = testEnvironment({ workflows: [chain], maxCachedRuns: 0 });
  const run = await environment.start(chain, []);
  const sent = Array.from({ length: 100 }, (_, n) => `n-${n}`);
  await Promise.all([...sent.map((note) => run.signal("note", note)), run.signal("finish")]);
  expect(await run.result()).toEqual(sent);
});

it("a signal that a run took in and nobody handled goes to the next run", async () => {
  const careless = workflow("careless", declared, async (ctx, round): Promise<string[]> => {
    await ctx.signal("finish");
    if (round === 0) ctx.continueAsNew(1);
    return [await ctx.signal("note")];
  });
  const environment = testEnvironment({ workflows: [careless] });
  const run = await environment.start(careless, 0);
  await run.signal("note", "early");
  await run.signal("finish");
  await run.signal("finish");
  expect(await run.result()).toEqual(["early"]);
});

it("a handler that is under way when the code ends is waited for with allHandlersFinished", async () => {
  const polite = workflow("polite", declared, async (ctx) => {
    const notes: string[] = [];
    ctx.onSignal("note", async (note) => {
      await ctx.sleep("1 minute");
      notes.push(note);
    });
    await ctx.signal("finish");
    await ctx.condition(() => ctx.allHandlersFinished());
    return notes;
  });
  const environment = testEnvironment({ workflows: [polite], maxCachedRuns: 0 });
  const run = await environment.start(polite, 0);
  await run.signal("note", "a");
  await run.signal("note", "b");
  await run.signal("finish");
  expect(await run.result()).toEqual(["a", "b"]);
});

it("a signal to a closed run is refused, so that its sender knows", async () => {
  const quick = workflow("quick", declared, async () => []);
  const environment = testEnvironment({ workflows: [quick] });
  const run = await environment.start(quick, 0);
  await run.result();
  await expect(run.signal("note", "too late")).rejects.toMatchObject({ code: "NOT_FOUND" });
});
