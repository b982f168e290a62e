/** Tasks over HTTP: each operation is one request of the wire (src/protocol/task-message.ts), without its envelope. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { PerdureError } from "../errors.js";
import { envelopeFields } from "../protocol/envelope.js";
import { TaskId } from "../protocol/ids.js";
import { SEARCH_NAMES_MAX, WAIT_TIMEOUT_MS_MAX } from "../protocol/limits.js";
import { parseMessage } from "../protocol/parse.js";
import type { SearchFilter } from "../protocol/search-attributes.js";
import { searchTermsOf } from "../protocol/search-terms.js";
import {
  TaskExplainReply,
  TaskListReply,
  TaskListRequest,
  TaskReply,
  type TaskSubmission,
  TaskSubmissionMessage,
  TaskSubmissionResponse,
  TaskWaitRequest,
} from "../protocol/task-message.js";
import { Traceparent } from "../protocol/traceparent.js";
import { idempotencyKeyOf } from "./idempotency-key.js";
import { type Answer, type Call, type Face, type Operation, operation, orchestratorCodes } from "./operation.js";

const oneTask = { taskId: TaskId.describe("The task's id.") };
const taskAnswer = TaskReply.pick({ task: true });

/** The message of the wire; what is not given of the envelope is filled in. */
const { task, tasks, preferredAgentId } = TaskSubmissionMessage.shape;
const TaskSubmissionBody = z.object({
  task,
  tasks,
  preferredAgentId,
  messageId: envelopeFields.messageId.optional(),
});

const submitTasks = operation({
  operationId: "submitTasks",
  method: "POST",
  path: "/v1/tasks",
  access: "guarded",
  patience: "short",
  summary: "Submit a task, or a batch that is accepted whole or not at all",
  description:
    "Answered once the submission is on disk. The same ids with the same tasks may be submitted again: they are answered the same and run once.",
  parameters: {},
  headers: {
    "Idempotency-Key": envelopeFields.messageId.describe(
      "Names this submission, as `messageId` in the body does: the id of a task that has none of its own.",
    ),
    traceparent: z
      .string()
      .describe("W3C trace context; goes out with every assignment. One that is not well-formed is ignored."),
  },
  body: TaskSubmissionBody,
  success: {
    status: 202,
    description:
      "Accepted: `taskId` of a task, `taskIds` of a batch, in its order; `update`: how far the one has come that was submitted with a workflow.",
    contentType: "application/json",
    schema: TaskSubmissionResponse.pick({ taskId: true, taskIds: true, update: true }),
    headers: { Location: "Where the task can be asked for; not there for a batch." },
  },
  refusals: [
    ...orchestratorCodes,
    "INVALID_ID",
    "INVALID_PRIORITY",
    "ID_CONFLICT",
    "DEPENDENCY_UNKNOWN",
    "DEPENDENCY_CYCLE",
    "BATCH_TOO_LARGE",
    "PAYLOAD_TOO_LARGE",
    "QUEUE_FULL",
    "HTTP_CONTENT_TYPE_REFUSED",
  ],
  run: async (_, call, face): Promise<Answer> => {
    const { task, tasks = [], messageId, preferredAgentId } = await readSubmission(call);
    const options = { ...asking(call, face), messageId, preferredAgentId, traceparent: traceparentOf(call) };
    if (task === undefined) {
      const handles = await face.client().submitAll(tasks, options);
      return { kind: "json", body: { taskIds: handles.map(({ taskId }) => taskId) } };
    }
    const { taskId, update } = await face.client().submit(withPatience(task), options);
    return { kind: "json", body: { taskId, update }, headers: { location: `/v1/tasks/${taskId}` } };
  },
});

const listTasks = operation({
  operationId: "listTasks",
  method: "GET",
  path: "/v1/tasks",
  access: "guarded",
  patience: "short",
  summary: "List tasks, the newest first",
  description:
    "Without `input`, `output` and `metadata`; 100 unless `limit` says otherwise, and fewer where they do not fit into a message. `total` counts all that match. Of ended tasks only those still in memory, the last 10,000 or so.",
  parameters: {
    ...TaskListRequest.omit({ messageId: true, timestamp: true, searchAttributes: true }).shape,
    search: z
      .array(z.string())
      .max(SEARCH_NAMES_MAX)
      .optional()
      .describe(
        'A search attribute of workflows as `name=value`: `customer=ann`, `floor=3`, `urgent=true`, and `floor="3"` for the text. One that is a list has the value among its members. Repeated, all of them.',
      ),
  },
  success: {
    status: 200,
    description: "Those that match.",
    contentType: "application/json",
    schema: TaskListReply.pick({ tasks: true, total: true }),
  },
  refusals: [...orchestratorCodes, "INVALID_ID"],
  run: async ({ search, ...filter }, call, face) => {
    const searchAttributes = search === undefined ? undefined : wantedBy(search);
    const { tasks, total } = await face.client().list({ ...filter, searchAttributes }, asking(call, face));
    return { kind: "json", body: { tasks, total } };
  },
});

const getTask = operation({
  operationId: "getTask",
  method: "GET",
  path: "/v1/tasks/{taskId}",
  access: "guarded",
  patience: "short",
  summary: "Get a task as it is now",
  description: "Ended tasks too, until their retention is over.",
  parameters: oneTask,
  success: { status: 200, description: "The task.", contentType: "application/json", schema: taskAnswer },
  refusals: [...orchestratorCodes, "INVALID_ID", "NOT_FOUND"],
  run: async ({ taskId }, call, face) => {
    return { kind: "json", body: { task: await face.client().get(taskId, asking(call, face)) } };
  },
});

