/** Signals taken one by one with a limit, as Temporal's Go samples do with selectors. */
import { workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

describe("a signal that is waited for with a limit", () => {
  const declared = { output: z.array(z.string()), signals: { word: z.string() } } as const;
  const heard = async (definition: ReturnType<typeof workflow<typeof declared>>) => {
    const environment = testEnvironment({ workflows: [definition], maxCachedRuns: 0 });
    const run = await environment.start(definition, undefined);
    await environment.sleep("25s");
    await run.signal("word", "one");
    await run.signal("word", "two");
    return run.result();
  };

  it("is there for the next wait, where withTimeout gave up the one before", async () => {
    const patient = workflow("patient", declared, async (ctx) => {
      const words: string[] = [];
      while (words.length < 4) words.push(await ctx.withTimeout("10s", () => ctx.signal("word")).catch(() => "-"));
      return words;
    });
    expect(await heard(patient)).toEqual(["-", "-", "one", "two"]);
  });

  it("is there for the next wait, where the loser of a race was given up with its scope", async () => {
    const tidy = workflow("tidy", declared, async (ctx) => {
      const words: string[] = [];
      const next = () =>
        ctx.cancellable(async (cancel) => {
          const first = await Promise.race([ctx.signal("word"), ctx.sleep("10s").then(() => "-")]);
          cancel();
          return first;
        });
      while (words.length < 4) words.push(await next());
      return words;
    });
    expect(await heard(tidy)).toEqual(["-", "-", "one", "two"]);
  });

  it("goes to the wait that lost a race, which nobody hears", async () => {
    const racing = workflow("racing", declared, async (ctx) => {
      const words: string[] = [];
      while (words.length < 4) words.push(await Promise.race([ctx.signal("word"), ctx.sleep("10s").then(() => "-")]));
      return words;
    });
    expect(await heard(racing)).toEqual(["-", "-", "-", "-"]);
  });
});
