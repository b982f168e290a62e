import { expect, it } from "vitest";
import type { z } from "zod";
import {
  AgentOrderMessage,
  AgentRegistrationMessage,
  AgentReportMessage,
  agentOrderStates,
  agentReportStates,
  HeartbeatMessage,
  HeartbeatReply,
  TaskAssignmentMessage,
  TaskResultMessage,
} from "../../src/protocol/agent-message.js";
import { ErrorReply } from "../../src/protocol/envelope.js";
import { CAPABILITIES_MAX, DEPENDENCIES_MAX, DURATION_MS_MAX } from "../../src/protocol/limits.js";
import { HealthMessage, SystemEventMessage } from "../../src/protocol/system-message.js";
import {
  LIST_LIMIT_MAX,
  TaskListRequest,
  TaskRequest,
  TaskSubmissionMessage,
  TaskSubmissionResponse,
  TaskWaitRequest,
} from "../../src/protocol/task-message.js";
import { givenEnvelope, givenFailure, givenUsage } from "../support/given.js";

interface Shape {
  readonly schema: z.ZodType;
  /** Every field it has. */
  readonly whole: Readonly<Record<string, unknown>>;
  /** What must be there; everything else may be left out. */
  readonly required: readonly string[];
  /** Single fields and what they must not be. */
  readonly bad: readonly (readonly [path: string, value: unknown])[];
}

const wholeTask = {
  taskId: "t-1",
  type: "ocr",
  input: { page: 1 },
  priority: "high",
  dependencies: ["t-0"],
  requiredCapabilities: ["ocr", "gpu"],
  timeoutMs: 1_000,
  scheduleToCloseMs: 5_000,
  retry: {
    maximumAttempts: 5,
    initialIntervalMs: 10,
    backoffCoefficient: 2,
    maximumIntervalMs: 100,
    nonRetryableErrorTypes: ["OutOfPaper"],
  },
  metadata: { owner: "ann" },
};
const failure = givenFailure({ stack: "at print", nonRetryable: true });

