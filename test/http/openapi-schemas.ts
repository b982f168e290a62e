/** The schemas of docs/openapi.json: from zod, each under a name, with what the comments of src/protocol say of its fields. */
import { z } from "zod";
import { operations } from "../../src/http/router.js";
import { ErrorReply } from "../../src/protocol/envelope.js";
import { Failure, Usage } from "../../src/protocol/failure.js";
import { RetryPolicyInput } from "../../src/protocol/retry-policy.js";
import { AgentView, SystemEventMessage } from "../../src/protocol/system-message.js";
import { TaskSubmission, TaskView } from "../../src/protocol/task-message.js";
import { type Described, readFieldComments } from "../protocol/field-comments.js";
import { wireMessages } from "../protocol/wire-messages.js";

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** A schema's name in the document, and the constant of src/protocol whose comments describe it. */
interface Named {
  readonly name: string;
  readonly source?: string;
  /** What a refinement says that zod cannot put into a JSON Schema by itself. */
  readonly alsoHolds?: Readonly<Record<string, unknown>>;
}

/** What answers and requests consist of. */
const parts: readonly (readonly [z.ZodType, Named])[] = [
  [TaskSubmission, { name: "TaskSubmission", source: "TaskSubmission" }],
  [RetryPolicyInput, { name: "RetryPolicy", source: "RetryPolicyInput" }],
  [TaskView, { name: "Task", source: "TaskView" }],
  [Failure, { name: "Failure", source: "Failure" }],
  [Usage, { name: "Usage", source: "Usage" }],
  [AgentView, { name: "Agent", source: "AgentView" }],
  [SystemEventMessage, { name: "SystemEvent", source: "SystemEventMessage" }],
];

const requests: Readonly<Record<string, Named>> = {
  submitTasks: {
    name: "Submission",
    source: "TaskSubmissionMessage",
    alsoHolds: wireMessages["task-submission"].alsoHolds,
  },
  resetWorkflow: { name: "Reset", source: "WorkflowResetRequest" },
};

const taskAnswer = { name: "TaskAnswer", source: "TaskReply" };
const answers: Readonly<Record<string, Named>> = {
  submitTasks: { name: "Submitted", source: "TaskSubmissionResponse" },
  listTasks: { name: "TaskList", source: "TaskListReply" },
  getTask: taskAnswer,
  waitForTask: taskAnswer,
  cancelTask: taskAnswer,
  resetWorkflow: { name: "NewRun", source: "WorkflowReply" },
  explainTask: { name: "Explained", source: "TaskExplainReply" },
  getStatus: { name: "Status", source: "SystemStatusReply" },
  listAgents: { name: "AgentList" },
  getHealth: { name: "Health", source: "HealthMessage" },
  getOpenapi: { name: "OpenapiDocument" },
  getLiveness: { name: "Liveness" },
  getReadiness: { name: "Readiness" },
};

/** Whose fields the parameters of an operation are. */
const parameterSources: Readonly<Record<string, string>> = {
  listTasks: "TaskListRequest",
  waitForTask: "TaskWaitRequest",
};

export const ErrorBody = z.object({ error: ErrorReply.shape.error });

const comments = readFieldComments();
const registry = z.registry<{ id: string }>();

export function drawSchemas(): Readonly<Record<string, JsonSchema>> {
  const named = new Map<z.ZodType, Named>([...parts, [ErrorBody, { name: "Error", source: "ErrorReply" }]]);
  for (const { operationId, body, success } of operations) {
    if (body !== undefined) named.set(body, nameIn(requests, operationId));
    if (success.schema !== undefined) named.set(success.schema, nameIn(answers, operationId));
  }
  for (const [schema, { name }] of named) registry.add(schema, { id: name });
  const { schemas } = z.toJSONSchema(registry, { io: "input", uri: refTo, override });
  const drawn = Object.entries(schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema] as const);
  for (const [name, schema] of drawn) {
    const found = [...named.values()].find((each) => each.name === name);
    if (found?.source !== undefined) describe(schema, comments.get(found.source));
    Object.assign(schema, found?.alsoHolds);
  }
  return Object.fromEntries(drawn);
}

/** Of a schema that has a name in the document. */
export function refOf(schema: z.ZodType): { readonly $ref: string } {
  const named = registry.get(schema);
  if (named === undefined) throw new Error("a schema is asked for that was never drawn");
  return { $ref: refTo(named.id) };
}

export function parameterSchema(
  operationId: string,
  name: string,
  schema: z.ZodType,
): { readonly description: string | undefined; readonly schema: JsonSchema } {
  const { $schema: _, description, ...bare } = z.toJSONSchema(schema, { io: "input", override }) as JsonSchema;
  const source = comments.get(parameterSources[operationId] ?? "");
  return { description: description ?? source?.fields?.get(name)?.comment ?? undefined, schema: bare };
}

const refTo = (name: string): string => `#/components/schemas/${name}`;

function nameIn(table: Readonly<Record<string, Named>>, operationId: string): Named {
  const named = table[operationId];
  if (named === undefined) throw new Error(`the schema of ${operationId} needs a name in this file`);
  return named;
}

function override({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonSchema }): void {
  // A list that is counted before its members are looked at is two schemas in a row.
  if (zodSchema instanceof z.ZodPipe && zodSchema.out instanceof z.ZodArray) {
    jsonSchema.items = refOf(zodSchema.out.element as z.ZodType);
  }
  // What every whole number is, and every key of JSON.
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) Reflect.deleteProperty(jsonSchema, "minimum");
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) Reflect.deleteProperty(jsonSchema, "maximum");
  Reflect.deleteProperty(jsonSchema, "propertyNames");
}

/** Puts what the source says beside each field, as deep as the schema is written out. */
function describe(schema: JsonSchema, described: Described | undefined): void {
  if (described === undefined) return;
  if (described.comment !== null && schema.$ref === undefined) schema.description ??= described.comment;
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (typeof field === "object") describe(field, described.fields?.get(name));
  }
}
