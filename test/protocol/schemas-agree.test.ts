/**
 * The published schemas and the engine's own parser, held against each other: whatever one of them says of a message,
 * the other says too. So a generator in another language that follows the schemas is never refused for a shape.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { readRepositoryFile } from "../support/source-file.js";
import { type WireMessageName, wireMessageNames, wireMessages } from "./wire-messages.js";

const ajv = new Ajv2020({ strict: true, allErrors: false });
addFormats.default(ajv);

const validators = new Map<WireMessageName, ValidateFunction>(
  wireMessageNames.map((name) => [name, ajv.compile(JSON.parse(readRepositoryFile(`docs/schemas/${name}.json`)))]),
);

const envelope = { messageId: "9f0dfe0a-52a5-4d8f-9d57-1c2a6fb0a5de", timestamp: 1_795_241_583_838 };
const usage = { cost: 0.1, tokens: { input: 1, output: 2 }, model: "m" };
const failure = { type: "Torn", message: "page is torn", stack: "at", nonRetryable: true };
const task = {
  taskId: "t-1",
  type: "ocr",
  input: { page: 1 },
  priority: "high",
  dependencies: ["t-0"],
  requiredCapabilities: ["ocr"],
  timeoutMs: 1,
  scheduleToCloseMs: 2,
  retry: {
    maximumAttempts: 0,
    initialIntervalMs: 1,
    backoffCoefficient: 1.5,
    maximumIntervalMs: 20_000,
    nonRetryableErrorTypes: ["Torn"],
  },
  metadata: { customer: "c-1" },
};
const attempt = { agentId: "k-1", taskId: "t-1", token: "abc", incarnation: 1 };

/** Every field is there, so that each can be spoilt. */
const whole: readonly (readonly [WireMessageName, object])[] = [
  ["task-submission", { task, preferredAgentId: "k-1" }],
  ["task-submission", { tasks: [task, { type: "scan" }] }],
  ["task-request", { taskId: "t-1" }],
  ["task-wait-request", { taskId: "t-1", timeoutMs: 5 }],
  ["task-list-request", { states: ["queued"], type: "ocr", agentId: "k-1", searchAttributes: { floor: 3 }, limit: 5 }],
  ["envelope-request", {}],
  [
    "agent-registration",
    {
      registration: {
        agentId: "k-1",
        instanceId: "i",
        capabilities: ["ocr"],
        maxConcurrentTasks: 3,
        metadata: { zone: "a" },
      },
    },
  ],
  ["agent-report", { status: { ...attempt, state: "progress", progress: [1] } }],
  ["heartbeat", { agentId: "k-1", metrics: { cpu: 0.5 }, incarnation: 1, tokens: ["abc"] }],
  [
    "task-result",
    { result: { ...attempt, attempt: 1, status: "completed", output: { a: 1 }, durationMs: 1.5, usage } },
  ],
  ["task-result", { result: { ...attempt, attempt: 1, status: "failed", error: failure } }],
  [
    "task-assignment",
    {
      task: {
        taskId: "t-1",
        type: "ocr",
        input: 1,
        attempt: 1,
        token: "abc",
        incarnation: 1,
        priority: "low",
        deadlineAt: 1,
        dependencyResults: { a: null },
        metadata: {},
      },
    },
  ],
  ["agent-order", { status: { ...attempt, state: "cancel", attempt: 1, heartbeatIntervalMs: 1 } }],
  ["heartbeat-reply", { status: { agentId: "k-1", state: "registered", incarnation: 1 }, cancel: ["abc"] }],
  ["error-reply", { error: { code: "NOT_FOUND", message: "no", details: { a: 1 } } }],
];

const LEFT_OUT = Symbol("left out");
const wrongValues = [
  ...[LEFT_OUT, null, true, false, 0, -1, 1, 1.5, 1e21, 2 ** 53, "", " ", "x", "high", "a.b", "a b", "-a", "a\u0007"],
  ...[[], [null], [""], ["x"], {}, { a: 1 }, { a: "b" }, "x".repeat(129), "x".repeat(300), Array(5_001).fill("a")],
];

describe.each(whole)("a whole %s", (name, fields) => {
  const message = { ...envelope, ...fields };
  const validate = validators.get(name) as ValidateFunction;

  it("fits its schema", () => {
    expect({ valid: validate(message), errors: validate.errors }).toEqual({ valid: true, errors: null });
    expect(wireMessages[name].schema.safeParse(message).success).toBe(true);
  });

  it("is refused by the schema and by the engine for the same wrong values", () => {
    const verdicts = pathsOf(message).flatMap((path) =>
      wrongValues.map((value) => {
        const spoilt = withValue(message, path, value);
        return { path: path.join("."), value, schema: validate(spoilt), engine: parses(name, spoilt) };
      }),
    );
    expect(verdicts.filter(({ schema, engine }) => schema !== engine)).toEqual([]);
    // Otherwise the table would show nothing.
    expect(verdicts.some(({ schema }) => !schema)).toBe(true);
  });
});

it("says that a submission has either a task or tasks", () => {
  const validate = validators.get("task-submission") as ValidateFunction;
  expect([validate({ ...envelope }), validate({ ...envelope, task, tasks: [task] })]).toEqual([false, false]);
});

it("allows a field that a later version may add", () => {
  for (const [name, fields] of whole)
    expect([name, validators.get(name)?.({ ...envelope, ...fields, x: 1 })]).toEqual([name, true]);
});

function parses(name: WireMessageName, value: unknown): boolean {
  return wireMessages[name].schema.safeParse(value).success;
}

/** Of every field, however deep; of lists their first member. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return path.length === 0 ? [] : [path];
  const entries = Array.isArray(value) ? Object.entries(value).slice(0, 1) : Object.entries(value);
  const own = path.length === 0 ? [] : [path];
  return [...own, ...entries.flatMap(([name, member]) => pathsOf(member, [...path, name]))];
}

function withValue(message: object, path: readonly string[], value: unknown): unknown {
  const copy: unknown = structuredClone(message);
  let parent = copy as Record<string, unknown>;
  for (const step of path.slice(0, -1)) parent = parent[step] as Record<string, unknown>;
  const last = path.at(-1) ?? "";
  if (value === LEFT_OUT) Reflect.deleteProperty(parent, last);
  else parent[last] = value;
  return copy;
}
