/**
 * A consumer of memory events that an event kills: as a parser that runs out of memory would. Argument: {servers}. Consumes
 * nothing before its parent has said that it is in place.
 */
import { connectFleet } from "../../../dist/src/bridges/index.js";
import { createLogger } from "../../../dist/src/logger.js";
import { ConsolidatedEvent } from "../../../dist/workflows/overmind/messages.js";

const { servers } = JSON.parse(process.argv[2]);
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
const fleet = await connectFleet({ servers, name: "crashing member", logger: createLogger("silent") });
await fleet.consume({
  stream: "memory-events",
  consumer: "consolidation-consumer",
  schema: ConsolidatedEvent,
  ack: "onHandled",
  handle: ({ body }) => {
    if (body.memoryId === "m-killer") process.kill(process.pid, "SIGKILL");
  },
});
