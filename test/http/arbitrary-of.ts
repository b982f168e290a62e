/** Values that fit a JSON Schema, and values that nearly do, for requests made from docs/openapi.json alone. */
import fc from "fast-check";
import { openapi, type Schema } from "./documented.js";

type Properties = Readonly<Record<string, Schema>>;

/** Of the keywords that the document uses; one it does not know fails, so that nothing is tested less than it seems. */
export function arbitraryOf(schema: Schema): fc.Arbitrary<unknown> {
  const { $ref, type, enum: values, oneOf } = schema;
  if (typeof $ref === "string") return arbitraryOf(resolved($ref));
  if (Array.isArray(values)) return fc.constantFrom(...(values as unknown[]));
  if (Array.isArray(oneOf)) return fc.oneof(...(oneOf as Schema[]).map((each) => branchOf(schema, each, oneOf)));
  switch (type) {
    case "object":
      return objectOf(schema);
    case "array":
      return arrayOf(schema);
    case "string":
      return stringOf(schema);
    case "integer":
      return fc.integer({ ...boundsOf(schema), max: Math.min(Number(schema["maximum"] ?? 1e6), 2 ** 31) });
    case "number":
      return fc.double({ ...boundsOf(schema), noNaN: true, noDefaultInfinity: true });
    case undefined:
      return fc.jsonValue();
    default:
      throw new Error(`no arbitrary for ${JSON.stringify(schema)}`);
  }
}

function resolved($ref: string): Schema {
  const schema = openapi.components.schemas[$ref.replace("#/components/schemas/", "")];
  if (schema === undefined) throw new Error(`the document has no ${$ref}`);
  return schema;
}

const boundsOf = ({ minimum, maximum }: Schema) => ({
  ...(typeof minimum === "number" ? { min: minimum } : {}),
  ...(typeof maximum === "number" ? { max: maximum } : {}),
});

/** One alternative requires some properties, and the others' must not be there. */
function branchOf(schema: Schema, branch: Schema, all: readonly Schema[]): fc.Arbitrary<unknown> {
  const required = (branch["required"] ?? []) as string[];
  const excluded = all.filter((each) => each !== branch).flatMap((each) => each["required"] as string[]);
  const properties = Object.fromEntries(
    Object.entries(schema["properties"] as Properties).filter(([name]) => !excluded.includes(name)),
  );
  const { oneOf: _, ...rest } = schema;
  return arbitraryOf({ ...rest, properties, required: [...((schema["required"] ?? []) as string[]), ...required] });
}

function objectOf({ properties, required, additionalProperties }: Schema): fc.Arbitrary<unknown> {
  if (properties === undefined) return fc.dictionary(fc.string(), arbitraryOf((additionalProperties ?? {}) as Schema));
  const fields = Object.entries(properties as Properties).map(([name, each]) => [name, arbitraryOf(each)] as const);
  return fc.record(Object.fromEntries(fields), { requiredKeys: (required ?? []) as string[] });
}

/** Few members: what long lists are refused for has its own tests. */
function arrayOf({ items, minItems }: Schema): fc.Arbitrary<unknown> {
  const minLength = Number(minItems ?? 0);
  return fc.array(arbitraryOf((items ?? {}) as Schema), { minLength, maxLength: minLength + 2 });
}

function stringOf({ pattern, minLength, maxLength }: Schema): fc.Arbitrary<string> {
  const lengths = { minLength: Number(minLength ?? 0), maxLength: Math.min(Number(maxLength ?? 30), 30) };
  if (typeof pattern !== "string") return fc.string({ ...lengths, unit: "binary" });
  const whole = new RegExp(pattern);
  // Lookaheads cannot be generated from, so what they say is filtered for.
  return pattern.includes("(?")
    ? fc.string({ ...lengths, unit: "grapheme" }).filter((text) => whole.test(text))
    : fc.stringMatching(whole);
}

/** A value with one thing changed somewhere in it: replaced, left out, or put in. */
export function nearly(valid: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const change = fc.constantFrom("replace", "leave out", "put in");
  return fc
    .tuple(valid, fc.nat(), change, fc.jsonValue())
    .map(([value, place, what, other]) => changed(value, place, what, other));
}

function changed(value: unknown, place: number, what: string, other: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return other;
  const entries = Object.entries(value);
  if (what === "put in") return { ...value, [`field${place}`]: other };
  const [name, field] = entries[place % Math.max(entries.length, 1)] ?? [];
  if (name === undefined) return other;
  if (what === "leave out") return Object.fromEntries(entries.filter(([each]) => each !== name));
  // Half of them deeper down.
  return { ...value, [name]: place % 2 === 0 ? other : changed(field, place >>> 1, what, other) };
}
