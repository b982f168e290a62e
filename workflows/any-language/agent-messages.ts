/** What an agent says, as far as the conformance check looks at it. The whole of it is in docs/schemas. */
import { z } from "zod";

const envelope = { messageId: z.guid(), timestamp: z.int().nonnegative() };
const agentId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/);
const token = z.string().min(1).max(64);
const incarnation = z.int().min(1);

export const Registration = z.object({
  ...envelope,
  registration: z.object({
    agentId,
    instanceId: z.string().min(1).max(128).optional(),
    capabilities: z.array(z.string().min(1).max(128)),
    maxConcurrentTasks: z.int().min(1).max(100_000).default(1),
  }),
});

export const Heartbeat = z.object({
  ...envelope,
  agentId,
  metrics: z.record(z.string(), z.number()).optional(),
  incarnation: incarnation.optional(),
  tokens: z.array(token).optional(),
});

export const Report = z.object({
  ...envelope,
  status: z.object({
    agentId,
    state: z.enum(["accepted", "progress", "released", "draining", "idle"]),
    taskId: agentId.optional(),
    token: token.optional(),
    incarnation: incarnation.optional(),
  }),
});

export const Result = z.object({
  ...envelope,
  result: z.object({
    taskId: agentId,
    attempt: z.int().min(1),
    token: token.optional(),
    agentId,
    incarnation: incarnation.optional(),
    status: z.enum(["completed", "failed", "cancelled"]),
    output: z.unknown().optional(),
    error: z
      .object({ type: z.string().max(256), message: z.string(), nonRetryable: z.boolean().optional() })
      .optional(),
  }),
});
