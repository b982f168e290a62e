/**
 * An order: reserve the goods, charge the card, ship. Each step that has taken effect leaves behind how to undo it; when a
 * later one fails for good, or the order is cancelled, everything is undone in reverse.
 */
import { task, workflow } from "perdure";
import { z } from "zod";

export const Order = z.object({
  orderId: z.string(),
  item: z.string(),
  quantity: z.int().min(1),
  cents: z.int().min(1),
  address: z.string(),
});
export type Order = z.infer<typeof Order>;

const timeouts = { startToClose: "10s" } as const;

/** What agents do. Each is idempotent by the order's id: an attempt may be repeated. */
export const reserveStock = task("stock.reserve", {
  input: z.object({ orderId: z.string(), item: z.string(), quantity: z.int() }),
  output: z.object({ reservationId: z.string() }),
  timeouts,
  retry: { maximumAttempts: 3, nonRetryableErrorTypes: ["OutOfStock"] },
});
export const releaseStock = task("stock.release", { input: z.object({ reservationId: z.string() }), timeouts });
export const chargeCard = task("payment.charge", {
  input: z.object({ orderId: z.string(), cents: z.int() }),
  output: z.object({ paymentId: z.string() }),
  timeouts,
  retry: { maximumAttempts: 5, initialIntervalMs: 200, nonRetryableErrorTypes: ["CardDeclined"] },
});
export const refundCard = task("payment.refund", { input: z.object({ paymentId: z.string() }), timeouts });
export const ship = task("parcel.ship", {
  input: z.object({ orderId: z.string(), address: z.string() }),
  output: z.object({ parcelId: z.string() }),
  timeouts,
  retry: { maximumAttempts: 3, nonRetryableErrorTypes: ["AddressUnknown"] },
});

export const orderSaga = workflow(
  "order",
  {
    input: Order,
    output: z.object({ reservationId: z.string(), paymentId: z.string(), parcelId: z.string() }),
    queries: { progress: { output: z.array(z.string()) } },
  },
  async (ctx, order) => {
    const done: string[] = [];
    const undo: (() => Promise<unknown>)[] = [];
    ctx.onQuery("progress", () => done);
    try {
      const { orderId, item, quantity, cents, address } = order;
      const { reservationId } = await ctx.task(reserveStock, { orderId, item, quantity });
      undo.push(() => ctx.task(releaseStock, { reservationId }));
      done.push("reserved");

      const { paymentId } = await ctx.task(chargeCard, { orderId, cents });
      undo.push(() => ctx.task(refundCard, { paymentId }));
      done.push("charged");

      const { parcelId } = await ctx.task(ship, { orderId, address }, { priority: "high" });
      done.push("shipped");
      return { reservationId, paymentId, parcelId };
    } catch (fault) {
      // Also when the order was cancelled: what has taken effect has to be taken back.
      await ctx.nonCancellable(async () => {
        for (const step of undo.reverse()) {
          await step();
          done.push("undone");
        }
      });
      throw fault;
    }
  },
);
