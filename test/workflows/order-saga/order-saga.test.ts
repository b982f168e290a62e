/** Orders that go through and orders that do not, on a real engine: nothing of the latter stays in the books. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { agent } from "../../../src/agent/agent.js";
import { type Client, connectClient } from "../../../src/client/client.js";
import { TaskFailedError } from "../../../src/client/task-outcome.js";
import { silentLogger } from "../../../src/logger.js";
import { startLocalSystem } from "../../../src/testing/local-system.js";
import { replay } from "../../../src/testing/replay.js";
import { worker } from "../../../src/worker/worker.js";
import { openShop, type Shop } from "../../../workflows/order-saga/shop.js";
import { type Order, orderSaga, ship } from "../../../workflows/order-saga/workflows.js";
import { until } from "../../support/until.js";

let client: Client;
let shop: Shop;
/** Parcels to this address wait until they are let go. */
let letGo: () => void = () => undefined;
const held = new Promise<void>((resolve) => {
  letGo = resolve;
});
let holding = 0;

const startWorker = (url: string) => worker({ servers: url, workflows: [orderSaga], logger: silentLogger });
let url = "";
let current: Awaited<ReturnType<typeof startWorker>>;
let stop: () => Promise<void> = async () => undefined;

afterAll(() => stop());

beforeAll(async () => {
  const system = await startLocalSystem({ logger: silentLogger, heartbeatMs: 300 });
  ({ url } = system);
  shop = openShop({ stock: { chair: 10 }, cardLimitCents: 50_000, addresses: ["Main Street 1", "Slow Road 2"] });
  const sendNow = shop.tasks[ship.name];
  if (sendNow === undefined) throw new Error("the shop ships nothing");
  const tasks: typeof shop.tasks = {
    ...shop.tasks,
    [ship.name]: async (context, input) => {
      if ((input as { address: string }).address !== "Slow Road 2") return await sendNow(context, input);
      holding += 1;
      const cancelled = new Promise<never>((_, reject) =>
        context.signal.addEventListener("abort", () => reject(context.signal.reason), { once: true }),
      );
      await Promise.race([held, cancelled]);
      return await sendNow(context, input);
    },
  };
  const shopAgent = agent("shop", { servers: url, tasks, maxConcurrentTasks: 10, logger: silentLogger });
  await shopAgent.start();
  current = await startWorker(url);
  client = await connectClient({ servers: url });
  stop = async () => {
    await client.close();
    await current.stop();
    await shopAgent.stop();
    await system.stop();
  };
});

const good: Order = { orderId: "o-1", item: "chair", quantity: 2, cents: 19_900, address: "Main Street 1" };

it("reserves, charges and ships, and the history replays", async () => {
  const run = await client.start(orderSaga, good, { workflowId: "o-1" });

  expect(await run.result()).toEqual({ reservationId: "res-o-1", paymentId: "pay-o-1", parcelId: "parcel-o-1" });
  expect(await run.query("progress")).toEqual(["reserved", "charged", "shipped"]);
  expect(await replay({ workflows: [orderSaga], history: await run.history() })).toEqual({ ok: true });
});

it.each<[what: string, order: Order, failure: string, undone: readonly string[]]>([
  ["more than there is", { ...good, orderId: "o-2", quantity: 99 }, "99 of chair", []],
  ["a card that does not pay", { ...good, orderId: "o-3", cents: 999_900 }, "does not pay", ["res-o-3"]],
  ["an unknown address", { ...good, orderId: "o-4", address: "Nowhere 7" }, "nobody lives", ["pay-o-4", "res-o-4"]],
])("undoes an order with %s, in reverse", async (_what, order, failure, undone) => {
  const run = await client.start(orderSaga, order, { workflowId: order.orderId });

  await expect(run.result()).rejects.toThrow(failure);
  expect(shop.books.undone.filter((id) => id.endsWith(order.orderId))).toEqual(undone);
  expect(await replay({ workflows: [orderSaga], history: await run.history() })).toEqual({ ok: true });
});

it("undoes an order that is cancelled on its way, with another worker than it began with", async () => {
  const run = await client.start(orderSaga, { ...good, orderId: "o-5", address: "Slow Road 2" }, { workflowId: "o-5" });
  await until("its parcel is being sent", () => holding === 1);
  await current.stop();
  current = await startWorker(url);

  await run.cancel();
  const ended = await run.wait();

  expect(ended.state).toBe("cancelled");
  await expect(run.result()).rejects.toBeInstanceOf(TaskFailedError);
  expect(shop.books.undone.filter((id) => id.endsWith("o-5"))).toEqual(["pay-o-5", "res-o-5"]);
  expect(shop.books.shipped.has("o-5")).toBe(false);
});

it("goes on with an order whose worker went away", async () => {
  const before = holding;
  const run = await client.start(orderSaga, { ...good, orderId: "o-6", address: "Slow Road 2" }, { workflowId: "o-6" });
  await until("its parcel is being sent", () => holding === before + 1);
  await current.stop();
  letGo();
  current = await startWorker(url);

  expect(await run.result()).toMatchObject({ parcelId: "parcel-o-6" });
  expect(shop.books.charged.get("pay-o-6")).toBe(19_900);
});
