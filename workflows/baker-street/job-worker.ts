/** A worker of the fleet: its place in the queue group, and the code of the workflows that its jobs become. */
import { worker } from "perdure";
import { connectFleet, startBridge } from "perdure/bridges";
import { beat } from "./health.js";
import type { MemberSettings } from "./member-settings.js";
import { jobSettings } from "./topology.js";
import { startTracing } from "./tracing.js";
import { workerBridge } from "./worker-bridge.js";
import { bakerJob } from "./workflows.js";

/** Resolves when it takes jobs; what it resolves with ends it in order: what it has in hand goes to others. */
export async function startJobWorker(settings: MemberSettings): Promise<() => Promise<void>> {
  const { id, servers, namespace, heartbeatMs, ackWaitMs, logger } = settings;
  const tracing = startTracing("baker-street.worker");
  const basis = { servers, namespace, ...(logger === undefined ? {} : { logger }) };
  const code = await worker({ ...basis, id: `${id}-code`, workflows: [bakerJob] });
  const fleet = await connectFleet({ ...basis, name: `worker ${id}` });
  const jobs = await jobSettings(fleet, ackWaitMs);
  const bridge = await startBridge(workerBridge({ workerId: id, tracing, settings: jobs }), {
    ...basis,
    agentId: id,
  });
  const endBeat = beat(fleet, { service: "worker", id, intervalMs: heartbeatMs });
  return async () => {
    endBeat();
    await bridge.stop();
    await fleet.close();
    await code.drain();
    await tracing.close();
  };
}
