import { expect, test } from "vitest";
import { z } from "zod";
import { task, workflow } from "../../src/index.js";
import { replay, testEnvironment } from "../../src/testing/index.js";

const charge = task("charge", { input: z.object({ cents: z.number() }), output: z.object({ id: z.string() }) });
const order = workflow(
  "order",
  { input: z.object({ cents: z.number() }), output: z.string(), signals: { go: z.string() }, queries: { at: { output: z.string() } } },
  async (ctx, { cents }) => {
    let at = "start";
    ctx.onQuery("at", () => at);
    const { id } = await ctx.task(charge, { cents });
    at = "charged";
    const go = await ctx.signal("go");
    at = "signalled";
    await ctx.sleep("30 days");
    const n = await ctx.step("n", () => 7);
    return `${id} ${go} ${n} ${new Date().toISOString()}`;
  },
);

test("a run from end to end", async () => {
  const env = testEnvironment({ workflows: [order], tasks: { charge: () => ({ id: "c-1" }) } });
  const run = await env.start(order, { cents: 5 });
  expect(await run.query("at")).toBe("charged");
  await run.signal("go", "now");
  expect(await run.query("at")).toBe("signalled");
  expect(await run.result()).toBe("c-1 now 7 2025-01-31T00:00:00.000Z");
  const history = await run.history();
  console.log(history.map((e) => e.type).join("\n"));
  expect(await replay({ workflows: [order], history })).toEqual({ ok: true });
});
test("gives up", async () => {
  const env = testEnvironment({ workflows: [order] });
  const run = await env.start(order, { cents: 5 });
  await expect(run.result()).rejects.toThrow(/asd/);
});
