/** Workflow programs as data, drawn at random, and one workflow that runs any of them. */
import fc from "fast-check";
import { z } from "zod";
import type { WorkflowContext } from "../../src/workflow/context.js";
import { workflow } from "../../src/workflow/definition.js";
import { ApplicationFailure } from "../../src/workflow/failures.js";

export type Program =
  | { readonly do: "step" | "fail" | "draw" | "remember" | "continueAsNew" }
  | { readonly do: "task"; readonly type: "quick" | "slow" | "failing" | "deaf"; readonly cancellation: Cancellation }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "signal"; readonly name: "a" | "b" }
  | { readonly do: "condition"; readonly count: number; readonly ms: number | null }
  | { readonly do: "timer"; readonly ms: number }
  | { readonly do: "seq" | "all" | "race" | "allSettled"; readonly parts: readonly Program[] }
  | { readonly do: "cancellable"; readonly part: Program; readonly until: Program }
  | { readonly do: "shielded" | "caught" | "floating"; readonly part: Program }
  | { readonly do: "withTimeout"; readonly ms: number; readonly part: Program }
  | { readonly do: "patched"; readonly id: string; readonly patched: Program; readonly otherwise: Program }
  | { readonly do: "child"; readonly part: Program; readonly policy: "terminate" | "abandon" | "requestCancel" };

type Cancellation = "waitCancellationCompleted" | "tryCancel" | "abandon";

const ms = fc.constantFrom(1, 500, 1_000, 1_000, 5_000, 60_000);

const program: fc.Arbitrary<Program> = fc.letrec<{ program: Program }>((tie) => {
  const part = tie("program");
  const parts = fc.array(part, { minLength: 1, maxLength: 4 });
  return {
    program: fc.oneof(
      { maxDepth: 4, depthSize: "medium", withCrossShrink: true },
      fc.record({ do: fc.constantFrom("step", "step", "step", "draw", "remember", "fail", "continueAsNew") }),
      fc.record({
        do: fc.constant("task"),
        type: fc.constantFrom("quick", "slow", "failing", "deaf"),
        cancellation: fc.constantFrom("waitCancellationCompleted", "tryCancel", "abandon"),
      }),
      fc.record({ do: fc.constantFrom("sleep", "timer"), ms }),
      fc.record({ do: fc.constant("signal"), name: fc.constantFrom("a", "b") }),
      fc.record({ do: fc.constant("condition"), count: fc.integer({ min: 0, max: 4 }), ms: fc.option(ms) }),
      fc.record({ do: fc.constantFrom("seq", "seq", "seq", "all", "race", "allSettled"), parts }),
      fc.record({ do: fc.constant("cancellable"), part, until: part }),
      fc.record({ do: fc.constantFrom("shielded", "caught", "floating"), part }),
      fc.record({ do: fc.constant("withTimeout"), ms, part }),
      fc.record({ do: fc.constant("patched"), id: fc.constantFrom("p", "q"), patched: part, otherwise: part }),
      fc.record({ do: fc.constant("child"), part, policy: fc.constantFrom("terminate", "abandon", "requestCancel") }),
    ) as fc.Arbitrary<Program>,
  };
}).program;

/** Several things to do, or there would be little to put into another order. */
export const programs: fc.Arbitrary<Program> = fc.record({
  do: fc.constantFrom("seq", "all"),
  parts: fc.array(program, { minLength: 3, maxLength: 6 }),
});

const declared = {
  input: z.custom<Program>(),
  signals: { a: z.number(), b: z.number(), count: z.number() },
  queries: { count: { output: z.number() } },
  updates: { add: { input: z.number(), output: z.number() } },
} as const;

