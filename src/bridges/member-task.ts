/** One attempt of a task of ours at a foreign member: say it in their words, wait for their answer, translate it. */

import { setTimeout as delay } from "node:timers/promises";
import { AttemptStopped } from "../agent/attempt-stop.js";
import { TaskFailure } from "../agent/task-failure.js";
import type { TaskContext } from "../agent/task-handler.js";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { Answers } from "./answers.js";
import type { AnyMember, MemberOutcome, MemberTask } from "./bridge.js";
import type { Fleet } from "./fleet.js";
import { sendOutgoing } from "./outgoing.js";
import { untilAborted } from "./until-aborted.js";

export interface MemberParts {
  readonly fleet: Fleet;
  readonly rule: AnyMember;
  readonly answers: Answers;
  /** Live news of the tasks in hand, by the fleet's id. */
  readonly news: Map<string, (progress: unknown) => void>;
  readonly logger: Logger;
}

/** That say that no stream has it, and that a moment later one may. */
const refusals: ReadonlySet<ErrorCode> = new Set(["NO_RESPONDERS", "STORAGE_FULL"]);
const SAY_AGAIN_MS = 1_000;

/** A timer that is set to more fires at once; 24 days are as good as for ever. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Left with the orchestrator for the attempt that follows a lost one: before a request goes out, and when a stream has it. */
interface Left {
  readonly sent: boolean;
  readonly stored: boolean;
}

/** @throws TaskFailure with what the member said, or that it said nothing in time; the reason of an abort */
export async function runAtMember(
  parts: MemberParts,
  agentId: string,
  context: TaskContext,
  input: unknown,
): Promise<unknown> {
  const task: MemberTask = {
    taskId: context.taskId,
    type: context.type,
    input,
    attempt: context.attempt,
    priority: context.priority,
    deadlineAt: context.deadlineAt,
    metadata: context.metadata,
    traceparent: context.traceparent,
    agentId,
  };
  const foreignId = parts.rule.foreignId?.(task) ?? task.taskId;
  const patience = new AbortController();
  const signal = AbortSignal.any([context.signal, patience.signal]);
  const answered = parts.answers.await(foreignId, signal);
  // Whether it is waited for below or not: an abort while the request goes out is no unhandled rejection.
  answered.catch(() => undefined);
  const withinMs = parts.rule.answerWithinMs?.(task);
  const timer =
    withinMs === undefined || withinMs > TIMER_MS_MAX
      ? undefined
      : setTimeout(() => patience.abort(silent(task, withinMs)), withinMs);
  let report: Left & { readonly progress?: unknown } = leftBefore(context);
  const tell = (more: Partial<typeof report>): void => {
    report = { ...report, ...more };
    context.progress(report);
  };
  const hear = (progress: unknown): void => tell({ progress });
  parts.news.set(foreignId, hear);
  try {
    const earlier = mayBeAnswered(context) ? await parts.answers.find(foreignId) : undefined;
    if (earlier !== undefined) return outputOf(earlier, context);
    const by = await send(parts, task, foreignId, { context, signal, leave: tell });
    // Whoever said it may have been answered before anybody listened here.
    const before = by === "others" ? await parts.answers.find(foreignId) : undefined;
    return outputOf(before ?? (await answered), context);
  } catch (error) {
    if (isCancellation(context.signal)) await sayCancelled(parts, task, foreignId);
    throw error;
  } finally {
    clearTimeout(timer);
    // The next attempt may listen already.
    if (parts.news.get(foreignId) === hear) parts.news.delete(foreignId);
    // Ends the waiting of an attempt that ended otherwise.
    patience.abort(new Error("the attempt is over"));
  }
}

/** Says the request unless it is said already; returns whose saying the answer will be to. */
async function send(
  parts: MemberParts,
  task: MemberTask,
  foreignId: string,
  { context, signal, leave }: { context: TaskContext; signal: AbortSignal; leave: (left: Left) => void },
): Promise<"us" | "others"> {
  const { fleet, rule } = parts;
  const before = leftBefore(context);
  if (before.stored || (before.sent && rule.delivery === "atMostOnce")) return "us";
  const outgoing = rule.request(task, foreignId);
  if (outgoing === undefined) return "others";
  leave({ sent: true, stored: false });
  const sentFor = { taskId: task.taskId, traceparent: task.traceparent, part: foreignId };
  await untilNotRefused(() => sendOutgoing(fleet, outgoing, sentFor), parts, task, signal);
  // A stream keeps what it has for longer than it knows message ids: from here on sending again could double it.
  if (outgoing.via !== "core") leave({ sent: true, stored: true });
  return "us";
}

/**
 * Refused is not sent, whatever the rule: it may be said again, and here, because to another attempt of `atMostOnce` it
 * would look as if it had been sent.
 */
async function untilNotRefused(
  publish: () => Promise<void>,
  { rule, logger }: MemberParts,
  { taskId }: MemberTask,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      return await publish();
    } catch (error) {
      const isRefused = error instanceof PerdureError && refusals.has(error.code);
      if (rule.delivery !== "atMostOnce" || !isRefused) throw error;
      logger.warn({ taskId, err: error }, "the fleet does not take a request now; it is said again");
      await untilAborted(() => delay(SAY_AGAIN_MS), signal);
    }
  }
}

function leftBefore({ heartbeatDetails }: TaskContext): Left {
  const left: Partial<Record<keyof Left, unknown>> =
    typeof heartbeatDetails === "object" && heartbeatDetails !== null ? heartbeatDetails : {};
  return { sent: left.sent === true, stored: left.stored === true };
}

/** An attempt that was handed back does not count, so the number alone does not tell. */
const mayBeAnswered = (context: TaskContext): boolean => context.attempt > 1 || leftBefore(context).sent;

function outputOf(outcome: MemberOutcome, context: TaskContext): unknown {
  if (outcome.usage !== undefined) context.reportUsage(outcome.usage);
  if (outcome.status === "completed") return outcome.output;
  throw new TaskFailure(outcome.error.message, { type: outcome.error.type, nonRetryable: true });
}

const silent = ({ taskId, agentId }: MemberTask, withinMs: number) =>
  new TaskFailure(
    `${agentId} did not answer task ${taskId} within ${withinMs} ms; whether it was done is unknown, and it is not asked again.`,
    { type: "MEMBER_SILENT", nonRetryable: true },
  );

const isCancellation = (signal: AbortSignal): boolean =>
  signal.aborted && signal.reason instanceof AttemptStopped && signal.reason.kind === "cancelled";

async function sayCancelled({ fleet, rule, logger }: MemberParts, task: MemberTask, foreignId: string): Promise<void> {
  const outgoing = rule.cancel?.(task, foreignId);
  if (outgoing === undefined) return;
  try {
    await sendOutgoing(fleet, outgoing, { taskId: task.taskId, traceparent: task.traceparent, part: "cancel" });
  } catch (error) {
    logger.warn({ taskId: task.taskId, err: error }, "the fleet could not be told of a cancellation");
  }
}
