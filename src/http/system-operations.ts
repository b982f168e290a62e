/** The system over HTTP: what it is at, what happens, and how it is for those who watch processes. */
import { z } from "zod";
import { PerdureError } from "../errors.js";
import { AgentId, TaskId } from "../protocol/ids.js";
import { HealthMessage, HealthStatus, SystemEventType, SystemStatusReply } from "../protocol/system-message.js";
import { writeEvents } from "./event-stream.js";
import { readOpenapiDocument } from "./openapi-document.js";
import { type Operation, operation, orchestratorCodes } from "./operation.js";

/** A probe wants an answer now, and "nobody answers" is one. */
const READY_TIMEOUT_MS = 1_000;
/** Proxies close what is silent for a minute, some for half of one. */
const EVENT_HEARTBEAT_MS = 15_000;
const EVENT_PATIENCE_MS = 60_000;

const envelope = { messageId: true, timestamp: true } as const;
const { agentStatuses, agentStatusesLeftOut } = SystemStatusReply.shape;

const getStatus = operation({
  operationId: "getStatus",
  method: "GET",
  path: "/v1/status",
  access: "guarded",
  patience: "short",
  summary: "The orchestrator, its agents and how many tasks there are",
  description: "As the orchestrator that leads answers it.",
  parameters: {},
  success: {
    status: 200,
    description: "The system's status.",
    contentType: "application/json",
    schema: SystemStatusReply.omit(envelope),
  },
  refusals: orchestratorCodes,
  run: async (_, { signal }, { client, requestTimeoutMs }) => {
    const { messageId, timestamp, ...body } = await client().status({ signal, timeoutMs: requestTimeoutMs });
    return { kind: "json", body };
  },
});

const listAgents = operation({
  operationId: "listAgents",
  method: "GET",
  path: "/v1/agents",
  access: "guarded",
  patience: "short",
  summary: "All agents",
  description:
    "Lost and departed ones too, for seven days. Where not all fit into a message, `leftOut` says how many are missing, and the others come without `metadata` and with empty `metrics`.",
  parameters: {},
  success: {
    status: 200,
    description: "The agents.",
    contentType: "application/json",
    schema: z.object({
      agents: agentStatuses.describe("In no order that is promised."),
      leftOut: agentStatusesLeftOut.describe("How many are not listed, where not all fit into a message."),
    }),
  },
  refusals: orchestratorCodes,
  run: async (_, { signal }, { client, requestTimeoutMs }) => {
    const status = await client().status({ signal, timeoutMs: requestTimeoutMs });
    const leftOut = status.agentStatusesLeftOut;
    return { kind: "json", body: { agents: status.agentStatuses, ...(leftOut === undefined ? {} : { leftOut }) } };
  },
});

const getHealth = operation({
  operationId: "getHealth",
  method: "GET",
  path: "/v1/health",
  access: "guarded",
  patience: "short",
  summary: "How the system is, component by component",
  description: "As the orchestrator that leads answers it; the status is that of the sickest component.",
  parameters: {},
  success: {
    status: 200,
    description: "The system's health, be it good or not.",
    contentType: "application/json",
    schema: HealthMessage.omit(envelope),
  },
  refusals: orchestratorCodes,
  run: async (_, { signal }, { client, requestTimeoutMs }) => {
    const { messageId, timestamp, ...body } = await client().health({ signal, timeoutMs: requestTimeoutMs });
    return { kind: "json", body };
  },
});

