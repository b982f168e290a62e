import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, it } from "vitest";
import { operations } from "../../src/http/router.js";
import { readRepositoryFile } from "../support/source-file.js";
import type { OpenapiDocument, Schema } from "./documented.js";
import { drawOpenapi } from "./draw-openapi.js";

const openapi = drawOpenapi() as OpenapiDocument;

/** `npm run generate` runs this file with --update, which writes it. */
it("has an OpenAPI document of the operations as they are now", async () => {
  await expect(`${JSON.stringify(openapi, null, 2)}\n`).toMatchFileSnapshot("../../docs/openapi.json");
});

/** The schema is the one of spec.openapis.org, which says nothing of the JSON Schemas within; those are compiled by every test. */
it("is an OpenAPI 3.1 document", () => {
  const ajv = new Ajv2020({ strict: false, formats: { "media-range": true } });
  addFormats.default(ajv);
  const validate = ajv.compile(JSON.parse(readRepositoryFile("test/http/openapi-3.1.schema.json")) as object);

  validate(openapi);

  expect(validate.errors).toBeNull();
});

it("documents every operation under a name of its own", () => {
  const documented = Object.values(openapi.paths).flatMap((methods) => Object.values(methods));

  expect(documented.map(({ operationId }) => operationId)).toEqual(operations.map(({ operationId }) => operationId));
});

it("says of every field and parameter what it is for", () => {
  const fields = Object.entries(openapi.components.schemas).flatMap(([name, schema]) => undescribedIn(schema, name));
  const parameters = Object.values(openapi.paths)
    .flatMap((methods) => Object.values(methods))
    .flatMap(({ operationId, parameters }) =>
      parameters.map((each) => ({ ...each, path: `${operationId} ${each.name}` })),
    )
    .filter((parameter) => !("description" in parameter))
    .map(({ path }) => path);

  expect([...fields, ...parameters]).toEqual([]);
});

/** What is a part of its own is described there. */
function undescribedIn(schema: Schema, path: string): string[] {
  const within = Object.entries((schema["properties"] ?? {}) as Record<string, Schema>);
  return within.flatMap(([name, field]) => {
    const own = field["$ref"] === undefined && field["description"] === undefined ? [`${path}.${name}`] : [];
    return [...own, ...undescribedIn(field, `${path}.${name}`)];
  });
}
