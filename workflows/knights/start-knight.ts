/**
 * A knight: takes the tasks of its domains one at a time, acknowledged before anything is done with them, and publishes a
 * result for each. At most once: what a killed knight had in hand is not done again, by nobody.
 */
import { PerdureError } from "perdure";
import { type ConsumerLag, connectFleet, type FleetOptions } from "perdure/bridges";
import { z } from "zod";
import type { Executors, Log } from "./executor.js";
import { type Health, startHealth } from "./health.js";
import type { KnightSettings } from "./settings.js";
import { consumerOf, knightTopology, resultsStream, tasksStream } from "./topology.js";
import { Work } from "./work.js";

export interface Knight {
  readonly health: Health;
  /** Takes nothing more and lets the task in hand finish. */
  drain(): Promise<void>;
  /** The task in hand is aborted, and its result says so. */
  stop(): Promise<void>;
  /** Resolves when the knight has ended, whoever ended it. */
  readonly closed: Promise<void>;
}

export interface KnightOptions {
  readonly settings: KnightSettings;
  readonly executors: Executors;
  readonly log: Log;
  /** For the lines about the connection; default: JSON on stderr. */
  readonly connectionLogger?: FleetOptions["logger"];
}

/**
 * @throws PerdureError where there is no server, or it has no place for this knight's consumer; SettingsError where the port
 *   for health cannot be had
 */
export async function startKnight(options: KnightOptions): Promise<Knight> {
  const { settings, executors, log } = options;
  const { name, subjects } = settings;
  const topology = knightTopology(name, subjects);
  const fleet = await connectFleet({
    servers: settings.natsUrl,
    name,
    topology,
    logger: options.connectionLogger,
  });
  const stopping = new AbortController();
  const { taskTimeoutMs } = settings;
  const work = new Work(fleet, { knight: name, executors, taskTimeoutMs, log, stopping: stopping.signal });
  let isDraining = false;
  /** A server that came back without its data, or an operator, may have left the knight without what it needs. */
  const lag = async (): Promise<ConsumerLag> => {
    try {
      await fleet.streamState(resultsStream);
      return await fleet.lag(tasksStream, consumerOf(name));
    } catch (error) {
      if (isDraining || !(error instanceof PerdureError && error.code === "NOT_FOUND")) throw error;
      await fleet.apply(topology);
      return await fleet.lag(tasksStream, consumerOf(name));
    }
  };
  let health: Health | undefined;
  try {
    const started = await startHealth({
      knight: name,
      fleet,
      stream: tasksStream,
      consumer: consumerOf(name),
      lag,
      port: settings.healthPort,
      counts: () => work.counts,
      isDraining: () => isDraining,
      log,
    });
    health = started;
    const consumption = await fleet.consume({
      stream: tasksStream,
      consumer: consumerOf(name),
      // What is no JSON is answered, too.
      format: "text",
      schema: z.string(),
      ack: "onReceipt",
      deadLetters: "none",
      handle: (message) => work.take(message),
    });
    let closed: () => void = () => undefined;
    const whenClosed = new Promise<void>((resolve) => {
      closed = resolve;
    });
    let ending: Promise<void> | undefined;
    const end = async (): Promise<void> => {
      isDraining = true;
      log.info({ running: work.counts.running }, "draining");
      const late = setTimeout(() => stopping.abort(), settings.drainTimeoutMs);
      // Every task has its own time-out, and `stopping` ends them all.
      await consumption.stop(2 ** 31 - 1);
      clearTimeout(late);
      await started.close();
      await fleet.close();
      closed();
    };
    const drain = (): Promise<void> => {
      ending ??= end();
      return ending;
    };
    log.info({ subjects, health: started.url }, "takes tasks");
    return {
      health: started,
      drain,
      stop: () => {
        stopping.abort();
        return drain();
      },
      closed: whenClosed,
    };
  } catch (error) {
    await health?.close();
    await fleet.close();
    throw error;
  }
}
