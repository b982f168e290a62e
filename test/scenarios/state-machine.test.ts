/** An xstate machine as a workflow, as the guide says: events are signals, `after` is a durable timer, invoked actors are tasks. */
import { machine, task } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { assign, fromPromise, setup } from "xstate";
import { z } from "zod";

const charge = task("charge", { input: z.object({ cents: z.number() }), output: z.object({ receipt: z.string() }) });

const order = machine(
  "order",
  setup({
    types: {
      context: {} as { cents: number; receipt: string | null; reminders: number },
      input: {} as { cents: number },
      output: {} as { receipt: string | null },
      events: {} as { type: "pay"; cents: number } | { type: "cancel" },
    },
    actors: {
      charge: fromPromise<{ receipt: string }, { cents: number }>(() => Promise.reject(new Error("done by an agent"))),
      note: fromPromise<string, { what: string }>(() => Promise.reject(new Error("done by the workflow"))),
    },
    delays: { patience: 3_600_000 },
  }).createMachine({
    id: "order",
    context: ({ input }) => ({ cents: input.cents, receipt: null, reminders: 0 }),
    initial: "unpaid",
    output: ({ context }) => ({ receipt: context.receipt }),
    states: {
      unpaid: {
        on: {
          pay: {
            guard: ({ context, event }) => event.cents >= context.cents,
            target: "charging",
          },
          cancel: "cancelled",
        },
        after: {
          patience: [
            { guard: ({ context }) => context.reminders === 2, target: "expired" },
            {
              target: "unpaid",
              reenter: true,
              actions: assign({ reminders: ({ context }) => context.reminders + 1 }),
            },
          ],
        },
      },
      charging: {
        invoke: {
          src: "charge",
          input: ({ context }) => ({ cents: context.cents }),
          onDone: { target: "paid", actions: assign({ receipt: ({ event }) => event.output.receipt }) },
          onError: "unpaid",
        },
      },
      paid: {
        invoke: { src: "note", input: { what: "paid" }, onDone: "done", onError: "done" },
      },
      done: { type: "final" },
      cancelled: { type: "final" },
      expired: { type: "final" },
    },
  }),
  {
    actors: {
      charge,
      note: async (ctx, input) => {
        await ctx.sleep("1s");
        return ctx.step("note", () => `noted ${(input as { what: string }).what}`);
      },
    },
  },
);

const tasks = { charge: () => ({ receipt: "r-1" }) };

it("goes from event to task to code, and ends with the machine's output", async () => {
  const environment = testEnvironment({ workflows: [order], tasks, maxCachedRuns: 0 });
  const run = await environment.start(order, { cents: 700 });
  await run.signal("pay", { cents: 1 });
  expect(await run.query("snapshot")).toMatchObject({ value: "unpaid", status: "active" });
  await run.signal("pay", { cents: 700 });
  expect(await run.result()).toEqual({ receipt: "r-1" });
  expect(await run.query("snapshot")).toMatchObject({ value: "done", status: "done", context: { receipt: "r-1" } });
});

it("sleeps through its timers, each started again with its state, while the worker forgets it", async () => {
  const environment = testEnvironment({ workflows: [order], tasks, maxCachedRuns: 0 });
  const begin = environment.now.getTime();
  const run = await environment.start(order, { cents: 700 });
  await environment.sleep("90 minutes");
  expect(await run.query("snapshot")).toMatchObject({ value: "unpaid", context: { reminders: 1 } });
  expect(await run.result()).toEqual({ receipt: null });
  expect(await run.query("snapshot")).toMatchObject({ value: "expired" });
  expect(environment.now.getTime() - begin).toBe(3 * 3_600_000);
});

it("goes on trying a task without a bound on its attempts, and ignores meanwhile what its state has no transition for", async () => {
  let attempts = 0;
  const environment = testEnvironment({
    workflows: [order],
    tasks: {
      charge: () => {
        attempts += 1;
        if (attempts < 5) throw new Error("declined");
        return { receipt: "r-5" };
      },
    },
  });
  const run = await environment.start(order, { cents: 700 });
  await run.signal("pay", { cents: 700 });
  await run.signal("cancel");
  await run.signal("unheard-of", { any: "thing" });
  expect(await run.query("snapshot")).toMatchObject({ value: "charging" });
  expect(await run.result()).toEqual({ receipt: "r-5" });
});

describe("a cancelled run", () => {
  it("ends where the machine only waits for an event or a timer", async () => {
    const environment = testEnvironment({ workflows: [order], tasks, maxCachedRuns: 0 });
    const run = await environment.start(order, { cents: 700 });
    const begin = environment.now.getTime();
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ state: "cancelled" });
    expect(environment.now.getTime()).toBe(begin);
  });

  it("is told to the machine as the error of what it invoked, and ends when that leads nowhere", async () => {
    const environment = testEnvironment({ workflows: [order], maxCachedRuns: 0 });
    const run = await environment.start(order, { cents: 700 });
    await run.signal("pay", { cents: 700 });
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ state: "cancelled" });
    expect(await run.query("snapshot")).toMatchObject({ value: "unpaid" });
  });

  it("completes where the machine cleans up and comes to its end", async () => {
    const log: string[] = [];
    const promise = fromPromise(() => Promise.reject(new Error("done elsewhere")));
    const careful = machine(
      "careful",
      setup({ actors: { work: promise, release: promise } }).createMachine({
        initial: "working",
        states: {
          working: { invoke: { src: "work", onDone: "done", onError: "releasing" } },
          releasing: { invoke: { src: "release", onDone: "done" } },
          done: { type: "final" },
        },
      }),
      {
        actors: {
          work: task("work"),
          release: (ctx) => ctx.nonCancellable(() => ctx.step("release", () => log.push("released"))),
        },
      },
    );
    const environment = testEnvironment({ workflows: [careful], maxCachedRuns: 0 });
    const run = await environment.start(careful, undefined);
    await run.cancel();
    expect(await run.wait()).toMatchObject({ state: "completed" });
    expect(log).toEqual(["released"]);
  });
});
