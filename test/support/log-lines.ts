import { createLogger, type Logger } from "../../src/logger.js";

/** A logger whose lines a test can wait for: the signals of what goes on inside. */
export interface LogLines {
  readonly logger: Logger;
  /** Messages, oldest first. */
  readonly messages: readonly string[];
  count(message: string): number;
}

export function captureLog(): LogLines {
  const messages: string[] = [];
  const logger = createLogger("info", {
    write: (line: string) => {
      messages.push(messageOf(JSON.parse(line)));
    },
  });
  return { logger, messages, count: (message) => messages.filter((seen) => seen.includes(message)).length };
}

function messageOf(entry: unknown): string {
  return typeof entry === "object" && entry !== null && "msg" in entry ? String(entry.msg) : "";
}
