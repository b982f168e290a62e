/** Temporal's signal-with-start. */
import { workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const cart = workflow(
  "cart",
  {
    input: z.string(),
    output: z.array(z.string()),
    signals: { add: z.string() },
    queries: { items: { output: z.array(z.string()) } },
    updates: { checkOut: { output: z.number() } },
  },
  async (ctx, owner) => {
    const items: string[] = [owner];
    let isCheckedOut = false;
    ctx.onSignal("add", (item) => {
      items.push(item);
    });
    ctx.onQuery("items", () => items);
    ctx.onUpdate("checkOut", () => {
      isCheckedOut = true;
      return items.length - 1;
    });
    await ctx.condition(() => isCheckedOut);
    return items;
  },
);

it("starts a workflow that is not there, and its code sees the signal first", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const run = await environment.start(cart, "ada", { workflowId: "cart-7", signal: { name: "add", input: "bread" } });
  expect((await run.history()).slice(0, 2).map(({ type }) => type)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowExecutionSignaled",
  ]);
  expect(await run.query("items")).toEqual(["ada", "bread"]);
});

it("only signals one that runs, whose input stays what it was", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const first = await environment.start(cart, "ada", { workflowId: "cart-7" });
  const before = await first.describe();
  const second = await environment.start(cart, "bo", {
    workflowId: "cart-7",
    idConflictPolicy: "useExisting",
    signal: { name: "add", input: "milk" },
  });
  expect(await second.query("items")).toEqual(["ada", "milk"]);
  expect((await second.describe()).run?.runId).toBe(before.run?.runId);
});

it("starts another run after a closed one, which alone gets the signal", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const options = { workflowId: "cart-7", idReusePolicy: "allowDuplicate" } as const;
  const first = await environment.start(cart, "ada", options);
  await first.update("checkOut");
  expect(await first.result()).toEqual(["ada"]);

  const second = await environment.start(cart, "ada", { ...options, signal: { name: "add", input: "eggs" } });
  expect(await second.query("items")).toEqual(["ada", "eggs"]);
  await second.update("checkOut");
  expect(await second.result()).toEqual(["ada", "eggs"]);
});

it("needs no policies: an open run is used whatever its input, a closed one is followed by another", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const signal = { name: "add", input: "bread" };
  const first = await environment.start(cart, "ada", { workflowId: "cart-7" });
  await environment.start(cart, "bo", { workflowId: "cart-7", signal });
  expect(await first.query("items")).toEqual(["ada", "bread"]);
  await first.update("checkOut");
  await first.result();
  const next = await environment.start(cart, "ada", { workflowId: "cart-7", signal });
  expect(await next.describe()).toMatchObject({ state: "running" });
  expect(await next.query("items")).toEqual(["ada", "bread"]);
});

it("delivers a signal of the same signalId once, however often it is started", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const start = () =>
    environment.start(cart, "ada", {
      workflowId: "cart-7",
      idConflictPolicy: "useExisting",
      signal: { name: "add", input: "bread", signalId: "add-1" },
    });
  const run = await start();
  await start();
  await start();
  expect(await run.query("items")).toEqual(["ada", "bread"]);
});
