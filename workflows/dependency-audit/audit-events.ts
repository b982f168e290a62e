/** What of the orchestrator's system events matters to somebody who watches the audit. */
import type { SystemEvent } from "perdure";
import { z } from "zod";

/** Every event names what it is about; which of these fields it has depends on its type. */
const Payload = z.object({
  taskId: z.string().optional(),
  agentId: z.string().nullish(),
  attempt: z.int().optional(),
  reason: z.string().optional(),
  code: z.string().optional(),
  error: z.object({ type: z.string(), message: z.string() }).nullish(),
  taskIds: z.array(z.string()).optional(),
});

export interface ObservedEvent extends z.infer<typeof Payload> {
  readonly type: SystemEvent["eventType"];
}

/** An event that cannot be read is one less to watch: events are for looking on, nothing depends on them. */
export function observed({ eventType, payload }: Pick<SystemEvent, "eventType" | "payload">): ObservedEvent {
  const parsed = Payload.safeParse(payload ?? {});
  return { type: eventType, ...(parsed.success ? parsed.data : {}) };
}

const ends: ReadonlySet<string> = new Set(["TASK_COMPLETED", "TASK_FAILED", "TASK_CANCELLED", "TASK_TIMED_OUT"]);

export function isEndOfTask({ type }: ObservedEvent): boolean {
  return ends.has(type);
}
