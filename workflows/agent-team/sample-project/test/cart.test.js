import assert from "node:assert/strict";
import { test } from "node:test";
import { dearestOf, totalOf } from "../src/cart.js";

const items = [
  { name: "chair", price: 49.9, quantity: 4 },
  { name: "table", price: 199, quantity: 1 },
];

test("adds up a cart", () => {
  assert.equal(totalOf(items), 398.6);
});

test("an empty cart costs nothing", () => {
  assert.equal(totalOf([]), 0);
});

test("knows the dearest item", () => {
  assert.equal(dearestOf(items)?.name, "table");
  assert.equal(dearestOf([]), undefined);
});
