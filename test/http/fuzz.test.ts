/**
 * A client that knows nothing but docs/openapi.json: requests that fit it, and requests that nearly do, to each of its
 * operations. Every answer must be one that the document promises (HttpSystem.ask checks that), and no request may break
 * the system. `RUNS=2000 npx vitest run test/http/fuzz` looks longer.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { arbitraryOf, nearly } from "./arbitrary-of.js";
import { type DocumentedOperation, openapi, type Parameter } from "./documented.js";
import { type HttpAnswer, HttpSystem } from "./given-http.js";

const RUNS = Number(process.env["RUNS"] ?? 50);

const nats = useNats();
let system: HttpSystem;

beforeAll(async () => {
  system = await HttpSystem.start(nats.url);
  const agent = await system.engine.agent("k-1", { capabilities: ["ocr"], metadata: { floor: 2 } });
  for (const taskId of knownIds) await system.submitted({ taskId, type: "ocr", input: [taskId], metadata: {} });
  agent.complete(await agent.takeTask(), { pages: 3 }, { usage });
  agent.fail(await agent.takeTask());
});
afterAll(async () => {
  await using _ = system;
  expect((await system.get("/readyz")).status).toBe(200);
  expect((await system.post("/v1/tasks", { task: { type: "ocr" } })).status).toBe(202);
});

/** One ends, one is tried again, others wait. */
const knownIds = ["t-1", "t-2", "t-3"];
const usage = { cost: 0.25, tokens: { input: 100, output: 20 }, model: "small-1" };

interface Request {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
);
type Operation = (typeof operations)[number];
const byRoute = operations.map((operation) => [`${operation.method} ${operation.path}`, operation] as const);

it.each(byRoute)("keeps what %s promises to those who ask properly", async (_, operation) => {
  const statuses = await statusesOf(operation, requestTo(operation, "valid"));

  // Ids that nobody knows, or that others have, and what no schema can say.
  const refusals = [400, 404, 409];
  expect([...statuses.keys()].filter((status) => status >= 300 && !refusals.includes(status))).toEqual([]);
});

it.each(byRoute)("keeps what %s promises to those who nearly do", async (_, operation) => {
  const statuses = await statusesOf(operation, requestTo(operation, "nearly"));

  // Some of them were not good enough.
  expect(Math.max(...statuses.keys())).toBeGreaterThanOrEqual(400);
});

it("takes what fits the document, and the few rules that no schema says", async () => {
  const submit = operations.find(({ operationId }) => operationId === "submitTasks") as Operation;
  const statuses = await statusesOf(submit, requestTo(submit, "valid").map(keepingUnwrittenRules));

  expect([...statuses.keys()]).toEqual([202]);
});

/** How often each status was answered. */
async function statusesOf(operation: Operation, requests: fc.Arbitrary<Request>): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      const { status } = await send(operation, request);
      expect(status).not.toBe(500);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }),
    { numRuns: RUNS },
  );
  return statuses;
}

async function send({ method, operationId }: Operation, { path, headers, body }: Request): Promise<HttpAnswer> {
  if (operationId !== "streamEvents") return await system.ask(method, path, { headers, body });
  return await system.begin(path, headers);
}

function requestTo(operation: Operation, how: "valid" | "nearly"): fc.Arbitrary<Request> {
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema === undefined ? fc.constant(undefined) : arbitraryOf(schema);
  const parts = {
    path: pathOf(operation, how),
    headers: headersOf(operation, how),
    body: how === "nearly" && schema !== undefined ? nearly(body) : body,
  };
  return fc.record(parts);
}

function pathOf({ path, operationId, parameters }: Operation, how: "valid" | "nearly"): fc.Arbitrary<string> {
  const values = parameters
    .filter(({ in: place }) => place !== "header")
    .map((parameter) => textsOf(parameter, operationId, how).map((texts) => ({ ...parameter, texts })));
  const stray = how === "valid" ? fc.constant("") : fc.oneof(fc.constant(""), fc.webQueryParameters());
  return fc.tuple(stray, ...values).map(([more, ...given]) => {
    const query = given
      .filter(({ in: place }) => place === "query")
      .flatMap(({ name, texts }) => texts.map((text) => `${name}=${encodeURIComponent(text)}`));
    const filled = given.reduce(
      (text, { name, texts }) => text.replace(`{${name}}`, encodeURIComponent(texts[0] ?? "x")),
      path,
    );
    return [filled, [...query, more].filter((text) => text !== "").join("&")].filter((text) => text !== "").join("?");
  });
}

/** A parameter as often as it is given. */
function textsOf(
  { name, required, schema }: Parameter,
  operationId: string,
  how: "valid" | "nearly",
): fc.Arbitrary<readonly string[]> {
  // A minute's wait says no more than that of a moment.
  const isWait = operationId === "waitForTask" && name === "timeoutMs";
  const fitting = isWait ? fc.integer({ min: 0, max: 20 }) : arbitraryOf(schema);
  const value = name === "taskId" ? fc.oneof(fitting, fc.constantFrom(...knownIds)) : fitting;
  const valid = value.map((given) => (Array.isArray(given) ? given.map(String) : [String(given)]));
  if (how === "valid") return required || isWait ? valid : fc.oneof(valid, fc.constant([]));
  // Anything that URLs can hold, which lone halves of surrogate pairs are not.
  const wrong = fc.array(
    fc.string({ unit: "grapheme" }).filter((text) => text.trim() !== "" && !/^\.+$/.test(text)),
    { minLength: 1, maxLength: 2 },
  );
  return isWait
    ? fc.oneof(
        valid,
        wrong.filter((texts) => !texts.every((text) => /^\d+$/.test(text))),
      )
    : fc.oneof(valid, wrong);
}

function headersOf({ parameters }: DocumentedOperation, how: "valid" | "nearly"): fc.Arbitrary<Request["headers"]> {
  const printable = fc.stringMatching(/^[!-~]{1,40}$/);
  const given = parameters
    .filter(({ in: place }) => place === "header")
    .map(({ name, schema }) => {
      const fitting = schema["pattern"] === undefined ? printable : (arbitraryOf(schema) as fc.Arbitrary<string>);
      return fc.oneof(
        fc.constant([]),
        (how === "valid" ? fitting : printable).map((text) => [[name, text] as const]),
      );
    });
  return fc.tuple(...given).map((entries) => Object.fromEntries(entries.flat()));
}

/**
 * Dependencies exist, the longest interval is not below the first, ids are new, and the header does not contradict the body;
 * what only workflows have is left out.
 */
const ofWorkflowsOnly = [
  "idReusePolicy",
  "idConflictPolicy",
  "memo",
  "searchAttributes",
  "startDelayMs",
  "signal",
  "update",
];
const unwritten = new Set(["dependencies", "maximumIntervalMs", "taskId", "messageId", ...ofWorkflowsOnly]);

function keepingUnwrittenRules(request: Request): Request {
  const text = JSON.stringify(request.body, (name, value: unknown) => (unwritten.has(name) ? undefined : value));
  return { ...request, body: JSON.parse(text) as unknown };
}
