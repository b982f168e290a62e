/**
 * Valid defaults for each shape: a test names what matters to it and takes the rest from here. Instants are small
 * numbers, so that sums can be read.
 */
import { firstSpec, newRun } from "../../src/core/run/run-starts.js";
import type { AgentRegistration, HeartbeatMessage, TaskResult } from "../../src/protocol/agent-message.js";
import type { AgentRecord } from "../../src/protocol/agent-record.js";
import type { Failure, Usage } from "../../src/protocol/failure.js";
import type { AgentId, TaskId } from "../../src/protocol/ids.js";
import { completeRetryPolicy, type RetryPolicyInput } from "../../src/protocol/retry-policy.js";
import type { RunRecord } from "../../src/protocol/run-record.js";
import type { TaskSubmission } from "../../src/protocol/task-message.js";
import { newTaskRecord, type TaskRecord, type TaskSpec } from "../../src/protocol/task-record.js";

export const taskId = (text: string): TaskId => text as TaskId;
export const agentId = (text: string): AgentId => text as AgentId;

export const givenEnvelope = { messageId: "3f2b8c1e-6c1f-4d1b-9d0a-0c5f6a7b8c9d", timestamp: 1_700_000_000_000 };

export function givenFailure(change: Partial<Failure> = {}): Failure {
  return { type: "OutOfPaper", message: "the printer is out of paper", ...change };
}

export function givenUsage(change: Partial<Usage> = {}): Usage {
  return { cost: 0.25, tokens: { input: 100, output: 20 }, model: "small-1", ...change };
}

export function givenSubmission(change: Partial<TaskSubmission> = {}): TaskSubmission {
  return { type: "ocr", ...change };
}

export function givenSpec(change: Partial<Omit<TaskSpec, "retry">> & { retry?: RetryPolicyInput } = {}): TaskSpec {
  const { retry, ...rest } = change;
  const policy = completeRetryPolicy(retry);
  return {
    taskId: taskId("t-1"),
    type: "ocr",
    priority: "normal",
    dependencies: [],
    requiredCapabilities: ["ocr"],
    ...rest,
    retry: { ...policy, nonRetryableErrorTypes: [...policy.nonRetryableErrorTypes] },
  };
}

/** A task as submitted at 1,000 and ready since; with the fields that its state implies. */
export function givenTask(
  change: Partial<Omit<TaskRecord, "spec">> & { spec?: Parameters<typeof givenSpec>[0] } = {},
): TaskRecord {
  const { spec, state = "queued", ...rest } = change;
  const record = newTaskRecord(givenSpec(spec), state === "waiting" ? "waiting" : "queued", 1, 1_000);
  return { ...record, state, ...impliedBy(state), ...rest };
}

const firstAttempt = {
  attempt: 1,
  agentId: agentId("k-1"),
  incarnation: 1,
  token: "token-1",
  assignedAt: 2_000,
  sends: 1,
};

function impliedBy(state: TaskRecord["state"]): Partial<TaskRecord> {
  switch (state) {
    case "assigned":
    case "cancelling":
      return { ...firstAttempt, answerBy: 7_000 };
    case "running":
      return firstAttempt;
    case "backoff":
      return { ...firstAttempt, failure: givenFailure(), retryAt: 4_000 };
    case "completed":
      return { ...firstAttempt, output: "read", endedAt: 3_000 };
    case "failed":
    case "timed_out":
    case "terminated":
      return { ...firstAttempt, failure: givenFailure(), endedAt: 3_000 };
    case "cancelled":
      return { endedAt: 3_000 };
    default:
      return {};
  }
}

/** The first run of a workflow `w-1`, started at 1,000, whose code has seen nothing yet. */
export function givenRun(change: Partial<RunRecord> = {}): RunRecord {
  const workflowId = taskId("w-1");
  const workflow = newTaskRecord(
    givenSpec({ taskId: workflowId, type: "workflow:order", requiredCapabilities: ["workflow:order"] }),
    "open",
    1,
    1_000,
  );
  const runId = taskId("r-1");
  const { record } = newRun({
    spec: firstSpec(workflow, runId),
    runId,
    at: 1_000,
    input: null,
    memo: {},
    searchAttributes: {},
    attempt: 1,
  });
  return { ...record, ...change };
}

export function givenAgent(change: Partial<AgentRecord> = {}): AgentRecord {
  return {
    agentId: agentId("k-1"),
    state: "healthy",
    instanceId: "process-1",
    incarnation: 1,
    capabilities: ["ocr"],
    maxConcurrentTasks: 1,
    metadata: null,
    registeredAt: 1_000,
    reason: null,
    endedAt: null,
    ...change,
  };
}

export function givenRegistration(change: Partial<AgentRegistration> = {}): AgentRegistration {
  return {
    agentId: agentId("k-1"),
    instanceId: "process-1",
    capabilities: ["ocr"],
    maxConcurrentTasks: 1,
    ...change,
  };
}

export function givenHeartbeat(change: Partial<HeartbeatMessage> = {}): HeartbeatMessage {
  return { ...givenEnvelope, agentId: agentId("k-1"), metrics: {}, ...change };
}

export function givenResult(change: Partial<TaskResult> = {}): TaskResult {
  return {
    taskId: taskId("t-1"),
    attempt: 1,
    token: "token-1",
    agentId: agentId("k-1"),
    status: "completed",
    ...change,
  };
}
