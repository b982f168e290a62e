/** docs/openapi.json: the operations of src/http as OpenAPI 3.1. */
import type { z } from "zod";
import type { Operation } from "../../src/http/operation.js";
import { operations } from "../../src/http/router.js";
import type { ErrorCode } from "../../src/protocol/error-code.js";
import { statusCodeOf } from "../../src/protocol/status-code.js";
import { version } from "../../src/version.js";
import { drawSchemas, ErrorBody, parameterSchema, refOf } from "./openapi-schemas.js";

export function drawOpenapi(): object {
  const schemas = drawSchemas();
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: drawOperation(operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Perdure",
      version,
      summary: "Submit tasks to a Perdure system and ask about them.",
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "Where this document was fetched" }],
    tags: [
      { name: "tasks", description: "Submitting tasks, and asking about them" },
      { name: "system", description: "What there is, and what happens" },
      { name: "process", description: "For those who watch processes" },
    ],
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "Where the server was started with a token." },
      },
    },
  };
}

const DESCRIPTION =
  "The requests of the wire protocol, without envelopes. Fields that are not described are ignored in requests and may come in answers of later versions. Every refusal has the same body; its `error.code` is the contract. After 429, 503 and 504 the same request may be sent again: nothing happens twice for the same ids.";

function drawOperation(operation: Operation): object {
  const { operationId, summary, description, access, body } = operation;
  return {
    operationId,
    tags: [tagOf(operation.path)],
    summary,
    description,
    security: access === "open" ? [] : [{ token: [] }, {}],
    parameters: drawParameters(operation),
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonContent(body) } }),
    responses: { [operation.success.status]: drawSuccess(operation), ...drawRefusals(operation) },
  };
}

function tagOf(path: string): string {
  if (path.startsWith("/v1/tasks")) return "tasks";
  return path.startsWith("/v1/") ? "system" : "process";
}

function drawParameters({ operationId, path, parameters, headers = {} }: Operation): object[] {
  const draw = (place: "path" | "query" | "header", name: string, schema: z.ZodType) => ({
    name,
    in: place,
    required: place === "path",
    ...parameterSchema(operationId, name, schema),
  });
  return [
    ...Object.entries(parameters).map(([name, schema]) =>
      draw(path.includes(`{${name}}`) ? "path" : "query", name, schema),
    ),
    ...Object.entries(headers).map(([name, schema]) => draw("header", name, schema)),
  ];
}

function drawSuccess({ success }: Operation): object {
  const { description, contentType, schema, headers = {} } = success;
  return {
    description,
    ...(Object.keys(headers).length === 0 ? {} : { headers: drawAnswerHeaders(headers) }),
    content: schema === undefined ? { [contentType]: { schema: { type: "string" } } } : jsonContent(schema),
  };
}

const jsonContent = (schema: z.ZodType) => ({ "application/json": { schema: refOf(schema) } });

function drawAnswerHeaders(headers: Readonly<Record<string, string>>): object {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

/** What any request can be refused with, before its operation sees it. */
function codesOf({ access, method, refusals }: Operation): readonly ErrorCode[] {
  const ofAll = [
    "INVALID_MESSAGE",
    "HTTP_REQUEST_MALFORMED",
    "HTTP_REQUEST_TIMED_OUT",
    "HTTP_HOST_REFUSED",
    "HTTP_HEADERS_TOO_LARGE",
    "INTERNAL",
    "NOT_READY",
  ] as const;
  const ofGuarded = access === "guarded" ? (["UNAUTHENTICATED"] as const) : [];
  const ofWrites = method === "POST" ? (["HTTP_ORIGIN_REFUSED"] as const) : [];
  return [...new Set([...ofAll, ...ofGuarded, ...ofWrites, ...refusals])].sort();
}

const headersOfStatus: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { "WWW-Authenticate": "`Bearer`." },
  429: { "Retry-After": "Seconds." },
  503: { "Retry-After": "Seconds." },
  504: { "Retry-After": "Seconds." },
};

function drawRefusals(operation: Operation): Record<string, object> {
  const codes = codesOf(operation);
  const statuses = [...new Set(codes.map(statusCodeOf))].sort();
  return Object.fromEntries(
    statuses.map((status) => {
      const here = codes.filter((code) => statusCodeOf(code) === status);
      const headers = headersOfStatus[status];
      const drawn = {
        description: here.map((code) => `\`${code}\``).join(", "),
        ...(headers === undefined ? {} : { headers: drawAnswerHeaders(headers) }),
        content: jsonContent(ErrorBody),
        "x-error-codes": here,
      };
      return [status, drawn];
    }),
  );
}
