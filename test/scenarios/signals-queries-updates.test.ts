/** After Temporal's samples signals-queries, state, expense, early-return, and its feature tests of messages. */
import { QueryFailedError, task, type WorkflowContext, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";

describe("unblock or cancel", () => {
  const unblockOrCancel = workflow(
    "unblockOrCancel",
    { signals: { unblock: z.void() }, queries: { isBlocked: { output: z.boolean() } } },
    async (ctx) => {
      let blocked = true;
      ctx.onSignal("unblock", () => {
        blocked = false;
      });
      ctx.onQuery("isBlocked", () => blocked);
      await ctx.condition(() => !blocked);
    },
  );

  test("it is blocked until the signal comes, and answers queries after its end", async () => {
    const environment = testEnvironment({ workflows: [unblockOrCancel] });
    const run = await environment.start(unblockOrCancel, undefined);
    expect(await run.query("isBlocked")).toBe(true);
    await run.signal("unblock");
    await run.result();
    expect(await run.query("isBlocked")).toBe(false);
  });

  test("a cancellation that the code lets pass ends it as cancelled", async () => {
    const environment = testEnvironment({ workflows: [unblockOrCancel] });
    const run = await environment.start(unblockOrCancel, undefined);
    await run.cancel();
    expect(await run.wait()).toMatchObject({ state: "cancelled" });
  });

  test("a query that nobody answers is refused by name", async () => {
    const environment = testEnvironment({ workflows: [unblockOrCancel] });
    await environment.start(unblockOrCancel, undefined, { workflowId: "w" });
    const error = await environment
      .workflow("w")
      .query("nonexistent")
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QueryFailedError);
    expect(error).toMatchObject({ failure: { type: "QUERY_NOT_REGISTERED" } });
  });
});

describe("order", () => {
  const closed = (ctx: Pick<WorkflowContext, "signal">) => ctx.signal("close");
  const Letter = z.object({ text: z.string() });
  const late = workflow(
    "late",
    { output: z.array(z.string()), signals: { letter: Letter, close: z.void() } },
    async (ctx) => {
      const read: string[] = [];
      await ctx.sleep("1h");
      ctx.onSignal("letter", ({ text }) => void read.push(text));
      await closed(ctx);
      return read;
    },
  );

  test("signals from before the handler was there reach it, in the order in which they came", async () => {
    const environment = testEnvironment({ workflows: [late], maxCachedRuns: 0 });
    const run = await environment.start(late, undefined, { signal: { name: "letter", input: { text: "0" } } });
    for (const text of ["1", "2", "3"]) await run.signal("letter", { text });
    await environment.sleep("2h");
    await run.signal("letter", { text: "4" });
    await run.signal("close");
    expect(await run.result()).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("the same signalId is the same signal", async () => {
    const environment = testEnvironment({ workflows: [late] });
    const run = await environment.start(late, undefined);
    await run.signal("letter", { text: "once" }, { signalId: "l-1" });
    await run.signal("letter", { text: "once" }, { signalId: "l-1" });
    await run.signal("close");
    expect(await run.result()).toEqual(["once"]);
  });

  test.each(["signal", "update"] as const)(
    "tasks that a handler of a %s asks for are done before the end",
    async (by) => {
      const count = task("count", { output: z.int() });
      const counting = workflow(
        "counting",
        { output: z.int(), signals: { bySignal: z.void() }, updates: { byUpdate: {} } },
        async (ctx) => {
          let total = 0;
          const handle = async () => {
            const counts = await Promise.all(Array.from({ length: 5 }, () => ctx.task(count)));
            total = counts.reduce((sum, one) => sum + one, 0);
          };
          ctx.onSignal("bySignal", handle);
          ctx.onUpdate("byUpdate", handle);
          await ctx.condition(() => total > 0);
          return total;
        },
      );
      const environment = testEnvironment({ workflows: [counting], tasks: { count: () => 6 }, maxCachedRuns: 0 });
      const run = await environment.start(counting, undefined);
      await (by === "signal" ? run.signal("bySignal") : run.update("byUpdate"));
      expect(await run.result()).toBe(30);
    },
  );
});

test("a workflow is a map that is written by signals and read by queries until it is cancelled", async () => {
  const trackState = workflow(
    "trackState",
    {
      signals: { setValue: z.object({ key: z.string(), value: z.number() }) },
      queries: { getValue: { input: z.string(), output: z.number().optional() } },
    },
    async (ctx) => {
      const state = new Map<string, number>();
      ctx.onSignal("setValue", ({ key, value }) => void state.set(key, value));
      ctx.onQuery("getValue", (key) => state.get(key));
      await ctx.condition(() => ctx.cancelRequested);
    },
  );
  const environment = testEnvironment({ workflows: [trackState], maxCachedRuns: 0 });
  const run = await environment.start(trackState, undefined);
  await run.signal("setValue", { key: "meaning-of-life", value: 42 });
  expect(await run.query("getValue", "meaning-of-life")).toBe(42);
  expect(await run.query("getValue", "unheard-of")).toBeUndefined();
  await run.cancel();
  expect(await run.wait()).toMatchObject({ state: "cancelled" });
});

describe("an expense", () => {
  const createExpense = task("createExpense", { input: z.string() });
  const payment = task("payment", { input: z.string() });
  const Expense = z.object({ id: z.string(), timeoutMs: z.int() });
  const Status = z.enum(["APPROVED", "REJECTED", "TIMED_OUT", "COMPLETED"]);
  const expense = workflow(
    "expense",
    { input: Expense, output: Status, signals: { approve: z.void(), reject: z.void() } },
    async (ctx, { id, timeoutMs }) => {
      await ctx.task(createExpense, id);
      let status = "TIMED_OUT" as z.infer<typeof Status>;
      ctx.onSignal("approve", () => {
        status = "APPROVED";
      });
      ctx.onSignal("reject", () => {
        status = "REJECTED";
      });
      await ctx.condition(() => status !== "TIMED_OUT", timeoutMs);
      if (status !== "APPROVED") return status;
      await ctx.task(payment, id);
      return "COMPLETED";
    },
  );

  test.each([
    ["approve", "COMPLETED", ["e-1"]],
    ["reject", "REJECTED", []],
    [undefined, "TIMED_OUT", []],
  ] as const)("answered with %s it is %s", async (answer, status, expectedPayments) => {
    const paid: unknown[] = [];
    const environment = testEnvironment({
      workflows: [expense],
      tasks: { createExpense: () => undefined, payment: (_, id) => void paid.push(id) },
    });
    const run = await environment.start(expense, { id: "e-1", timeoutMs: 10_000 });
    await environment.sleep("9s");
    if (answer !== undefined) await run.signal(answer);
    expect(await run.result()).toBe(status);
    expect(paid).toEqual(expectedPayments);
  });
});
