import type { Log } from "./executor.js";

/** Lines of JSON on stderr: stdout belongs to what the process has to say to whoever started it. */
export function jsonLog(fixed: Readonly<Record<string, unknown>>, write: (line: string) => void = writeToStderr): Log {
  const line =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void =>
      write(`${JSON.stringify({ level, time: new Date().toISOString(), ...fixed, ...fields, msg: message })}\n`);
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

function writeToStderr(line: string): void {
  process.stderr.write(line);
}

/** The same, and these fields in each line. */
export function childLog(log: Log, fields: Readonly<Record<string, unknown>>): Log {
  return {
    info: (more, message) => log.info({ ...fields, ...more }, message),
    warn: (more, message) => log.warn({ ...fields, ...more }, message),
    error: (more, message) => log.error({ ...fields, ...more }, message),
  };
}
