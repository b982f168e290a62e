/**
 * Logs go to stderr as JSON lines: stdout belongs to what a command prints. A line is one decision; its message is a
 * fixed sentence, and what varies is in fields of the names below. docs/logging.md lists what is said at which level.
 *
 * Never in a line: what tasks carry (inputs, outputs, progress, metadata, the messages of their failures), the tokens
 * of attempts, credentials.
 */
import { type DestinationStream, type Logger, pino } from "pino";

export type { Logger };

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/** Every field that a line may have, beside `level`, `time` and `msg`. test/logger.test.ts holds src against this. */
export const logFields = {
  // Whom it is about.
  agentId: "the agent",
  incarnation: "how many lives the agent's id has had",
  taskId: "the task",
  taskType: "the task's type",
  attempt: "number of the attempt, from 1",
  workflowId: "the workflow",
  runId: "the run of it",
  workflowType: "the workflow's type",
  leaderId: "one term of one orchestrator; the first part of its flushes' ids",
  holderId: "the process that has or had the leader's lease",
  pid: "a process on this machine",
  namespace: "first token of the subjects",
  subject: "of a message; an inbox by its first two tokens",
  stream: "a JetStream stream",
  consumer: "a durable consumer of that stream",
  url: "a NATS server, without credentials",
  // What happened.
  code: "an error code of docs/errors.md, or the type of a task's failure",
  reason: "why, in the engine's words",
  err: "an error: type, code, message, stack, details, cause",
  state: "what it is in now",
  event: "of the connection",
  effect: "kind of the effect",
  request: "which request of a client",
  doing: "what was tried",
  settings: "of a stream, that were changed",
  events: "types of the events that a run's history got",
  signal: "name of a signal",
  why: "a value does not fit its schema: fields, and what is wrong with them",
  what: "what workflow code used",
  where: "file and line of it",
  leftOut: "names of metrics that were not sent",
  method: "of an HTTP request",
  path: "of an HTTP request, without its query",
  status: "of an HTTP answer",
  host: "that is listened on",
  port: "that is listened on",
  bridge: "the bridge, to a foreign fleet",
  foreignId: "by which the fleet knows the task",
  // How much.
  deliveries: "how often a consumer has delivered the message",
  sequence: "in the journal for a decision, in its stream for a result",
  lastRead: "the last result that was read: sequence and time in its stream",
  taskCount: "tasks concerned",
  agentCount: "agents concerned",
  places: "tasks the agent takes at once",
  bytes: "size",
  maximumBytes: "size that would have been taken",
  flushes: "flushes replayed",
  unacknowledgedResults: "results not yet taken by their stream",
  suppressed: "lines like this one that were left out since the last one",
  durability: "what an acknowledged write survives",
  serverVersion: "of nats-server",
  // When, all of them durations in milliseconds but the first.
  retryAt: "when the next attempt may start, epoch milliseconds",
  delayMs: "until it is tried again",
  durationMs: "how long it took",
  silentMs: "how long nothing was heard",
  pausedMs: "how long this process stood still",
  remainingMs: "what is left of the lease",
  heartbeatIntervalMs: "how often the agent is to be heard of",
} as const;

export function createLogger(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ fd: 2, sync: true }),
): Logger {
  return pino({ base: null, level, serializers: { err: (error: unknown) => describeError(error) } }, destination);
}

export const silentLogger: Logger = pino({ level: "silent" });

interface ErrorShown {
  readonly type: string;
  readonly code?: unknown;
  readonly message: string;
  readonly stack?: string;
  readonly details?: unknown;
  readonly cause?: unknown;
}

/** A cause of a cause of a cause says nothing that the first three did not. */
const CAUSES_MAX = 3;

/** These parts and no others: libraries attach requests, messages and options to their errors. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === "string" ? withoutCredentials(error) : typeof error;
  const shown: { -readonly [Part in keyof ErrorShown]: ErrorShown[Part] } = {
    type: error.name,
    message: withoutCredentials(error.message),
  };
  if ("code" in error) shown.code = error.code;
  if (error.stack !== undefined) shown.stack = withoutCredentials(error.stack);
  if ("details" in error) shown.details = error.details;
  if (error.cause !== undefined && depth < CAUSES_MAX) shown.cause = describeError(error.cause, depth + 1);
  return shown;
}

/** Whatever stands before the @ of a URL. */
function withoutCredentials(text: string): string {
  return text.replaceAll(/\/\/[^\s/@]+@/g, "//***@");
}

const SAMPLE_LINES_MAX = 20;
const SAMPLE_WINDOW_MS = 10_000;

/**
 * A line that may come in floods. In each window the first few are written; the rest are counted, and the count is
 * written as `suppressed` when the window is over.
 */
export class SampledLog {
  readonly #logger: Logger;
  readonly #level: "info" | "warn" | "error";
  readonly #message: string;
  readonly #linesMax: number;
  readonly #windowMs: number;
  #written = 0;
  #suppressed = 0;
  #windowEndsAt = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    logger: Logger,
    level: "info" | "warn" | "error",
    message: string,
    { linesMax = SAMPLE_LINES_MAX, windowMs = SAMPLE_WINDOW_MS } = {},
  ) {
    this.#logger = logger;
    this.#level = level;
    this.#message = message;
    this.#linesMax = linesMax;
    this.#windowMs = windowMs;
  }

  write(fields: object): void {
    const now = performance.now();
    if (now >= this.#windowEndsAt) {
      this.#endWindow();
      this.#windowEndsAt = now + this.#windowMs;
    }
    if (this.#written < this.#linesMax) {
      this.#written += 1;
      this.#logger[this.#level](fields, this.#message);
      return;
    }
    this.#suppressed += 1;
    this.#timer ??= setTimeout(() => this.#endWindow(), this.#windowEndsAt - now).unref();
  }

  #endWindow(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#windowEndsAt = 0;
    this.#written = 0;
    if (this.#suppressed === 0) return;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#logger[this.#level]({ suppressed }, this.#message);
  }
}
