/** Four orders on an engine of its own, three of which go wrong: `node dist/workflows/order-saga/main.js`. */
import { agent, connectClient, TaskFailedError, worker } from "perdure";
import { startLocalSystem } from "perdure/testing";
import { openShop } from "./shop.js";
import { type Order, orderSaga } from "./workflows.js";

const system = await startLocalSystem({ onNotice: (notice) => console.error(notice) });
const shop = openShop({ stock: { chair: 10 }, cardLimitCents: 50_000, addresses: ["Main Street 1"] });
const shopAgent = agent("shop", { servers: system.url, tasks: shop.tasks, maxConcurrentTasks: 10 });
await shopAgent.start();
const workflowWorker = await worker({ servers: system.url, workflows: [orderSaga] });
const client = await connectClient({ servers: system.url });

const good: Order = { orderId: "o-1", item: "chair", quantity: 2, cents: 19_900, address: "Main Street 1" };
const orders: readonly Order[] = [
  good,
  { ...good, orderId: "o-2", quantity: 99 },
  { ...good, orderId: "o-3", cents: 999_900 },
  { ...good, orderId: "o-4", address: "Nowhere 7" },
];
for (const order of orders) {
  const run = await client.start(orderSaga, order, { workflowId: order.orderId });
  try {
    const { parcelId } = await run.result();
    console.log(`${order.orderId}: sent as ${parcelId}`);
  } catch (fault) {
    if (!(fault instanceof TaskFailedError)) throw fault;
    console.log(
      `${order.orderId}: ${fault.failure.message}; steps: ${(await run.query("progress")).join(", ") || "none"}`,
    );
  }
}
const { reserved, charged, shipped, undone } = shop.books;
console.log(
  `in the books: ${reserved.size} reserved, ${charged.size} charged, ${shipped.size} shipped; undone: ${undone.join(", ")}`,
);

await client.close();
await workflowWorker.drain();
await shopAgent.drain();
await system.stop();
// One order went through, and nothing is left of the others.
process.exitCode = reserved.size === 1 && charged.size === 1 && shipped.size === 1 ? 0 : 1;
