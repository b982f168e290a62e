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
        input: event,
      }),
      ack: "onEnded",
      maxConcurrent: 100,
    }),
  },
});
