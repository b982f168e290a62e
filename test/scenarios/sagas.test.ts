/** After Temporal's sample saga: opening an account, undone in reverse order where one of its steps fails. */
import {
  ActivityFailure,
  ApplicationFailure,
  silentLogger,
  TaskFailedError,
  TaskFailure,
  task,
  workflow,
} from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const Account = z.object({ accountId: z.string() });
const quick = { input: Account, timeouts: { startToClose: "2s", scheduleToClose: "3s" } } as const;
const long = { input: Account, timeouts: { startToClose: "4s", scheduleToClose: "8s" } } as const;
const createAccount = task("createAccount", quick);
const addAddress = task("addAddress", quick);
const clearAddresses = task("clearAddresses", quick);
const addClient = task("addClient", quick);
const removeClient = task("removeClient", quick);
const addBankAccount = task("addBankAccount", long);
const disconnectBank = task("disconnectBank", quick);

const openAccount = workflow("openAccount", { input: Account }, async (ctx, account) => {
  // Without it there is nothing to undo.
  await ctx.task(createAccount, account);
  const compensations: (() => Promise<unknown>)[] = [];
  try {
    await ctx.task(addAddress, account);
    compensations.unshift(() => ctx.task(clearAddresses, account));
    await ctx.task(addClient, account);
    compensations.unshift(() => ctx.task(removeClient, account));
    await ctx.task(addBankAccount, account);
    compensations.unshift(() => ctx.task(disconnectBank, account));
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof ApplicationFailure)
      ctx.log.error(error.cause.message);
    for (const compensate of compensations) {
      // One that cannot be undone keeps no other from being undone.
      await compensate().catch((failed: unknown) => ctx.log.error(`failed to compensate: ${String(failed)}`));
    }
    throw error;
  }
});

function bank(failing: Readonly<Record<string, "once" | "always">>) {
  const did: string[] = [];
  const doTask = ({ type, attempt }: { type: string; attempt: number }) => {
    if (failing[type] === "always" || (failing[type] === "once" && attempt === 1))
      throw new TaskFailure(`${type} failed`);
    did.push(type);
  };
  const names = [createAccount, addAddress, clearAddresses, addClient, removeClient, addBankAccount, disconnectBank];
  const environment = testEnvironment({
    workflows: [openAccount],
    tasks: Object.fromEntries(names.map(({ name }) => [name, doTask])),
    maxCachedRuns: 0,
    logger: silentLogger,
  });
  return { environment, did };
}

test("an account that opens undoes nothing, although a step had to be repeated", async () => {
  const { environment, did } = bank({ addClient: "once" });
  await (await environment.start(openAccount, { accountId: "a-1" })).result();
  expect(did).toEqual(["createAccount", "addAddress", "addClient", "addBankAccount"]);
});

test("a bank that refuses has the rest undone, the last first, and the run fails with the bank's reason", async () => {
  const { environment, did } = bank({ addBankAccount: "always" });
  const begunAt = environment.now.getTime();
  const error = await (await environment.start(openAccount, { accountId: "a-1" })).result().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(TaskFailedError);
  expect(error).toMatchObject({ failure: { type: "ActivityFailure", cause: { message: "addBankAccount failed" } } });
  expect(did).toEqual(["createAccount", "addAddress", "addClient", "removeClient", "clearAddresses"]);
  // A further attempt would have passed scheduleToClose, so it is not waited for.
  expect(environment.now.getTime() - begunAt).toBeLessThan(8_000);
});

test("what cannot be undone does not keep the rest from being undone", async () => {
  const { environment, did } = bank({ addBankAccount: "always", removeClient: "always" });
  expect(await (await environment.start(openAccount, { accountId: "a-1" })).wait()).toMatchObject({ state: "failed" });
  expect(did).toEqual(["createAccount", "addAddress", "addClient", "clearAddresses"]);
});