const shapes: Readonly<Record<string, Shape>> = {
  TaskSubmissionMessage: {
    schema: TaskSubmissionMessage,
    whole: { ...givenEnvelope, task: wholeTask, preferredAgentId: "k-1" },
    required: ["messageId", "timestamp", "task", "task.type"],
    bad: [
      ["messageId", "m-1"],
      ["timestamp", -1],
      ["timestamp", 1.5],
      ["timestamp", "2026-01-01"],
      ["tasks", []],
      ["tasks", [wholeTask]],
      ["task.type", ""],
      ["task.type", "a\u0000b"],
      ["task.priority", "urgent"],
      ["task.dependencies", Array(DEPENDENCIES_MAX + 1).fill("t")],
      ["task.requiredCapabilities", Array(CAPABILITIES_MAX + 1).fill("a")],
      ["task.requiredCapabilities", [""]],
      ["task.timeoutMs", 0],
      ["task.timeoutMs", 1.5],
      ["task.timeoutMs", DURATION_MS_MAX + 1],
      ["task.scheduleToCloseMs", 0],
      ["task.scheduleToCloseMs", -1],
      ["task.retry", { maximumAttempts: -1 }],
      ["task.metadata", ["a"]],
      ["preferredAgentId", "a.b"],
    ],
  },
  "TaskSubmissionMessage of a batch": {
    schema: TaskSubmissionMessage,
    whole: { ...givenEnvelope, tasks: [wholeTask] },
    required: ["messageId", "timestamp", "tasks"],
    bad: [
      ["tasks", []],
      ["tasks", { 0: wholeTask }],
    ],
  },
  TaskSubmissionResponse: {
    schema: TaskSubmissionResponse,
    whole: { ...givenEnvelope, taskId: "t-1", taskIds: ["t-1"] },
    required: ["messageId", "timestamp"],
    bad: [["taskId", "t.1"]],
  },
  TaskRequest: {
    schema: TaskRequest,
    whole: { ...givenEnvelope, taskId: "t-1" },
    required: ["messageId", "timestamp", "taskId"],
    bad: [["taskId", "t.1"]],
  },
  TaskWaitRequest: {
    schema: TaskWaitRequest,
    whole: { ...givenEnvelope, taskId: "t-1", timeoutMs: 0 },
    required: ["messageId", "timestamp", "taskId"],
    bad: [["timeoutMs", -1]],
  },
  TaskListRequest: {
    schema: TaskListRequest,
    whole: { ...givenEnvelope, states: ["queued", "running"], type: "ocr", agentId: "k-1", limit: 10 },
    required: ["messageId", "timestamp"],
    bad: [
      ["states", ["cancelling"]],
      ["limit", 0],
      ["limit", LIST_LIMIT_MAX + 1],
    ],
  },
  AgentRegistrationMessage: {
    schema: AgentRegistrationMessage,
    whole: {
      ...givenEnvelope,
      registration: {
        agentId: "k-1",
        instanceId: "process-1",
        capabilities: ["ocr"],
        maxConcurrentTasks: 4,
        metadata: { rack: 7 },
      },
    },
    required: ["messageId", "timestamp", "registration", "registration.agentId", "registration.capabilities"],
    bad: [
      ["registration.agentId", "*"],
      ["registration.instanceId", ""],
      ["registration.instanceId", "x".repeat(129)],
      ["registration.capabilities", "ocr"],
      ["registration.capabilities", Array(CAPABILITIES_MAX + 1).fill("a")],
      ["registration.maxConcurrentTasks", 0],
      ["registration.maxConcurrentTasks", 100_001],
    ],
  },
  AgentReportMessage: {
    schema: AgentReportMessage,
    whole: {
      ...givenEnvelope,
      status: { agentId: "k-1", state: "progress", taskId: "t-1", token: "token-1", incarnation: 1, progress: 0.5 },
    },
    required: ["messageId", "timestamp", "status", "status.agentId", "status.state"],
    bad: [
      ["status.state", "registered"],
      ["status.token", ""],
      ["status.token", "x".repeat(65)],
      ["status.incarnation", 0],
    ],
  },
  AgentOrderMessage: {
    schema: AgentOrderMessage,
    whole: {
      ...givenEnvelope,
      status: {
        agentId: "k-1",
        state: "registered",
        incarnation: 1,
        heartbeatIntervalMs: 1_000,
        taskId: "t-1",
        attempt: 1,
        token: "token-1",
      },
    },
    required: ["messageId", "timestamp", "status", "status.agentId", "status.state"],
    bad: [
      ["status.state", "accepted"],
      ["status.heartbeatIntervalMs", 0],
    ],
  },
  HeartbeatMessage: {
    schema: HeartbeatMessage,
    whole: { ...givenEnvelope, agentId: "k-1", metrics: { load: 0.5 }, incarnation: 1, tokens: ["token-1"] },
    required: ["messageId", "timestamp", "agentId"],
    bad: [
      ["metrics", { load: "high" }],
      ["tokens", [""]],
    ],
  },
  HeartbeatReply: {
    schema: HeartbeatReply,
    whole: { ...givenEnvelope, status: { agentId: "k-1", state: "registered" }, cancel: ["token-1"] },
    required: ["messageId", "timestamp", "status", "status.agentId", "status.state"],
    bad: [["cancel", "token-1"]],
  },
  TaskAssignmentMessage: {
    schema: TaskAssignmentMessage,
    whole: {
      ...givenEnvelope,
      task: {
        taskId: "t-1",
        type: "ocr",
        input: null,
        attempt: 1,
        token: "token-1",
        priority: "normal",
        deadlineAt: 1_000,
        dependencyResults: { "t-0": { pages: 2 } },
        metadata: {},
      },
    },
    required: [
      "messageId",
      "timestamp",
      "task",
      "task.taskId",
      "task.type",
      "task.attempt",
      "task.token",
      "task.priority",
      "task.dependencyResults",
      "task.metadata",
    ],
    bad: [["task.attempt", 0]],
  },
  TaskResultMessage: {
    schema: TaskResultMessage,
    whole: {
      ...givenEnvelope,
      result: {
        taskId: "t-1",
        attempt: 1,
        token: "token-1",
        agentId: "k-1",
        incarnation: 1,
        status: "failed",
        output: "text",
        error: failure,
        durationMs: 12.5,
        usage: givenUsage(),
      },
    },
    required: [
      "messageId",
      "timestamp",
      "result",
      "result.taskId",
      "result.attempt",
      "result.agentId",
      "result.status",
    ],
    bad: [
      ["result.attempt", 0],
      ["result.attempt", "1"],
      ["result.status", "done"],
      ["result.error", "out of paper"],
      ["result.error", { ...failure, type: "x".repeat(257) }],
      ["result.durationMs", -1],
      ["result.usage", { ...givenUsage(), cost: -1 }],
      ["result.usage", { cost: 1 }],
    ],
  },
  ErrorReply: {
    schema: ErrorReply,
    whole: { ...givenEnvelope, error: { code: "QUEUE_FULL", message: "full", details: { queued: 1 } } },
    required: ["messageId", "timestamp", "error", "error.code", "error.message"],
    bad: [["error.code", 7]],
  },
  SystemEventMessage: {
    schema: SystemEventMessage,
    whole: { ...givenEnvelope, eventType: "TASK_COMPLETED", payload: { taskId: "t-1" } },
    required: ["messageId", "timestamp", "eventType"],
    bad: [["eventType", "TASK_DONE"]],
  },
  HealthMessage: {
    schema: HealthMessage,
    whole: { ...givenEnvelope, status: "degraded", components: { journal: { status: "healthy", detail: "3 ms" } } },
    required: ["messageId", "timestamp", "status", "components"],
    bad: [["status", "fine"]],
  },
};

