/** The agents of the shop, with books that show what took effect and what was undone. Idempotent by the order's id. */
import { TaskFailure, type TaskHandler } from "perdure";
import { chargeCard, refundCard, releaseStock, reserveStock, ship } from "./workflows.js";

export interface ShopOptions {
  /** Pieces in stock, by item. */
  readonly stock: Readonly<Record<string, number>>;
  /** Cards that pay nothing more than this, in cents. */
  readonly cardLimitCents: number;
  /** Where parcels can go. */
  readonly addresses: readonly string[];
}

/** What happened in the shop, by order. */
export interface Books {
  readonly reserved: Map<string, string>;
  readonly charged: Map<string, number>;
  readonly shipped: Set<string>;
  readonly undone: string[];
}

export interface Shop {
  readonly tasks: Readonly<Record<string, TaskHandler>>;
  readonly books: Books;
}

export function openShop({ stock, cardLimitCents, addresses }: ShopOptions): Shop {
  const books: Books = { reserved: new Map(), charged: new Map(), shipped: new Set(), undone: [] };
  const left = new Map(Object.entries(stock));

  const reserve = ({ orderId, item, quantity }: { orderId: string; item: string; quantity: number }) => {
    const reservationId = `res-${orderId}`;
    if (books.reserved.has(reservationId)) return { reservationId };
    const there = left.get(item) ?? 0;
    if (there < quantity) {
      throw new TaskFailure(`${quantity} of ${item} were asked for and ${there} are left`, { type: "OutOfStock" });
    }
    left.set(item, there - quantity);
    books.reserved.set(reservationId, item);
    return { reservationId };
  };
  const release = ({ reservationId }: { reservationId: string }) => {
    if (books.reserved.delete(reservationId)) books.undone.push(reservationId);
  };
  const charge = ({ orderId, cents }: { orderId: string; cents: number }) => {
    if (cents > cardLimitCents) throw new TaskFailure(`the card does not pay ${cents} cents`, { type: "CardDeclined" });
    const paymentId = `pay-${orderId}`;
    books.charged.set(paymentId, cents);
    return { paymentId };
  };
  const refund = ({ paymentId }: { paymentId: string }) => {
    if (books.charged.delete(paymentId)) books.undone.push(paymentId);
  };
  const send = ({ orderId, address }: { orderId: string; address: string }) => {
    if (!addresses.includes(address)) throw new TaskFailure(`nobody lives at ${address}`, { type: "AddressUnknown" });
    books.shipped.add(orderId);
    return { parcelId: `parcel-${orderId}` };
  };

  const handles = <Input>(
    definition: { readonly input: { parse(value: unknown): Input } },
    work: (input: Input) => unknown,
  ) => ((_context, input) => work(definition.input.parse(input))) satisfies TaskHandler;
  return {
    books,
    tasks: {
      [reserveStock.name]: handles(reserveStock, reserve),
      [releaseStock.name]: handles(releaseStock, release),
      [chargeCard.name]: handles(chargeCard, charge),
      [refundCard.name]: handles(refundCard, refund),
      [ship.name]: handles(ship, send),
    },
  };
}
