import { z } from "zod";
import { JsonValue } from "./envelope.js";
import { AgentId, CapabilityName, MessageName, WorkflowId } from "./ids.js";
import { CAPABILITIES_MAX } from "./limits.js";
import { Priority } from "./priority.js";
import { RetryPolicyInput } from "./retry-policy.js";
import { PositiveDurationMs } from "./time.js";

/** What one says of a run, an activity or a step when one asks for it. Fields that are left out are the engine's defaults. */

/**
 * Whether a workflow id whose run has closed may be used again, with Temporal's meanings. Without one, an id names the
 * same run for as long as it is kept, as it does for tasks.
 */
export const IdReusePolicy = z.enum(["allowDuplicate", "allowDuplicateFailedOnly", "rejectDuplicate"]);
export type IdReusePolicy = z.infer<typeof IdReusePolicy>;

/** What a start does that meets a run of its id which is still open. */
export const IdConflictPolicy = z.enum(["fail", "useExisting", "terminateExisting"]);
export type IdConflictPolicy = z.infer<typeof IdConflictPolicy>;

/** What becomes of a child when its parent's run closes. */
export const ParentClosePolicy = z.enum(["terminate", "abandon", "requestCancel"]);
export type ParentClosePolicy = z.infer<typeof ParentClosePolicy>;

/** Named values that travel with a run: `memo` for people, `searchAttributes` for lists. */
export const NamedValues = z.record(z.string().min(1).max(128), JsonValue);
export type NamedValues = z.infer<typeof NamedValues>;

/** A task for an agent, as a workflow asks for it. */
export const activityFields = {
  activityType: CapabilityName,
  input: JsonValue.optional(),
  priority: Priority.optional(),
  /** Defaults to `[activityType]`. */
  requiredCapabilities: z.array(CapabilityName).max(CAPABILITIES_MAX).optional(),
  preferredAgentId: AgentId.optional(),
  /** One attempt. */
  startToCloseMs: PositiveDurationMs.optional(),
  /** All attempts. */
  scheduleToCloseMs: PositiveDurationMs.optional(),
  /** Until an agent has it. */
  scheduleToStartMs: PositiveDurationMs.optional(),
  /** Between two signs of progress. */
  heartbeatTimeoutMs: PositiveDurationMs.optional(),
  /** Without `maximumAttempts`: no limit. */
  retry: RetryPolicyInput.optional(),
  metadata: z.record(z.string(), JsonValue).optional(),
};

/** Code that runs in the workflow's worker. */
export const stepFields = {
  /** One attempt. */
  startToCloseMs: PositiveDurationMs.optional(),
  /** Without `maximumAttempts`: no limit. */
  retry: RetryPolicyInput.optional(),
};

export const runFields = {
  input: JsonValue.optional(),
  priority: Priority.optional(),
  /** One run. */
  runTimeoutMs: PositiveDurationMs.optional(),
  /** The whole chain of runs. */
  executionTimeoutMs: PositiveDurationMs.optional(),
  /** None: a failed run is not repeated. */
  retry: RetryPolicyInput.optional(),
  memo: NamedValues.optional(),
  searchAttributes: NamedValues.optional(),
};

export const childFields = {
  workflowId: WorkflowId,
  workflowType: MessageName,
  parentClosePolicy: ParentClosePolicy,
  idReusePolicy: IdReusePolicy.optional(),
  ...runFields,
};