/** A copy with one field set, or taken out where no value is given. */
function withField(whole: object, path: string, ...value: unknown[]): Record<string, unknown> {
  const copy = structuredClone(whole) as Record<string, unknown>;
  const steps = path.split(".");
  const last = steps.pop() ?? "";
  const owner = steps.reduce((object, step) => object[step] as Record<string, unknown>, copy);
  if (value.length === 0) Reflect.deleteProperty(owner, last);
  else owner[last] = value[0];
  return copy;
}

/** Fields that hold what a message is about. */
const bodyFields = ["task", "status", "registration", "result", "error"];

/** Every path of a message; lists and free-form objects are one field. */
function fieldsOf(whole: object, prefix = ""): string[] {
  return Object.entries(whole).flatMap(([name, value]) => {
    const isBody = prefix === "" && bodyFields.includes(name) && typeof value === "object";
    return isBody ? [name, ...fieldsOf(value, `${name}.`)] : [`${prefix}${name}`];
  });
}

const named = Object.entries(shapes).map(([name, shape]) => ({ name, ...shape }));

it.each(named)("$name passes whole and unchanged", ({ schema, whole }) => {
  expect(schema.parse(whole)).toEqual(whole);
});

it.each(named)("$name passes on no field that it does not know", ({ schema, whole }) => {
  const bodies = bodyFields.filter((field) => typeof whole[field] === "object");
  const strange = bodies.reduce(
    (message, field) => withField(message, `${field}.strange`, 1),
    withField(whole, "strange", 1),
  );
  expect(schema.parse(strange)).toEqual(whole);
});

it.each(named)("$name lacks no required field", ({ schema, whole, required }) => {
  const missed = fieldsOf(whole).filter((path) => !schema.safeParse(withField(whole, path)).success);
  expect(missed.sort()).toEqual([...required].sort());
});

const badFields = named.flatMap(({ name, schema, whole, bad }) =>
  bad.map(([path, value]) => ({ name, schema, whole, path, value })),
);

it.each(badFields)("$name is refused with $path $value", ({ schema, whole, path, value }) => {
  const parsed = schema.safeParse(withField(whole, path, value));
  expect(parsed.success).toBe(false);
});

it.each([null, 0, "", false, [], {}])("keeps %j as an output", (output) => {
  const message = {
    ...givenEnvelope,
    result: { taskId: "t-1", attempt: 1, agentId: "k-1", status: "completed", output },
  };
  expect(TaskResultMessage.parse(message).result).toHaveProperty("output", output);
});

it.each([null, 0, "", false])("keeps %j as an input and as a dependency's result", (value) => {
  const submitted = TaskSubmissionMessage.parse({ ...givenEnvelope, task: { type: "ocr", input: value } });
  const { whole } = shapes["TaskAssignmentMessage"] as Shape;
  const assigned = TaskAssignmentMessage.parse(withField(whole, "task.dependencyResults", { "t-0": value }));
  expect([submitted.task?.input, assigned.task.dependencyResults["t-0"]]).toEqual([value, value]);
});

it("gives an agent that says nothing of it one place", () => {
  const registration = { agentId: "k-1", capabilities: [] };
  const parsed = AgentRegistrationMessage.parse({ ...givenEnvelope, registration });
  expect(parsed.registration.maxConcurrentTasks).toBe(1);
});

it("takes a heartbeat without metrics for one with none", () => {
  expect(HeartbeatMessage.parse({ ...givenEnvelope, agentId: "k-1" }).metrics).toEqual({});
});

it("takes message ids of any UUID version", () => {
  const ids = ["00000000-0000-0000-0000-000000000000", "0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b"];
  expect(ids.map((messageId) => TaskRequest.safeParse({ ...givenEnvelope, messageId, taskId: "t" }).success)).toEqual([
    true,
    true,
  ]);
});

it("tells an agent's statuses from the orchestrator's by their state", () => {
  expect([...agentReportStates].filter((state) => agentOrderStates.has(state))).toEqual([]);
});
