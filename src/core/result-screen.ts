/** Whether a result belongs to the attempt that is under way. What does not is refused, whoever it comes from. */

import type { TaskResult } from "../protocol/agent-message.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import { canonicalJson } from "../protocol/canonical-json.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { AgentId } from "../protocol/ids.js";
import { endedStates, type TaskRecord } from "../protocol/task-record.js";

export type ResultVerdict =
  | { readonly kind: "current" }
  /** Applied already; saying it twice changes nothing. */
  | { readonly kind: "duplicate" }
  | {
      readonly kind: "refused";
      readonly code: "RESULT_STALE" | "RESULT_CONFLICT" | "RESULT_UNKNOWN_TASK";
      readonly message: string;
    };

/**
 * @param sender the agent id in the subject, which permissions guard; the one in the body is only compared
 * @param agent that agent's record, if it has one
 */
export function screenResult(
  record: TaskRecord | undefined,
  result: TaskResult,
  sender: AgentId,
  agent: AgentRecord | undefined,
): ResultVerdict {
  const what = `dropped the result of task ${result.taskId} attempt ${result.attempt} from agent ${sender}`;
  if (record === undefined) {
    return { kind: "refused", code: "RESULT_UNKNOWN_TASK", message: `${what}: no such task is kept here.` };
  }
  if (!isOfAttempt(record, result, sender, agent)) {
    return { kind: "refused", code: "RESULT_STALE", message: `${what}: ${standing(record)}.` };
  }
  if (!endedStates.has(record.state)) return screenUnfinished(record, result, what);
  if (isSameOutcome(record, result)) return { kind: "duplicate" };
  if (!endedByResult(record)) {
    return {
      kind: "refused",
      code: "RESULT_STALE",
      message: `${what}: ${standing(record)}, and nobody waited for it any more.`,
    };
  }
  return {
    kind: "refused",
    code: "RESULT_CONFLICT",
    message: `${what}: the task ended ${record.state} already and this says something else; the first holds.`,
  };
}

/** Failures that the engine found by itself, having given the attempt up; any other was reported by the agent. */
const givenUpFor: ReadonlySet<string> = new Set([
  "AGENT_LOST",
  "AGENT_SUPERSEDED",
  "ATTEMPT_LOST",
  "TASK_TIMED_OUT",
  "TASK_HEARTBEAT_TIMED_OUT",
  "TASK_NOT_ACCEPTED",
]);

/** Between two attempts a first result still counts; a second one of an attempt that reported its failure does not. */
function screenUnfinished(record: TaskRecord, result: TaskResult, what: string): ResultVerdict {
  const between = record.state === "backoff" || record.state === "queued";
  if (!between || record.failure === null || givenUpFor.has(record.failure.type)) return { kind: "current" };
  if (result.status === "failed") return { kind: "duplicate" };
  const message = `${what}: it reported the attempt as failed before; the first holds.`;
  return { kind: "refused", code: "RESULT_CONFLICT", message };
}

/** Whether the sender holds the attempt: by its token, or, without one, by agent, incarnation and attempt. */
export function isOfAttempt(
  record: TaskRecord,
  claim: {
    readonly attempt?: number;
    readonly token?: string | undefined;
    readonly incarnation?: number | undefined;
    readonly agentId: AgentId;
  },
  sender: AgentId,
  agent: AgentRecord | undefined,
): boolean {
  if (claim.agentId !== sender || record.agentId !== sender || record.token === null) return false;
  if (claim.attempt !== undefined && claim.attempt !== record.attempt) return false;
  if (claim.token !== undefined) return claim.token === record.token;
  return (claim.incarnation ?? agent?.incarnation) === record.incarnation;
}

function standing(record: TaskRecord): string {
  if (endedStates.has(record.state)) return `the task ended ${record.state} with attempt ${record.attempt}`;
  if (record.state === "assigned" || record.state === "running" || record.state === "cancelling") {
    return `attempt ${record.attempt} runs on ${record.agentId}`;
  }
  return `the task is ${record.state} after attempt ${record.attempt}`;
}

/** Failures that are the engine's own verdict on an attempt whose agent had said nothing. */
const failuresOfSilence: ReadonlySet<string> = new Set<ErrorCode>([
  "AGENT_LOST",
  "AGENT_SUPERSEDED",
  "TASK_NOT_ACCEPTED",
]);

/** Whether an agent's word ended the task; if not, its first word is late but contradicts nothing. */
function endedByResult(record: TaskRecord): boolean {
  if (record.state === "failed") return !failuresOfSilence.has(record.failure?.type ?? "");
  return record.state === "completed";
}

function isSameOutcome(record: TaskRecord, result: TaskResult): boolean {
  switch (result.status) {
    case "completed":
      return record.state === "completed" && canonicalJson(record.output) === canonicalJson(result.output ?? null);
    case "failed":
      return record.state === "failed" || record.state === "timed_out" || record.state === "cancelled";
    case "cancelled":
      return record.state === "cancelled";
  }
}
