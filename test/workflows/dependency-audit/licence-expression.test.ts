import fc from "fast-check";
import { expect, it } from "vitest";
import {
  classifyLicence,
  licenceFamilies,
  parseLicenceExpression,
} from "../../../workflows/dependency-audit/licence-expression.js";

it.each([
  ["MIT", "permissive"],
  ["mit", "permissive"],
  ["0BSD", "permissive"],
  ["MPL-2.0", "weak-copyleft"],
  ["LGPL-3.0-or-later", "weak-copyleft"],
  ["GPL-2.0+", "strong-copyleft"],
  ["AGPL-3.0-only", "strong-copyleft"],
  ["GPL-2.0-only WITH Classpath-exception-2.0", "weak-copyleft"],
  ["MIT OR GPL-3.0-only", "permissive"],
  ["(MIT AND MPL-2.0)", "weak-copyleft"],
  ["MIT AND Frobnicate-1.0", "unknown"],
  ["GPL-3.0-only AND Frobnicate-1.0", "strong-copyleft"],
  ["MIT OR Apache-2.0 AND GPL-3.0-only", "permissive"],
  ["(MIT OR Apache-2.0) AND GPL-3.0-only", "strong-copyleft"],
  ["UNLICENSED", "unknown"],
  ["Apache License, Version 2.0", "permissive"],
  ["BSD", "permissive"],
  ["MIT/Apache-2.0", "permissive"],
])("classes %s as %s", (text, expected) => {
  const expression = parseLicenceExpression(text);
  expect(expression && classifyLicence(expression)).toBe(expected);
});

it.each([
  "SEE LICENSE IN LICENSE.md",
  "",
  "MIT OR",
  "(MIT",
  "MIT)",
  "OR",
  "MIT WITH",
  "Public Domain",
  "MIT; DROP TABLE",
])("reads no expression in %j", (text) => {
  expect(parseLicenceExpression(text)).toBeNull();
});

it("names each licence of an expression once, in the spelling of SPDX and without what no text can show", () => {
  const expression = parseLicenceExpression("(mit OR GPL-3.0-or-later) AND (MIT OR apache-2.0)");
  expect(expression && licenceFamilies(expression)).toEqual(["MIT", "GPL-3.0", "Apache-2.0"]);
});

it("never throws, whatever a package declares", () => {
  const words = fc.constantFrom("(", ")", "MIT", "OR", "AND", "WITH", "GPL-2.0+", " ", "/", "é");
  const text = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 300 }).map((parts) => parts.join(" ")),
  );
  fc.assert(
    fc.property(text, (declared) => {
      const expression = parseLicenceExpression(declared);
      if (expression !== null) classifyLicence(expression);
    }),
  );
  expect(parseLicenceExpression("(".repeat(100_000))).toBeNull();
});
