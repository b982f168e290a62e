/** Starts a worker of the fleet: it takes jobs, runs the workflows that they become, and beats. */
import { worker } from "perdure";
import { connectFleet, startBridge } from "perdure/bridges";
import { beat } from "./health.js";
import type { MemberSettings } from "./member-settings.js";
import { QueuePlace } from "./queue-place.js";
import { holdShareable, jobSettings } from "./topology.js";
import { startTracing } from "./tracing.js";
import { workerBridge } from "./worker-bridge.js";
import { bakerJob } from "./workflows.js";

/** It looks whether its place is still there every so many heartbeats. */
const HEARTBEATS_A_LOOK = 5;

export interface JobWorker {
  /** Ends it in order: what it has in hand goes to others. */
  stop(): Promise<void>;
  /** Settles when it has ended; rejects where a part of it ended by itself, as where another process took its id. */
  readonly ended: Promise<void>;
}

/** Resolves when it takes jobs. */
export async function startJobWorker(settings: MemberSettings): Promise<JobWorker> {
  const { id, servers, namespace, heartbeatMs, ackWaitMs, logger } = settings;
  const tracing = startTracing("baker-street.worker");
  const basis = { servers, namespace, ...(logger === undefined ? {} : { logger }) };
  const code = await worker({ ...basis, id: `${id}-code`, workflows: [bakerJob] });
  const fleet = await connectFleet({ ...basis, name: `worker ${id}` });
  const place = new QueuePlace({
    lookIntervalMs: heartbeatMs * HEARTBEATS_A_LOOK,
    find: async () => {
      const { workersConsumer: found } = await jobSettings(fleet, ackWaitMs);
      return found === undefined ? undefined : `${found.name} ${found.deliverSubject ?? "is pulled from"}`;
    },
    join: async () => {
      const jobs = await jobSettings(fleet, ackWaitMs);
      holdShareable(jobs);
      return startBridge(workerBridge({ workerId: id, tracing, settings: jobs }), { ...basis, agentId: id });
    },
  });
  await place.take();
  const endBeat = beat(fleet, { service: "worker", id, intervalMs: heartbeatMs });
  const ended = Promise.race([fleet.closed, code.closed, place.lost]);
  // Nobody has to look.
  ended.catch(() => undefined);
  return {
    ended,
    stop: async () => {
      endBeat();
      await place.leave();
      await fleet.close();
      await code.drain();
      await tracing.close();
    },
  };
}
