import { z } from "zod";

const numberAsText = z.string().regex(/^\d+$/).transform(Number);

/** What the orchestrator's service says of the settings it runs with. The services protocol takes texts only: `nats micro info perdure`. */
export const ServiceMetadata = z.object({
  namespace: z.string(),
  /** What agents are told to heartbeat at. */
  healthCheckIntervalMs: numberAsText,
  /** 0: no limit. */
  maxConcurrentTasks: numberAsText,
  maxQueuedTasks: numberAsText,
});
export type ServiceMetadata = z.infer<typeof ServiceMetadata>;

export function encodeServiceMetadata(metadata: ServiceMetadata): z.input<typeof ServiceMetadata> {
  const { namespace, healthCheckIntervalMs, maxConcurrentTasks, maxQueuedTasks } = metadata;
  return {
    namespace,
    healthCheckIntervalMs: String(healthCheckIntervalMs),
    maxConcurrentTasks: String(maxConcurrentTasks),
    maxQueuedTasks: String(maxQueuedTasks),
  };
}
