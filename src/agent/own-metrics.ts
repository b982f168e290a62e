import type { Logger } from "../logger.js";

/** More would outgrow the field of a heartbeat one day, and an agent whose heartbeats are refused counts as silent. */
const METRICS_MAX = 100;
const NAME_LENGTH_MAX = 128;

/** The figures of the agent's author, for one heartbeat. Whatever is wrong with them costs them, never the heartbeat. */
export function readOwnMetrics(
  read: () => Readonly<Record<string, number>>,
  logger: Logger,
): Readonly<Record<string, number>> {
  try {
    const all = Object.entries(read());
    const usable = all.filter(([name, value]) => Number.isFinite(value) && name.length <= NAME_LENGTH_MAX);
    const sent = Object.fromEntries(usable.slice(0, METRICS_MAX));
    const leftOut = all.map(([name]) => name).filter((name) => !Object.hasOwn(sent, name));
    if (leftOut.length > 0) logger.warn({ leftOut: leftOut.slice(0, 5) }, "a heartbeat leaves metrics out");
    return sent;
  } catch (error) {
    logger.warn({ err: error }, "a heartbeat goes without the agent's own metrics: reading them failed");
    return {};
  }
}
