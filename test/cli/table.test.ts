import fc from "fast-check";
import { expect, it } from "vitest";
import type { Style } from "../../src/cli/style.js";
import { type Column, tableLines } from "../../src/cli/table.js";
import { widthOf } from "../../src/cli/terminal-text.js";

interface Row {
  readonly id: string;
  readonly load: string;
  readonly reason: string;
}

const columns: readonly Column<Row>[] = [
  { heading: "id", cell: ({ id }) => id },
  { heading: "load", cell: ({ load }) => load, align: "right", givesWay: 2 },
  { heading: "reason", cell: ({ reason }) => reason, givesWay: 1, widthMin: 8 },
];

const plain = (width: number): Style => ({ width, paint: (_, text) => text });
const rows: readonly Row[] = [
  { id: "cam-1", load: "3/8", reason: "silent for a long while" },
  { id: "cam-22", load: "0/16", reason: "" },
];

it("shows everything where there is room, without trailing blanks", () => {
  expect(tableLines(rows, columns, plain(Number.POSITIVE_INFINITY))).toEqual([
    "ID      LOAD  REASON",
    "cam-1    3/8  silent for a long while",
    "cam-22  0/16",
  ]);
});

it("cuts the least important column first", () => {
  expect(tableLines(rows, columns, plain(25))[1]).toBe("cam-1    3/8  silent for…");
});

it("leaves columns out, the least important first, when cutting is not enough", () => {
  expect(tableLines(rows, columns, plain(18))[1]).toBe("cam-1    3/8");
  expect(tableLines(rows, columns, plain(8))[1]).toBe("cam-1");
});

it("leaves out a column in which nothing is said", () => {
  expect(tableLines([{ id: "a", load: "", reason: "b" }], columns, plain(80))).toEqual(["ID  REASON", "a   b"]);
});

it("lets no cell move the cursor, and counts columns rather than characters", () => {
  const [, first, second] = tableLines(
    [
      { id: "a\u001b[2J\nb", load: "1", reason: "x" },
      { id: "日本", load: "1", reason: "x" },
    ],
    columns,
    plain(80),
  );
  expect([first, second]).toEqual(["a?[2J b     1  x", "日本        1  x"]);
});

it("never exceeds the terminal as long as its most important column fits", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 30 });
  const row = fc.record({ id: fc.string({ unit: "grapheme-ascii", maxLength: 10 }), load: text, reason: text });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 12, max: 60 }), (given, width) => {
      for (const line of tableLines(given, columns, plain(width))) expect(widthOf(line)).toBeLessThanOrEqual(width);
    }),
  );
});
