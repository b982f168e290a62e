import assert from "node:assert/strict";
import { test } from "node:test";
import { percentOf } from "../src/money.js";
import { piecesIn } from "../src/stock.js";

test("counts pieces", () => {
  assert.equal(piecesIn([{ pieces: 3 }, { pieces: 4 }]), 7);
  assert.equal(piecesIn([]), 0);
});

test("takes a percentage", () => {
  assert.equal(percentOf(80, 25), 20);
});
