/** Temporal's update-with-start: one request that starts a workflow, or finds it open, and has it do an update. */
import { UpdateFailedError, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const cart = workflow(
  "cart",
  {
    input: z.string(),
    output: z.array(z.string()),
    signals: { checkOut: z.void() },
    updates: { add: { input: z.string(), output: z.number() }, slowly: { output: z.string() } },
  },
  async (ctx, owner) => {
    const items: string[] = [owner];
    const refuseNothing = (item: string): void => {
      if (item === "") throw new Error("it is nothing");
    };
    ctx.onUpdate("add", (item) => items.push(item) - 1, { validate: refuseNothing });
    ctx.onUpdate("slowly", async () => {
      await ctx.sleep("1h");
      return "at last";
    });
    await ctx.signal("checkOut");
    return items;
  },
);
const add = (input: string, updateId = `add-${input}`) =>
  ({ workflowId: "cart-7", update: { name: "add", input, updateId } }) as const;

it("starts a workflow that is not there, and its first answer has the update's outcome", async () => {
  const environment = testEnvironment({ workflows: [cart], maxCachedRuns: 0 });
  const { run, output } = await environment.executeUpdateWithStart(cart, "ada", add("bread"));
  expect(output).toBe(1);
  expect((await run.history()).map(({ type }) => type)).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowExecutionUpdateAccepted",
    "WorkflowExecutionUpdateCompleted",
  ]);
  await run.signal("checkOut");
  expect(await run.result()).toEqual(["ada", "bread"]);
});

it("updates one that runs, whose input stays what it was, and the same updateId once", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  await environment.start(cart, "ada", { workflowId: "cart-7" });
  expect((await environment.executeUpdateWithStart(cart, "bo", add("bread"))).output).toBe(1);
  expect((await environment.executeUpdateWithStart(cart, "bo", add("milk"))).output).toBe(2);
  const { run, output } = await environment.executeUpdateWithStart(cart, "bo", add("bread"));
  expect(output).toBe(1);
  await run.signal("checkOut");
  expect(await run.result()).toEqual(["ada", "bread", "milk"]);
});

it("leaves the run that it started running where its validator rejects the update", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const rejected = await environment.executeUpdateWithStart(cart, "ada", add("")).catch((error: unknown) => error);
  expect(rejected).toBeInstanceOf(UpdateFailedError);
  expect(rejected).toMatchObject({ stage: "rejected", failure: { message: "it is nothing" } });
  const run = environment.workflow(cart, "cart-7");
  expect(await run.describe()).toMatchObject({ state: "running" });
  expect((await run.history()).map(({ type }) => type)).toEqual(["WorkflowExecutionStarted", "WorkflowTaskCompleted"]);
});

it("resolves when the update is accepted, and says later what its handler returned", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const { run, update } = await environment.startUpdateWithStart(cart, "ada", {
    workflowId: "cart-7",
    update: { name: "slowly", updateId: "slow-1" },
  });
  const begunAt = environment.now.getTime();
  expect((await run.history()).at(-2)).toMatchObject({ type: "WorkflowExecutionUpdateAccepted", updateId: "slow-1" });
  expect(await update.result()).toBe("at last");
  expect(environment.now.getTime() - begunAt).toBe(3_600_000);
});

it("follows a closed run with another, unless it was that one which did the update", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  const { run } = await environment.executeUpdateWithStart(cart, "ada", add("bread"));
  await run.signal("checkOut");
  await run.result();
  const again = await environment.executeUpdateWithStart(cart, "bo", add("bread"));
  expect([again.output, await again.run.result()]).toEqual([1, ["ada", "bread"]]);
  const next = await environment.executeUpdateWithStart(cart, "bo", add("milk"));
  expect(next.output).toBe(1);
  expect(await next.run.describe()).toMatchObject({ state: "running" });
});

it("does nothing to an open run where its policy forbids it, save to answer an update that it has done", async () => {
  const environment = testEnvironment({ workflows: [cart] });
  await environment.executeUpdateWithStart(cart, "ada", add("bread"));
  const failing = (item: string) =>
    environment.executeUpdateWithStart(cart, "ada", { ...add(item), idConflictPolicy: "fail" });
  await expect(failing("milk")).rejects.toMatchObject({ code: "ID_CONFLICT" });
  expect((await failing("bread")).output).toBe(1);
});
