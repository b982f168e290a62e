/**
 * The members of the platform that are ours, each a part that can be started and stopped: all in one process for the
 * demonstration, each in processes of its own where it is scaled.
 */
import { randomUUID } from "node:crypto";
import { type Logger, worker } from "perdure";
import { connectFleet, type Fleet, startBridge } from "perdure/bridges";
import { readRoutingReport, startAnalytics } from "./analytics.js";
import { startApiServer } from "./api-server.js";
import { consolidation } from "./consolidation.js";
import { consolidationBridge } from "./consolidation-bridge.js";
import { exposition, type Family } from "./exposition.js";
import { fleetGauges } from "./fleet-gauges.js";
import { LatestDecisions } from "./latest-decisions.js";
import { LlmTally } from "./llm-tally.js";
import { MemoryStore } from "./memory-store.js";
import { startMetrics } from "./metrics.js";
import { producersOn } from "./producers.js";
import type { Settings } from "./settings.js";
import { StateBucket } from "./state-bucket.js";

export interface PartOptions extends Settings {
  /** Default: JSON lines on stderr. */
  readonly logger?: Logger;
}

export interface Part {
  /** Where it is asked over HTTP; null where it is not. */
  readonly url: string | null;
  /** Lets what is in hand finish, or hands it back. */
  stop(): Promise<void>;
  /** Settles when it has ended; rejects where something of it ended by itself, as where its connection is lost for good. */
  readonly ended: Promise<void>;
}

export type PartName = "consolidation" | "analytics" | "api";

/** Each resolves when it works. @throws PerdureError where the server or the orchestrator cannot be reached */
export const parts: Readonly<Record<PartName, (options: PartOptions) => Promise<Part>>> = {
  /** The bridge that makes runs of events, and a worker that runs them. Any number of these share the work. */
  consolidation: part(async (options, standing) => {
    const { fleet, bucket } = await join("overmind consolidation", options, standing);
    const { remembered } = producersOn(fleet);
    const workflows = [consolidation({ store: new MemoryStore(bucket), announce: remembered })];
    const workflowWorker = await worker({ ...membership(options), workflows });
    standing.add(() => workflowWorker.drain(), workflowWorker.closed);
    const agentId = `bridge-overmind-${randomUUID()}`;
    const bridge = await startBridge(consolidationBridge, { ...membership(options), agentId });
    standing.add(() => bridge.stop(), bridge.closed);
    return null;
  }),

  analytics: part(async (options, standing) => {
    await startAnalytics(await join("overmind analytics", options, standing));
    return null;
  }),

  api: part(async (options, standing) => {
    const { fleet, bucket } = await join("overmind api", options, standing);
    const decisions = new LatestDecisions();
    const tally = new LlmTally();
    await decisions.start(fleet);
    await startMetrics(fleet, tally);
    const server = await startApiServer(
      {
        decisions,
        analytics: () => readRoutingReport(bucket),
        metrics: async () =>
          exposition([...(await fleetGauges(fleet)), ...tally.families(), await deadLetterGauge(fleet)]),
        ping: () => fleet.ping(),
      },
      options.http,
    );
    standing.add(() => server.close());
    return server.url;
  }),
};

/** What was started so far: ended in reverse, also where the start comes to nothing. */
class Standing {
  readonly #stops: (() => Promise<unknown>)[] = [];
  readonly #ends: Promise<void>[] = [];

  /** @param ended of what can end by itself */
  add(stop: () => Promise<unknown>, ended?: Promise<void>): void {
    this.#stops.push(stop);
    if (ended !== undefined) this.#ends.push(ended);
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  /** Settles with the first that ends. */
  ended(): Promise<void> {
    const ended = Promise.race(this.#ends);
    // Nobody has to look.
    ended.catch(() => undefined);
    return ended;
  }
}

/** @param begin resolves with where the part is asked over HTTP, or null */
function part(begin: (options: PartOptions, standing: Standing) => Promise<string | null>) {
  return async (options: PartOptions): Promise<Part> => {
    const standing = new Standing();
    try {
      const url = await begin(options, standing);
      return { url, stop: () => standing.stop(), ended: standing.ended() };
    } catch (fault) {
      await standing.stop();
      throw fault;
    }
  };
}

const membership = ({ connection, logger }: PartOptions) => ({
  ...connection,
  ...(logger === undefined ? {} : { logger }),
});

async function join(
  name: string,
  options: PartOptions,
  standing: Standing,
): Promise<{ fleet: Fleet; bucket: StateBucket }> {
  const fleet = await connectFleet({ ...membership(options), name });
  standing.add(() => fleet.close(), fleet.closed);
  return { fleet, bucket: await StateBucket.open(fleet, options.connection.namespace) };
}

async function deadLetterGauge(fleet: Fleet): Promise<Family> {
  return {
    type: "gauge",
    name: "overmind_dead_letters",
    help: "Messages that nobody could handle, of this and every other system in the namespace.",
    samples: [{ labels: {}, value: await fleet.deadLetters.count() }],
  };
}
