/** What must not compile does not: each `@ts-expect-error` is a wrong call, and tsc fails where it would be right. */
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import type { Client } from "../../src/client/client.js";
import type { UpdateWithStart } from "../../src/client/update-with-start.js";
import { task, workflow } from "../../src/index.js";
import type { TestEnvironment } from "../../src/testing/index.js";

const charge = task("charge", {
  input: z.object({ cents: z.number() }),
  output: z.object({ id: z.string(), at: z.iso.datetime().transform((text) => new Date(text)) }),
});
const loose = task("loose");

const order = workflow(
  "order",
  {
    input: z.object({ cents: z.number(), tip: z.number().default(0) }),
    output: z.object({ paid: z.boolean() }),
    signals: { approve: z.object({ by: z.string() }), hurry: z.void() },
    queries: { state: { output: z.enum(["open", "paid"]) }, item: { input: z.number(), output: z.string() } },
    updates: { add: { input: z.object({ item: z.string() }), output: z.number() } },
  },
  async (ctx, input) => {
    expectTypeOf(input).toEqualTypeOf<{ cents: number; tip: number }>();

    const paid = await ctx.task(charge, { cents: input.cents });
    expectTypeOf(paid).toEqualTypeOf<{ id: string; at: Date }>();
    expectTypeOf(await ctx.task(loose)).toEqualTypeOf<unknown>();
    // @ts-expect-error: a wrong input
    void ctx.task(charge, { cents: "a lot" });
    // @ts-expect-error: no input
    void ctx.task(charge);
    // @ts-expect-error: no such time-out
    void ctx.task(charge, { cents: 1 }, { timeouts: { startToEnd: "1s" } });

    expectTypeOf(await ctx.step("read", async () => await Promise.resolve(5))).toEqualTypeOf<number>();
    expectTypeOf(await ctx.signal("approve")).toEqualTypeOf<{ by: string }>();
    // @ts-expect-error: no such signal
    void ctx.signal("approved");
    ctx.onSignal("approve", ({ by }) => void expectTypeOf(by).toEqualTypeOf<string>());
    // @ts-expect-error: no such signal
    ctx.onSignal("approved", () => undefined);

    ctx.onQuery("state", () => "open");
    // @ts-expect-error: a wrong output
    ctx.onQuery("state", () => "closed");
    // @ts-expect-error: an asynchronous query
    ctx.onQuery("state", async () => await Promise.resolve("open"));
    ctx.onQuery("item", (index) => `item ${index.toFixed()}`);
    ctx.onUpdate("add", async ({ item }) => await Promise.resolve(item.length), { validate: ({ item }) => void item });
    // @ts-expect-error: a wrong output
    ctx.onUpdate("add", ({ item }) => item);
    ctx.upsertSearchAttributes({ customer: "ann", floors: [1, 2], gone: null });
    // @ts-expect-error: undefined says neither what it is nor that it is taken away
    ctx.upsertSearchAttributes({ customer: undefined });

    // @ts-expect-error: no length of time
    void ctx.sleep("soon");
    expectTypeOf(await ctx.condition(() => true)).toEqualTypeOf<void>();
    expectTypeOf(await ctx.condition(() => true, "1h")).toEqualTypeOf<boolean>();

    expectTypeOf(await ctx.child(order, { cents: 1 })).toEqualTypeOf<{ paid: boolean }>();
    // @ts-expect-error: a wrong input
    void ctx.child(order, { dollars: 1 });
    const started = await ctx.startChild(order, { cents: 1 });
    expectTypeOf(await started.result()).toEqualTypeOf<{ paid: boolean }>();
    // @ts-expect-error: a wrong input for the next run
    if (input.cents < 0) ctx.continueAsNew({ dollars: 1 });

    return { paid: true };
  },
);

