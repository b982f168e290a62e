/** Holds answers against docs/openapi.json, as somebody would who has nothing but that document. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import { readRepositoryFile } from "../support/source-file.js";

export interface Schema {
  readonly [keyword: string]: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: Schema;
}

interface DocumentedAnswer {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
  readonly "x-error-codes"?: readonly string[];
}

export interface DocumentedOperation {
  readonly operationId: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: Schema } } };
  readonly responses: Readonly<Record<string, DocumentedAnswer>>;
}

export interface OpenapiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export const openapi = JSON.parse(readRepositoryFile("docs/openapi.json")) as OpenapiDocument;

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What is refused without regard to an operation. */
const codesOfAnyPath = [
  "HTTP_ROUTE_UNKNOWN",
  "HTTP_METHOD_REFUSED",
  "HTTP_HOST_REFUSED",
  "HTTP_ORIGIN_REFUSED",
  "UNAUTHENTICATED",
];

export function checkDocumented(method: string, path: string, answer: Answered): void {
  // The head of an answer to GET, which is checked there.
  if (method === "HEAD") return;
  const operation = documentedOperation(method, path);
  if (operation === null) {
    checkBody({ $ref: "#/components/schemas/Error" }, answer.text);
    expect(codesOfAnyPath).toContain(JSON.parse(answer.text).error.code);
    return;
  }
  const promised = operation.responses[answer.status];
  if (promised === undefined) {
    expect.fail(`${operation.operationId} answered ${answer.status}, which is not documented: ${answer.text}`);
  }
  const [type = ""] = (answer.headers.get("content-type") ?? "").split(";");
  const content = promised.content[type];
  if (content === undefined) expect.fail(`${operation.operationId} answered ${answer.status} as ${type}`);
  for (const name of promised.headers === undefined || answer.status < 300 ? [] : Object.keys(promised.headers)) {
    expect(answer.headers.get(name), `header ${name} of ${answer.status}`).not.toBeNull();
  }
  if (type !== "application/json") return;
  checkBody(content.schema, answer.text);
  const codes = promised["x-error-codes"];
  if (codes !== undefined) expect(codes).toContain(JSON.parse(answer.text).error.code);
}

/** By a path as it is asked for, query and all. */
export function documentedOperation(method: string, path: string): DocumentedOperation | null {
  const [bare = ""] = path.split("?");
  const template = Object.keys(openapi.paths).find((each) =>
    new RegExp(`^${each.replace(/\{\w+\}/g, "[^/]+")}$`).test(bare),
  );
  return template === undefined ? null : (openapi.paths[template]?.[method.toLowerCase()] ?? null);
}

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false });
addFormats.default(ajv);
ajv.addVocabulary(["components"]);
ajv.addSchema({ $id: "openapi", components: { schemas: closed(openapi.components.schemas) } });
const validators = new Map<string, ValidateFunction>();

function checkBody({ $ref }: Schema, text: string): void {
  const ref = `openapi${String($ref)}`;
  const validate = validators.get(ref) ?? ajv.compile({ $ref: ref });
  validators.set(ref, validate);
  const value: unknown = JSON.parse(text);
  if (!validate(value)) expect.fail(`${text.slice(0, 500)} does not fit ${ref}: ${ajv.errorsText(validate.errors)}`);
}

/** The document allows fields that it does not name, for later versions; this version must not send any. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const each = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isClosable = each["type"] === "object" && each["properties"] !== undefined && !("additionalProperties" in each);
  return isClosable ? { ...each, additionalProperties: false } : each;
}
