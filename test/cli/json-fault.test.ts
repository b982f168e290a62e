import fc from "fast-check";
import { expect, it } from "vitest";
import { findJsonFault } from "../../src/cli/json-fault.js";

it.each<[text: string, offset: number, expected: string]>([
  ["", 0, "a value"],
  ["  ", 2, "a value"],
  ["{", 1, 'a name in double quotes or "}"'],
  ['{"a"}', 4, '":"'],
  ['{"a":}', 5, "a value"],
  ['{"a":1,}', 7, "a name in double quotes"],
  ['{"a":1 "b":2}', 7, '"," or "}"'],
  ["{'a':1}", 1, 'a name in double quotes or "}"'],
  ["[1,]", 3, "a value"],
  ["[1 2]", 3, '"," or "]"'],
  ["[1}", 2, '"," or "]"'],
  ["[,1]", 1, 'a value or "]"'],
  ["[01]", 1, 'a value or "]"'],
  ["tru", 0, "a value"],
  ["nulls", 0, "a value"],
  ['"a\nb"', 0, "a value"],
  ['{"a":1}]', 7, "nothing more"],
])("finds where %j stops being JSON", (text, offset, expected) => {
  expect(findJsonFault(text)).toEqual({ offset, expected });
});

it("finds nothing in any JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, "\t"), (value, indent) => {
      expect(findJsonFault(JSON.stringify(value, null, indent))).toBeNull();
    }),
  );
});

it("agrees with JSON.parse on whatever people may have typed", () => {
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    "1",
    "-",
    "1.5e3",
    "true",
    "null",
    " ",
    "\n",
    "x",
    '"',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      expect(findJsonFault(text) === null).toBe(isJson(text));
    }),
    { numRuns: 2_000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
