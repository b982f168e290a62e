/** What an operator may set, with defaults, units and bounds. */
import { availableParallelism } from "node:os";
import { z } from "zod";
import { DEFAULT_NAMESPACE, Namespace } from "../protocol/ids.js";
import { PositiveDurationMs } from "../protocol/time.js";

/** The shortest heartbeat: below it, scheduling jitter of a busy machine looks like silence. */
const HEARTBEAT_MS_MIN = 100;

export const OrchestratorSettings = z
  .object({
    /** First token of every subject; names of streams and buckets carry it too. */
    namespace: Namespace.default(DEFAULT_NAMESPACE),
    /** Tasks with an agent at the same time; 0: no limit. Defaults to the number of processors. */
    maxConcurrentTasks: z.int().min(0).max(10_000_000).default(availableParallelism()),
    /** Unfinished tasks without an agent; beyond it submissions are refused. About 1.5 KB of memory each. */
    maxQueuedTasks: z.int().min(1).max(10_000_000).default(250_000),
    /** What agents are told to heartbeat at, and how often health is broadcast. */
    healthCheckIntervalMs: PositiveDurationMs.min(HEARTBEAT_MS_MIN).default(30_000),
    /** Silence after which an agent gets no new work. */
    unhealthyThresholdMs: PositiveDurationMs.default(60_000),
    /** Silence after which an agent's work is given to others. */
    lostThresholdMs: PositiveDurationMs.default(300_000),
    /** How long an ended task can be asked for, from its end or the end of the last task that depends on it. */
    retentionMs: PositiveDurationMs.min(1_000).default(3 * 86_400_000),
    /** Copies of each stream: 1, or 3 and 5 in a cluster. */
    replicas: z.int().min(1).max(5).default(1),
    /** Lease of the leader; a standby takes over this long after a leader died. NATS counts in whole seconds. */
    leaseMs: PositiveDurationMs.min(1_000).max(60_000).multipleOf(1_000).default(3_000),
  })
  .refine((settings) => settings.healthCheckIntervalMs <= settings.unhealthyThresholdMs, {
    error: "healthCheckIntervalMs must not be above unhealthyThresholdMs",
    path: ["healthCheckIntervalMs"],
  })
  .refine((settings) => settings.unhealthyThresholdMs < settings.lostThresholdMs, {
    error: "unhealthyThresholdMs must be below lostThresholdMs",
    path: ["unhealthyThresholdMs"],
  });
export type OrchestratorSettings = z.infer<typeof OrchestratorSettings>;
export type OrchestratorSettingsInput = z.input<typeof OrchestratorSettings>;

/** All three liveness settings from one heartbeat interval: unhealthy after three of them, lost after six. */
export function livenessFrom(heartbeatMs: number): {
  healthCheckIntervalMs: number;
  unhealthyThresholdMs: number;
  lostThresholdMs: number;
} {
  return {
    healthCheckIntervalMs: heartbeatMs,
    unhealthyThresholdMs: 3 * heartbeatMs,
    lostThresholdMs: 6 * heartbeatMs,
  };
}