// @ts-expect-error: a wrong output
workflow("wrong", { output: z.number() }, async () => await Promise.resolve("text"));
const Verdict = z.object({ status: z.literal("done"), at: z.tuple([z.string(), z.number()]) });
workflow("literal", { output: Verdict }, async () => await Promise.resolve({ status: "done", at: ["a", 1] }));
// @ts-expect-error: a wrong literal
workflow("wrong", { output: Verdict }, async () => await Promise.resolve({ status: "begun", at: ["a", 1] }));
// @ts-expect-error: no such declaration
workflow("wrong", { inputs: z.number() }, async () => await Promise.resolve());

/** Never called: what counts is whether it compiles. */
async function use(client: Pick<Client, "start" | "workflow" | keyof UpdateWithStart>): Promise<void> {
  const run = await client.start(order, { cents: 5 });
  // @ts-expect-error: a wrong input
  await client.start(order, { cents: "5" });
  // @ts-expect-error: no input
  await client.start(order);
  // @ts-expect-error: no such option
  await client.start(order, { cents: 5 }, { id: "x" });

  expectTypeOf(await run.result()).toEqualTypeOf<{ paid: boolean }>();
  await run.signal("approve", { by: "me" });
  await run.signal("hurry");
  // @ts-expect-error: a wrong input
  await run.signal("approve", { who: "me" });
  // @ts-expect-error: no input
  await run.signal("approve");
  // @ts-expect-error: no such signal
  await run.signal("approved", { by: "me" });
  expectTypeOf(await run.query("state")).toEqualTypeOf<"open" | "paid">();
  expectTypeOf(await run.query("item", 3)).toEqualTypeOf<string>();
  // @ts-expect-error: a wrong input
  await run.query("item", "3");
  // @ts-expect-error: no input
  await run.query("item");
  // @ts-expect-error: no such query
  await run.query("total");
  expectTypeOf(await run.update("add", { item: "book" })).toEqualTypeOf<number>();
  // @ts-expect-error: a wrong input
  await run.update("add", { items: [] });
  // @ts-expect-error: no input
  await run.update("add");
  // @ts-expect-error: no such update
  await run.update("remove", { item: "book" });
  expectTypeOf(await client.workflow(order, "w-1").query("state")).toEqualTypeOf<"open" | "paid">();

  const add = { workflowId: "w-1", update: { name: "add", input: { item: "book" } } } as const;
  const executed = await client.executeUpdateWithStart(order, { cents: 5 }, add);
  expectTypeOf(executed.output).toEqualTypeOf<number>();
  expectTypeOf(await executed.run.query("state")).toEqualTypeOf<"open" | "paid">();
  const begun = await client.startUpdateWithStart(order, { cents: 5 }, { ...add, idConflictPolicy: "useExisting" });
  expectTypeOf(await begun.update.result()).toEqualTypeOf<number>();
  // @ts-expect-error: a wrong input of the workflow
  await client.executeUpdateWithStart(order, { dollars: 5 }, add);
  // @ts-expect-error: a wrong input of the update
  await client.executeUpdateWithStart(order, { cents: 5 }, { ...add, update: { name: "add", input: 5 } });
  // @ts-expect-error: no input of the update
  await client.executeUpdateWithStart(order, { cents: 5 }, { ...add, update: { name: "add" } });
  // @ts-expect-error: no such update
  await client.startUpdateWithStart(order, { cents: 5 }, { ...add, update: { name: "remove", input: {} } });
  // @ts-expect-error: no id
  await client.startUpdateWithStart(order, { cents: 5 }, { update: add.update });

  const unknown = await client.start("order", { anything: 1 });
  const loosely = { workflowId: "w-1", update: { name: "anything" } };
  expectTypeOf((await client.executeUpdateWithStart("order", 1, loosely)).output).toEqualTypeOf<unknown>();
  await unknown.signal("anything", { at: "all" });
  expectTypeOf(await unknown.query("anything")).toEqualTypeOf<unknown>();
  expectTypeOf(await unknown.result()).toEqualTypeOf<unknown>();
}

test("a client and a test environment take the same calls, and give the same types", () => {
  expectTypeOf(use).toBeCallableWith({} as Client);
  expectTypeOf(use).toBeCallableWith({} as TestEnvironment);
  expect(order.name).toBe("order");
});