export const anyProgram = workflow("any program", declared, async (ctx, program) => {
  const state = { count: 0 };
  ctx.onQuery("count", () => {
    Math.random();
    return state.count;
  });
  ctx.onSignal("count", async (n) => {
    state.count += n;
    if (n > 1) await ctx.step("in a signal's handler", () => n);
  });
  ctx.onUpdate(
    "add",
    async (n) => {
      state.count += n;
      if (n > 1) await ctx.sleep(1_000);
      if (n > 2) throw new ApplicationFailure("too much");
      return state.count;
    },
    {
      validate: (n) => {
        Math.random();
        if (n < 0) throw new RangeError("below zero");
      },
    },
  );
  return await run(ctx, program, state);
});

type Ctx = WorkflowContext<typeof declared>;

/** Returns what can be compared from one execution to the next. */
async function run(ctx: Ctx, program: Program, state: { count: number }): Promise<unknown> {
  const all = (parts: readonly Program[]) => parts.map((part) => run(ctx, part, state));
  switch (program.do) {
    case "step":
      return await ctx.step("step", ({ stepId }) => stepId);
    case "fail":
      throw new ApplicationFailure("as it was told");
    case "draw": {
      // A name that follows from chance shows at once whether a replay draws the same.
      const name = `drawn ${Math.random()} at ${Date.now()} ${crypto.randomUUID()}`;
      return await ctx.step(name, () => name);
    }
    case "remember":
      ctx.upsertMemo({ count: state.count });
      return ctx.info.historyLength;
    case "continueAsNew":
      // Once: the chain is to end.
      if (ctx.info.continuedFromRunId === undefined) ctx.continueAsNew({ do: "step" });
      return "continued";
    case "task":
      return await ctx.task(program.type, ctx.info.historyLength, {
        cancellationType: program.cancellation,
        retry: { maximumAttempts: 2 },
        timeouts: { startToClose: "30s" },
      });
    case "sleep":
      return await ctx.sleep(program.ms);
    case "timer":
      return await new Promise((resolve) => setTimeout(resolve, program.ms, "timer"));
    case "signal":
      return await ctx.signal(program.name);
    case "condition":
      return await (program.ms === null
        ? ctx.condition(() => state.count >= program.count)
        : ctx.condition(() => state.count >= program.count, program.ms));
    case "seq": {
      const ends: unknown[] = [];
      for (const part of program.parts) ends.push(await run(ctx, part, state));
      return ends;
    }
    case "all":
      return await Promise.all(all(program.parts));
    case "race":
      return await Promise.race(all(program.parts));
    case "allSettled":
      return (await Promise.allSettled(all(program.parts))).map(({ status }) => status);
    case "cancellable":
      return await ctx.cancellable(async (cancel) => {
        const canceller = ctx.nonCancellable(() => run(ctx, program.until, state));
        canceller.then(cancel, cancel);
        return await run(ctx, program.part, state);
      });
    case "shielded":
      return await ctx.nonCancellable(() => run(ctx, program.part, state));
    case "caught":
      return await run(ctx, program.part, state).catch((reason: Error) => reason.name);
    case "floating":
      run(ctx, program.part, state).catch(() => {
        state.count += 1;
      });
      return "floating";
    case "withTimeout":
      return await ctx.withTimeout(program.ms, () => run(ctx, program.part, state));
    case "patched":
      return await run(ctx, ctx.patched(program.id) ? program.patched : program.otherwise, state);
    case "child":
      return await ctx.child(anyProgram, program.part, { parentClosePolicy: program.policy });
  }
}

/** What happens to a run from outside, after a while. */
export interface Happening {
  readonly afterMs: number;
  readonly what: "signal a" | "signal b" | "count" | "add" | "reject" | "query" | "cancel" | "nothing";
  readonly n: number;
}

export const happenings: fc.Arbitrary<readonly Happening[]> = fc.array(
  fc.record({
    afterMs: fc.constantFrom(0, 0, 1, 500, 1_000, 30_000),
    what: fc.constantFrom(
      "signal a",
      "signal a",
      "signal b",
      "signal b",
      "count",
      "count",
      "add",
      "reject",
      "query",
      "cancel",
      "nothing",
    ) as fc.Arbitrary<Happening["what"]>,
    n: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 2, maxLength: 12 },
);