const waitForTask = operation({
  operationId: "waitForTask",
  method: "GET",
  path: "/v1/tasks/{taskId}/wait",
  access: "guarded",
  patience: "long",
  summary: "Wait for a task to end",
  description: `Answered when the task has ended or \`timeoutMs\` is over, whichever comes first: look at \`state\`, and wait again. ${WAIT_TIMEOUT_MS_MAX} ms unless given, and more counts as that.`,
  parameters: { ...oneTask, timeoutMs: TaskWaitRequest.shape.timeoutMs },
  success: {
    status: 200,
    description: "The task as it is then, ended or not.",
    contentType: "application/json",
    schema: taskAnswer,
  },
  refusals: [...orchestratorCodes, "INVALID_ID", "NOT_FOUND"],
  run: async ({ taskId, timeoutMs = WAIT_TIMEOUT_MS_MAX }, { signal }, face) => {
    const patience = { timeoutMs: Math.min(timeoutMs, WAIT_TIMEOUT_MS_MAX), signal };
    return { kind: "json", body: { task: await face.client().waitAtMost(taskId, patience) } };
  },
});

const cancelTask = operation({
  operationId: "cancelTask",
  method: "POST",
  path: "/v1/tasks/{taskId}/cancel",
  access: "guarded",
  patience: "short",
  summary: "Cancel a task",
  description:
    "Answered once the request is on disk, with the task as it is then: one that an agent has stays `running` until the agent answers, 5 s at most. One that has ended is answered as it ended. Takes no body.",
  parameters: oneTask,
  success: { status: 200, description: "The task as it is then.", contentType: "application/json", schema: taskAnswer },
  refusals: [...orchestratorCodes, "INVALID_ID", "NOT_FOUND"],
  run: async ({ taskId }, call, face) => {
    return { kind: "json", body: { task: await face.client().cancel(taskId, asking(call, face)) } };
  },
});

const explainTask = operation({
  operationId: "explainTask",
  method: "GET",
  path: "/v1/tasks/{taskId}/explain",
  access: "guarded",
  patience: "short",
  summary: "Explain what a task waits for, or how it ended",
  description: "The same sentence as the task's `reason`, without what the task carries.",
  parameters: oneTask,
  success: {
    status: 200,
    description: "One sentence for people.",
    contentType: "application/json",
    schema: z.object({ explanation: TaskExplainReply.shape.explanation.pick({ taskId: true, reason: true }) }),
  },
  refusals: [...orchestratorCodes, "INVALID_ID", "NOT_FOUND"],
  run: async ({ taskId }, call, face) => {
    const reason = await face.client().explain(taskId, asking(call, face));
    return { kind: "json", body: { explanation: { taskId, reason } } };
  },
});

export const taskOperations: readonly Operation[] = [
  submitTasks,
  listTasks,
  getTask,
  waitForTask,
  cancelTask,
  explainTask,
];

function asking({ signal }: Call, { requestTimeoutMs }: Face) {
  return { signal, timeoutMs: requestTimeoutMs };
}

/** @throws PerdureError with the codes that an orchestrator refuses such a message with */
async function readSubmission(call: Call): Promise<TaskSubmissionMessage> {
  const body = parseMessage(z.record(z.string(), z.unknown()), await call.readBody());
  if (!body.ok) throw refused("the body must be a JSON object", []);
  const key = idempotencyKeyOf(call);
  const given = body.value["messageId"];
  if (key !== undefined && given !== undefined && given !== key) {
    throw refused("the header Idempotency-Key and `messageId` in the body name two submissions", ["messageId"]);
  }
  const envelope = { messageId: key ?? given ?? randomUUID(), timestamp: Date.now() };
  const message = parseMessage(TaskSubmissionMessage, { ...body.value, ...envelope });
  if (message.ok) return message.value;
  const { failure } = message;
  throw new PerdureError(failure.code, `the submission was refused: ${failure.message}; nothing was submitted`, {
    details: { fields: failure.fields },
  });
}

/** An update's answer has to come before the question is given up and asked again. */
const UPDATE_TIMEOUT_MS_MAX = 4_000;

function withPatience(task: TaskSubmission): TaskSubmission {
  if (task.update === undefined) return task;
  const { timeoutMs = UPDATE_TIMEOUT_MS_MAX } = task.update;
  return { ...task, update: { ...task.update, timeoutMs: Math.min(timeoutMs, UPDATE_TIMEOUT_MS_MAX) } };
}

function traceparentOf(call: Call): string | undefined {
  const parsed = Traceparent.safeParse(call.header("traceparent"));
  return parsed.success ? parsed.data : undefined;
}

function wantedBy(search: readonly string[]): SearchFilter {
  const terms = searchTermsOf(search);
  if (terms.ok) return terms.wanted;
  throw new PerdureError(
    "INVALID_MESSAGE",
    `the parameter \`search\` cannot be used: ${terms.message}; nothing was done`,
    {
      details: { fields: ["search"] },
    },
  );
}

function refused(why: string, fields: readonly string[]): PerdureError {
  return new PerdureError("INVALID_MESSAGE", `${why}; nothing was submitted`, { details: { fields } });
}
