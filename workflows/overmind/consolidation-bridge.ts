/** Each `memory.consolidated` event becomes one run of the workflow; the event is acknowledged when that has ended. */
import { defineBridge, request, taskIdOf } from "perdure/bridges";
import { consolidationName } from "./consolidation.js";
import { ConsolidatedEvent } from "./messages.js";

export const consolidationBridge = defineBridge("overmind-consolidation", {
  requests: {
    consolidated: request({
      from: { stream: "memory-events", consumer: "consolidation-consumer" },
      schema: ConsolidatedEvent,
      task: (event) => ({
        taskId: taskIdOf(`consolidate-${event.eventId}`),
        type: `workflow:${consolidationName}`,
        input: withoutForeignMetadata(event),
      }),
      ack: "onEnded",
      maxConcurrent: 100,
    }),
  },
});

/** Metadata are the producer's: whole texts may be in them, and the input of a run has a limit. */
function withoutForeignMetadata({ metadata, ...event }: ConsolidatedEvent): ConsolidatedEvent {
  const mergedFrom = metadata?.["mergedFrom"];
  return mergedFrom === undefined ? event : { ...event, metadata: { mergedFrom } };
}
