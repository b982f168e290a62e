import fc from "fast-check";
import { expect, it } from "vitest";
import { canonicalJson } from "../../src/protocol/canonical-json.js";

it.each<[unknown, string]>([
  [{ b: 1, a: 2 }, '{"a":2,"b":1}'],
  [{ b: { d: 1, c: [{ f: 1, e: 2 }] }, a: null }, '{"a":null,"b":{"c":[{"e":2,"f":1}],"d":1}}'],
  [[3, 1, 2], "[3,1,2]"],
  [{ a: undefined, b: 1 }, '{"b":1}'],
  [{ B: 1, a: 2, "": 3 }, '{"":3,"B":1,"a":2}'],
  [{ a: 1.0, b: -0, c: 1e21 }, '{"a":1,"b":0,"c":1e+21}'],
  [JSON.parse('{"b":1,"__proto__":{"d":1,"c":2}}'), '{"__proto__":{"c":2,"d":1},"b":1}'],
  [null, "null"],
  [false, "false"],
  ["", '""'],
  [{}, "{}"],
])("writes %j with its members in order", (value, text) => {
  expect(canonicalJson(value)).toBe(text);
});

/** The same value with the members of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}

it("writes equal values as equal texts, whatever the order of their members", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
    }),
  );
});

it("loses nothing", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
