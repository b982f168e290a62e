import { expect, it } from "vitest";
import { repositoryFileNames } from "../support/source-file.js";
import { type WireMessageName, wireMessageNames } from "./wire-messages.js";
import { type JsonSchema, jsonSchemaOf, schemaIndex, schemaPage } from "./wire-schema.js";

const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const folder = "../../docs/schemas";

/** `npm run generate` runs this file with --update, which writes them. */
it.each(wireMessageNames)("has the JSON Schema of %s as it is now", async (name) => {
  await expect(asJson(jsonSchemaOf(name))).toMatchFileSnapshot(`${folder}/${name}.json`);
});

it("has an index of them for programs and one for people", async () => {
  await expect(asJson(schemaIndex())).toMatchFileSnapshot(`${folder}/index.json`);
  await expect(schemaPage()).toMatchFileSnapshot(`${folder}/README.md`);
});

it("has no schema of a message that is gone", () => {
  const expected = [...wireMessageNames.map((name) => `${name}.json`), "README.md", "index.json"];
  expect(repositoryFileNames("docs/schemas").sort()).toEqual(expected.sort());
});

/** The journal is read by the engine; its record types are described where they are declared. */
const conversation = wireMessageNames.filter((name) => name !== "journal-flush");

it.each(conversation)("says of every field of %s what it is for", (name: WireMessageName) => {
  expect(fieldsWithoutDescription(jsonSchemaOf(name))).toEqual([]);
});

function fieldsWithoutDescription(schema: JsonSchema, path: readonly string[] = []): string[] {
  const own = path.length > 0 && schema.description === undefined ? [path.join(".")] : [];
  return [...own, ...fieldsBeneath(schema, path)];
}

function fieldsBeneath(schema: JsonSchema, path: readonly string[]): string[] {
  const { properties = {}, items, additionalProperties } = schema;
  const fields = Object.entries(properties).flatMap(([name, field]) =>
    typeof field === "boolean" ? [] : fieldsWithoutDescription(field, [...path, name]),
  );
  const members = [items, additionalProperties].flatMap((member) =>
    typeof member === "object" && !Array.isArray(member) ? fieldsBeneath(member, path) : [],
  );
  return [...fields, ...members];
}
