import type { LogLevel } from "../logger.js";

const known: Readonly<Record<LogLevel, true>> = {
  trace: true,
  debug: true,
  info: true,
  warn: true,
  error: true,
  silent: true,
};

/** What --log-level takes. Not from the logger itself: `--help` loads none. */
export const logLevels: readonly string[] = Object.keys(known);
