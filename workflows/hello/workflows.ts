import { workflow } from "perdure";
import { z } from "zod";

export const hello = workflow("hello", { input: z.string(), output: z.string() }, async (ctx, name) => {
  const greeting = await ctx.step("greet", () => `Hello, ${name}!`);
  await ctx.sleep("1s");
  return greeting;
});
