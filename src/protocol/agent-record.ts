import { z } from "zod";
import { Incarnation } from "./agent-message.js";
import { JsonValue } from "./envelope.js";
import { AgentId, CapabilityName } from "./ids.js";
import { AgentState } from "./system-message.js";

/**
 * An agent as the engine keeps it. When it was last heard of is not here: liveness is measured on the leader's
 * monotonic clock and starts anew with each leader.
 */
export const AgentRecord = z.object({
  agentId: AgentId,
  state: AgentState,
  /** Of the process that registered last; a different one is a new incarnation. */
  instanceId: z.string(),
  incarnation: Incarnation,
  capabilities: z.array(CapabilityName),
  maxConcurrentTasks: z.int(),
  metadata: z.record(z.string(), JsonValue).nullable(),
  registeredAt: z.int(),
  /** Why it is not healthy; one sentence. */
  reason: z.string().nullable(),
  /** When it was declared lost or said goodbye. */
  endedAt: z.int().nullable(),
  /**
   * When processes took the id from others lately; absent where none did. Not a default: it would be filled into every
   * fact that says nothing of it.
   */
  takeovers: z.array(z.int()).optional(),
});
export type AgentRecord = z.infer<typeof AgentRecord>;

export type AgentChange = Partial<Omit<AgentRecord, "agentId">>;
