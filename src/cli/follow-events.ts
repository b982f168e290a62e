/**
 * Prints system events while they come. They are broadcast and kept by nobody, so whoever was not connected did not hear
 * them: this says when that was, and what to ask instead.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SystemEvent } from "../client/system-events.js";
import { Deferred } from "../deferred.js";
import { PerdureError } from "../errors.js";
import { type Connection, connect } from "../jetstream/connection.js";
import { silentLogger } from "../logger.js";
import { decodeMessage } from "../protocol/decode.js";
import { subjectsOf } from "../protocol/subjects.js";
import { SystemEventMessage } from "../protocol/system-message.js";
import type { EventsOptions } from "./commands/events.js";
import { type ExitStatus, exitStatus } from "./exit-status.js";
import { printJson, printLines, say } from "./messages.js";
import { formatOf } from "./output-format.js";
import type { Settings } from "./settings.js";
import { eventPaint } from "./state-paint.js";
import { listenToStopSignals } from "./stop-signals.js";
import { type Style, styleOf } from "./style.js";
import { cutTo, oneLine, padTo } from "./terminal-text.js";
import { durationText, instantText } from "./time-text.js";
import { untilAborted } from "./until-aborted.js";

/** @throws PerdureError CONNECTION_FAILED, PERMISSION_DENIED; REQUEST_TIMED_OUT where fewer came than were asked for */
export async function followEvents(settings: Settings, options: EventsOptions): Promise<ExitStatus> {
  const connection = await connect({
    ...settings.connection().options,
    name: "perdure events",
    logger: silentLogger,
  });
  const { signal, forget } = listenToStopSignals(["SIGINT", "SIGTERM"]);
  try {
    await Promise.race([listen(connection, settings, options), untilAborted(signal)]);
    return exitStatus.ok;
  } finally {
    forget();
    await connection.close();
  }
}

async function listen(connection: Connection, settings: Settings, options: EventsOptions): Promise<void> {
  const { namespace, timeoutMs } = settings;
  const { limit } = options;
  const subject = subjectsOf(namespace).systemEvent;
  const ended = new Deferred();
  const enough = new Deferred();
  const print = printerOf(settings, options);
  let count = 0;
  sayGaps(connection, (error) => ended.reject(error));
  connection.subscribe(
    subject,
    ({ data }) => {
      const event = decodeMessage(SystemEventMessage, data);
      // One that cannot be read is of a newer orchestrator.
      if (!event.ok || count === limit || !isWanted(event.value, options)) return;
      print(event.value);
      count += 1;
      if (count === limit) enough.resolve();
    },
    { onRefused: (error) => ended.reject(error) },
  );
  await connection.flush();
  say(`listening on ${subject} at ${connection.url}; Ctrl-C ends it`);
  const timedOut = timeoutMs === undefined ? [] : [delay(timeoutMs, "timed out" as const, { ref: false })];
  const end = await Promise.race([enough.promise, ended.promise, ...timedOut]);
  if (end === "timed out" && limit !== undefined) {
    throw new PerdureError(
      "REQUEST_TIMED_OUT",
      `heard ${count} of ${limit} events within ${timeoutMs} ms; nothing else was asked for`,
      { details: { count, limit, timeoutMs } },
    );
  }
}

function isWanted({ eventType, payload = {} }: SystemEvent, { type, task, agent }: EventsOptions): boolean {
  if (type !== undefined && !type.includes(eventType)) return false;
  if (agent !== undefined && payload["agentId"] !== agent) return false;
  const { taskId, taskIds } = payload;
  return task === undefined || taskId === task || (Array.isArray(taskIds) && taskIds.includes(task));
}

function sayGaps(connection: Connection, onClosed: (error: PerdureError) => void): void {
  let lostAt = 0;
  connection.onEvent((event) => {
    if (event === "disconnected") {
      lostAt = performance.now();
      say(`lost the connection to ${connection.url}; events are missed until it is back`);
    } else if (event === "reconnected") {
      const gap = durationText(performance.now() - lostAt);
      say(
        `connected to ${connection.url} again after ${gap}; events in between were missed, perdure ps and agents tell`,
      );
    } else {
      onClosed(
        new PerdureError("CONNECTION_FAILED", `the connection to ${connection.url} was closed for good; start again`),
      );
    }
  });
}

function printerOf({ environment }: Settings, options: EventsOptions): (event: SystemEvent) => void {
  if (formatOf(options) !== "text") return printJson;
  return (event) => printLines([eventLine(event, styleOf(process.stdout, environment))]);
}

const TYPE_WIDTH = Math.max(...Object.keys(eventPaint).map((type) => type.length));

/** Time, type, and the rest as the event has it: `2026-01-31T12:00:00.000Z  TASK_FAILED  taskId=t-1 attempt=3 …` */
export function eventLine({ timestamp, eventType, payload = {} }: SystemEvent, style: Style): string {
  const fields = Object.entries(payload)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const head = `${instantText(timestamp)}  `;
  const rest = oneLine(fields.join(" "));
  const room = style.width - head.length - TYPE_WIDTH - 2;
  const type = style.paint(eventPaint[eventType], padTo(eventType, TYPE_WIDTH, "left"));
  return `${style.paint("dim", head)}${type}  ${cutTo(rest, Math.max(1, room))}`.trimEnd();
}