const streamEvents = operation({
  operationId: "streamEvents",
  method: "GET",
  path: "/v1/events",
  access: "guarded",
  patience: "long",
  summary: "What happens from now on, as server-sent events",
  description:
    'Each frame has the event\'s `messageId` as its id, the `eventType` as its name, and a SystemEvent as its data. Events are broadcast at most once and kept by nobody: look on with them, and ask to know. A frame named `EVENTS_MISSED` says that there were more: `{"reason":"RESUMED"}` at once where the request has a `Last-Event-ID`, which cannot be honoured; `{"reason":"TOO_SLOW","count":n}` where the reader was slower than the events. A comment every 15 s shows that the stream is alive.',
  parameters: {
    eventType: z.array(SystemEventType).optional().describe("Only events of these types."),
    taskId: TaskId.optional().describe("Only events whose payload names this task."),
    agentId: AgentId.optional().describe("Only events whose payload names this agent."),
  },
  headers: {
    "Last-Event-ID": z.string().describe("Cannot be honoured: the stream begins with `EVENTS_MISSED` then."),
  },
  success: {
    status: 200,
    description: "The stream; all filters that are given must fit. It ends when the server does.",
    contentType: "text/event-stream",
  },
  refusals: ["NOT_READY", "INVALID_ID"],
  run: async ({ eventType, taskId, agentId }, call, { events }) => {
    const types = eventType === undefined ? null : new Set(eventType);
    return {
      kind: "stream",
      write: (response) =>
        writeEvents(response, {
          listen: (listener) => events.listen(listener),
          wanted: (event) =>
            (types?.has(event.eventType) ?? true) &&
            (taskId === undefined || event.payload?.["taskId"] === taskId) &&
            (agentId === undefined || event.payload?.["agentId"] === agentId),
          signal: call.signal,
          beginning: call.header("last-event-id") === undefined ? "new" : "resumed",
          heartbeatMs: EVENT_HEARTBEAT_MS,
          patienceMs: EVENT_PATIENCE_MS,
        }),
    };
  },
});

const getOpenapi = operation({
  operationId: "getOpenapi",
  method: "GET",
  path: "/v1/openapi.json",
  access: "guarded",
  patience: "short",
  summary: "This document",
  description: "OpenAPI 3.1.",
  parameters: {},
  success: {
    status: 200,
    description: "The document.",
    contentType: "application/json",
    schema: z.looseObject({ openapi: z.string().describe("3.1.0.") }),
  },
  refusals: [],
  run: async () => ({ kind: "text", contentType: "application/json", text: await readOpenapiDocument() }),
});

const getMetrics = operation({
  operationId: "getMetrics",
  method: "GET",
  path: "/metrics",
  access: "guarded",
  patience: "short",
  summary: "Metrics of this process, for Prometheus",
  description: "The text format, version 0.0.4.",
  parameters: {},
  success: { status: 200, description: "The metrics.", contentType: "text/plain" },
  refusals: ["NOT_READY"],
  run: async (_, __, face) => ({
    kind: "text",
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    text: await face.metrics(),
  }),
});

const getLiveness = operation({
  operationId: "getLiveness",
  method: "GET",
  path: "/healthz",
  access: "open",
  patience: "short",
  summary: "Whether this process lives",
  description: "Says nothing of the rest of the system, so that nobody restarts this process for what it cannot mend.",
  parameters: {},
  success: {
    status: 200,
    description: "It does.",
    contentType: "application/json",
    schema: z.object({ status: z.literal("alive").describe("Nothing else is answered.") }),
  },
  refusals: [],
  run: async () => ({ kind: "json", body: { status: "alive" } }),
});

const getReadiness = operation({
  operationId: "getReadiness",
  method: "GET",
  path: "/readyz",
  access: "open",
  patience: "short",
  summary: "Whether a submission would be accepted",
  description:
    "Asks the orchestrator that leads, in this process or another, and gives it a second. `degraded` is ready: agents are missing or unwell.",
  parameters: {},
  success: {
    status: 200,
    description: "It would.",
    contentType: "application/json",
    schema: z.object({ status: HealthStatus.exclude(["unhealthy"]).describe("Of the whole system.") }),
  },
  refusals: ["NOT_READY"],
  run: async (_, { signal }, { client }) => {
    const why = await whyNotReady(() => client().health({ signal, timeoutMs: READY_TIMEOUT_MS }));
    if (typeof why === "object") return { kind: "json", body: why };
    throw new PerdureError(
      "NOT_READY",
      `a submission would not be accepted now (${why}); GET /v1/health says more. Ask again.`,
    );
  },
});

/** Its status, or why it is not ready: no more than a code, or names of components, because anybody may ask. */
async function whyNotReady(askHealth: () => Promise<HealthMessage>): Promise<{ readonly status: string } | string> {
  try {
    const { status, components } = await askHealth();
    if (status !== "unhealthy") return { status };
    return Object.keys(components)
      .filter((name) => components[name]?.status === "unhealthy")
      .join(", ");
  } catch (fault) {
    if (fault instanceof PerdureError) return fault.code;
    throw fault;
  }
}

export const systemOperations: readonly Operation[] = [
  getStatus,
  listAgents,
  getHealth,
  streamEvents,
  getOpenapi,
  getMetrics,
  getLiveness,
  getReadiness,
];
