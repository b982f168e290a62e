/** Workflows of every kind that the crash tests kill their way through, and what each must come to. */
import { z } from "zod";
import { workflow } from "../../dist/src/index.js";

const number = z.number();

const leaf = workflow("leaf", {}, async (ctx, input) => {
  await ctx.sleep(20);
  return ctx.step("times ten", () => input * 10);
});

/** Steps, a timer, a task, a child and a signal, side by side and one after another. */
const mix = workflow("mix", { signals: { bump: number } }, async (ctx, input) => {
  let got = 0;
  ctx.onSignal("bump", (by) => {
    got += by;
  });
  const a = await ctx.step("a", () => input);
  await ctx.sleep(30 + (input % 7) * 20);
  const [doubled, child] = await Promise.all([ctx.task("double", a), ctx.child("leaf", a)]);
  await ctx.condition(() => got > 0);
  const last = await ctx.step("b", () => new Promise((resolve) => setTimeout(resolve, 20, doubled + 1)));
  return { doubled, child, last, got };
});

/** Three runs in a chain. */
const chain = workflow("chain", {}, async (ctx, input) => {
  const at = input.at ?? 0;
  const sum = (input.sum ?? 0) + (await ctx.step("add", () => input.n));
  await ctx.sleep(10);
  if (at < 2) return ctx.continueAsNew({ n: input.n, at: at + 1, sum });
  return sum;
});

/** Fails, and takes back what it did. */
const saga = workflow("saga", {}, async (ctx, input) => {
  const undone = [];
  try {
    await ctx.step("book", () => input);
    await ctx.task("double", input);
    throw new Error(`no seat ${input}`);
  } catch (error) {
    await ctx.step("cancel", () => undone.push(input));
    throw error;
  }
});

export const workflows = [leaf, mix, chain, saga];

/** The workflow with this number: what to submit, and what it must come to. */
export function jobOf(n) {
  switch (n % 3) {
    case 0:
      return {
        task: { taskId: `mix-${n}`, type: "workflow:mix", input: n },
        signal: true,
        end: ["completed", { doubled: 2 * n, child: 10 * n, last: 2 * n + 1, got: 1 }],
      };
    case 1:
      return {
        task: { taskId: `chain-${n}`, type: "workflow:chain", input: { n } },
        signal: false,
        end: ["completed", 3 * n],
      };
    default:
      return {
        task: { taskId: `saga-${n}`, type: "workflow:saga", input: n },
        signal: false,
        end: ["failed", `no seat ${n}`],
      };
  }
}
