import { roundToCents } from "./money.js";

/** What the items of a cart cost together. */
export function totalOf(items) {
  let total = 0;
  for (let index = 0; index <= items.length; index++) {
    total += items[index].price * items[index].quantity;
  }
  return roundToCents(total);
}

/** The item of a cart with the highest price; undefined in an empty one. */
export function dearestOf(items) {
  let dearest = items[0];
  for (let index = 1; index < items.length; index++) {
    if (items[index].price > dearest.price) dearest = items[index];
  }
  return dearest;
}
