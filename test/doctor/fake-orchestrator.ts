/** Serves what an orchestrator serves, with answers of the test's own: for states that a real one does not stay in. */
import { randomUUID } from "node:crypto";
import type { Connection } from "../../src/jetstream/connection.js";
import { serve } from "../../src/jetstream/service-endpoint.js";
import { silentLogger } from "../../src/logger.js";
import type { AgentId, Namespace, TaskId } from "../../src/protocol/ids.js";
import { encodeServiceMetadata, type ServiceMetadata } from "../../src/protocol/service-metadata.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import type { AgentView, SystemStatusReply } from "../../src/protocol/system-message.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { version } from "../../src/version.js";

export interface Answers {
  readonly version?: string;
  readonly settings?: Partial<ServiceMetadata>;
  readonly status?: Partial<SystemStatusReply>;
  readonly unhealthy?: Readonly<Record<string, string>>;
  readonly tasks?: readonly TaskView[];
}

export async function fakeOrchestrator(connection: Connection, namespace: Namespace, answers: Answers): Promise<void> {
  const subjects = subjectsOf(namespace);
  const envelope = () => ({ messageId: randomUUID(), timestamp: Date.now() });
  const components = Object.fromEntries(
    Object.entries(answers.unhealthy ?? {}).map(([name, detail]) => [name, { status: "unhealthy", detail }]),
  );
  const refusal = { error: { code: "NOT_FOUND", message: "no such task" } };
  const said: Readonly<Record<string, () => object>> = {
    [subjects.systemStatus]: () => givenStatus({ namespace, ...answers.status }),
    [subjects.health]: () => ({ status: "healthy", components }),
    [subjects.taskList]: () => ({ tasks: answers.tasks ?? [], total: answers.tasks?.length ?? 0 }),
  };
  await serve(connection, {
    version: answers.version ?? version,
    description: "a fake",
    metadata: encodeServiceMetadata({
      namespace,
      healthCheckIntervalMs: 1_000,
      maxConcurrentTasks: 0,
      maxQueuedTasks: 1_000,
      ...answers.settings,
    }),
    endpoints: subjects.allRequests.map((subject, index) => ({
      name: `endpoint-${index}`,
      subject,
      handle: (_message, respond) => respond(JSON.stringify({ ...envelope(), ...(said[subject]?.() ?? refusal) })),
    })),
    logger: silentLogger,
  });
}

export function givenStatus(change: Partial<SystemStatusReply>): Omit<SystemStatusReply, "messageId" | "timestamp"> {
  return {
    orchestratorStatus: "leading",
    agentCount: 0,
    activeTaskCount: 0,
    queuedTaskCount: 0,
    waitingTaskCount: 0,
    backoffTaskCount: 0,
    openWorkflowCount: 0,
    stuckWorkflowCount: 0,
    healthyAgentCount: 0,
    unhealthyAgentCount: 0,
    agentStatuses: [],
    endedTaskCounts: {},
    usage: { cost: 0, tokens: { input: 0, output: 0 } },
    namespace: "mcp",
    version,
    durability: "fsync",
    journalSequence: 1,
    checkpointSequence: 1,
    leadingSince: 1_700_000_000_000,
    ...change,
  };
}

export function givenAgentView(change: Partial<AgentView> = {}): AgentView {
  return {
    agentId: "k-1" as AgentId,
    state: "healthy",
    incarnation: 1,
    capabilities: ["ocr"],
    activeTaskCount: 0,
    maxConcurrentTasks: 1,
    registeredAt: Date.now(),
    lastSeenAt: Date.now(),
    metrics: {},
    ...change,
  };
}

export function givenTaskView(change: Partial<TaskView> = {}): TaskView {
  return {
    taskId: "t-1" as TaskId,
    type: "ocr",
    state: "queued",
    priority: "normal",
    attempt: 0,
    maximumAttempts: 3,
    dependencies: [],
    requiredCapabilities: ["ocr"],
    submittedAt: Date.now(),
    ...change,
  };
}
