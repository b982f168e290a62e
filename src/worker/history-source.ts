/** Reads a run's history from the orchestrator: a worker needs no rights on JetStream. */
import { randomUUID } from "node:crypto";
import { askUntilAnswered } from "../client/idempotent-request.js";
import { systemClock } from "../clock.js";
import type { Connection } from "../jetstream/connection.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { RunId, WorkflowId } from "../protocol/ids.js";
import { WorkflowHistoryReply } from "../protocol/workflow-message.js";

const TRY_TIMEOUT_MS = 5_000;
/** The activation is given to another worker long before. */
const TIMEOUT_MS = 60_000;

export interface HistorySource {
  /** Events up to `lastEventId`, from the first. @throws PerdureError NOT_FOUND, REQUEST_TIMED_OUT */
  read(workflowId: WorkflowId, runId: RunId, lastEventId: number): Promise<readonly HistoryEvent[]>;
}

export function historySource(connection: Connection, subject: string, closing: AbortSignal): HistorySource {
  return {
    read: async (workflowId, runId, lastEventId) => {
      const events: HistoryEvent[] = [];
      while ((events.at(-1)?.eventId ?? 0) < lastEventId) {
        const afterEventId = events.at(-1)?.eventId ?? 0;
        const reply = await askUntilAnswered({
          connection,
          subject,
          body: JSON.stringify({
            messageId: randomUUID(),
            timestamp: systemClock.now(),
            taskId: workflowId,
            runId,
            afterEventId,
          }),
          reply: WorkflowHistoryReply,
          tryTimeoutMs: TRY_TIMEOUT_MS,
          timeoutMs: TIMEOUT_MS,
          closing,
          what: `the history of run ${runId} of workflow ${workflowId}`,
          clock: systemClock,
        });
        if (reply.events.length === 0) break;
        events.push(...reply.events);
      }
      return events.filter((event) => event.eventId <= lastEventId);
    },
  };
}
