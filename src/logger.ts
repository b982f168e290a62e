import { type DestinationStream, type Logger, pino } from "pino";

export type { Logger };

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/** Logs go to stderr as JSON lines, one a decision, ids as fields: stdout belongs to what a command prints. */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ fd: 2, sync: true }),
): Logger {
  return pino({ base: null, level }, destination);
}

export const silentLogger: Logger = pino({ level: "silent" });
