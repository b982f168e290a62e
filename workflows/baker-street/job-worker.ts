/** A worker of the fleet: its place in the queue group, and the code of the workflows that its jobs become. */
import { worker } from "perdure";
import { connectFleet, type RunningBridge, startBridge } from "perdure/bridges";
import { beat } from "./health.js";
import type { MemberSettings } from "./member-settings.js";
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
  const place = new Place({
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

interface PlaceParts {
  readonly lookIntervalMs: number;
  /** What the consumer is called and where it delivers; undefined where there is none. */
  readonly find: () => Promise<string | undefined>;
  readonly join: () => Promise<RunningBridge>;
}

/**
 * Its place in the queue group. The consumer may be somebody else's: the library of an old worker that leaves can delete the one
 * that it made, and nobody is told. Then the place is taken again; the queue still holds what was not acknowledged.
 */
class Place {
  readonly #parts: PlaceParts;
  #bridge: RunningBridge | undefined;
  #joined: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lose: (fault: unknown) => void = () => undefined;
  /** Rejects when the bridge of the day ended by itself. */
  readonly lost = new Promise<never>((_, reject) => {
    this.#lose = reject;
  });

  constructor(parts: PlaceParts) {
    this.#parts = parts;
  }

  async take(): Promise<void> {
    await this.#join();
    this.#lookLater();
  }

  async leave(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
    await this.#bridge?.stop();
  }

  async #join(): Promise<void> {
    this.#joined = undefined;
    this.#bridge = await this.#parts.join();
    this.#bridge.closed.catch(this.#lose);
    this.#joined = await this.#parts.find();
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().catch((fault: unknown) => {
        console.error("the consumer of jobs could not be looked for, or joined again; trying again:", fault);
      });
      void this.#looking.then(() => {
        if (this.#timer !== undefined) this.#lookLater();
      });
    }, this.#parts.lookIntervalMs);
  }

  async #look(): Promise<void> {
    const found = await this.#parts.find();
    if (found !== undefined && found === this.#joined) return;
    await this.#bridge?.stop();
    await this.#join();
  }
}
