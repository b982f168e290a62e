/** Foreign requests into tasks of ours: screened, submitted, and answered by the rule. */
import { randomUUID } from "node:crypto";
import type { Client } from "../client/client.js";
import type { EndedTask } from "../client/task-outcome.js";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { AnyRequest } from "./bridge.js";
import type { HandlingContext } from "./consumption.js";
import type { Fleet } from "./fleet.js";
import { replayedId, taskIdOf } from "./foreign-id.js";
import { GivenUpError } from "./given-up-error.js";
import { sendOutgoing, traceparentOf } from "./outgoing.js";
import { type Received, TASK_HEADER } from "./received.js";

export interface IntakeParts {
  readonly bridge: string;
  readonly fleet: Fleet;
  readonly client: Client;
  readonly logger: Logger;
}

const IN_HAND_MAX = 100;

/** Refusals that asking again would not change. */
const lastingCodes: ReadonlySet<ErrorCode> = new Set([
  "ID_CONFLICT",
  "INVALID_ID",
  "INVALID_MESSAGE",
  "INVALID_PRIORITY",
  "PAYLOAD_TOO_LARGE",
  "DEPENDENCY_UNKNOWN",
  "DEPENDENCY_CYCLE",
  "WORKFLOW_ALREADY_STARTED",
]);

export async function startIntake(name: string, rule: AnyRequest, parts: IntakeParts): Promise<void> {
  const { fleet, logger } = parts;
  const { from, schema } = rule;
  if ("stream" in from) {
    await fleet.consume({
      ...from,
      schema,
      ack: rule.ack === "onReceipt" ? "onReceipt" : "onHandled",
      maxConcurrent: rule.maxConcurrent ?? IN_HAND_MAX,
      handle: (message, context) => take(name, rule, parts, message, context),
    });
    return;
  }
  const never = new AbortController().signal;
  const heard = (message: Received<unknown>): void => {
    // What this or another bridge of ours sent is a task already.
    if (message.header(TASK_HEADER) !== undefined) return;
    take(name, rule, parts, message, { signal: never }).catch((error: unknown) => {
      logger.error({ subject: message.subject, err: error }, "a request that was heard became no task");
    });
  };
  fleet.listen(from.subject, schema, heard, { queue: from.queue });
}

async function take(
  name: string,
  rule: AnyRequest,
  { bridge, fleet, client }: IntakeParts,
  message: Received<unknown>,
  { signal }: HandlingContext,
): Promise<void> {
  const traceparent = traceparentOf(message);
  const screening = await rule.screen?.(message.body, message);
  if (screening?.verdict === "rejected") {
    if (screening.publish === undefined) return;
    const sentFor = { taskId: rejectedId(message), traceparent, part: `${bridge}-${name}-rejected` };
    await sendOutgoing(fleet, screening.publish, sentFor);
    return;
  }
  const requested = rule.task(message.body, message);
  if (requested === undefined) return;
  const { traceparent: ownSpan = traceparent, ...task } = requested;
  const taskId = replayedId(taskIdOf(task.taskId ?? placeId(message)), message.replay);
  const handle = await submitted(() =>
    client.submit(
      { ...task, taskId, metadata: { ...task.metadata, bridge, request: name } },
      { traceparent: ownSpan, signal },
    ),
  );
  if (rule.ack !== "onEnded") return;
  const ended = await handle.wait({ signal });
  await tellOutcome(rule, fleet, message, ended, ownSpan);
}

async function tellOutcome(
  rule: Extract<AnyRequest, { ack: "onEnded" }>,
  fleet: Fleet,
  message: Received<unknown>,
  ended: EndedTask,
  traceparent: string | undefined,
): Promise<void> {
  const outcome = rule.outcome?.(ended, message.body, message);
  if (outcome === undefined) {
    if (ended.state === "completed") return;
    const why = ended.error?.message ?? ended.reason ?? "without a reason";
    throw new GivenUpError(`Task ${ended.taskId} ended ${ended.state}: ${why}`);
  }
  const all = Array.isArray(outcome) ? outcome : [outcome];
  for (const [index, outgoing] of all.entries()) {
    await sendOutgoing(fleet, outgoing, { taskId: ended.taskId, traceparent, part: `outcome-${index}` });
  }
}

async function submitted<T>(submit: () => Promise<T>): Promise<T> {
  try {
    return await submit();
  } catch (error) {
    if (error instanceof PerdureError && lastingCodes.has(error.code)) {
      throw new GivenUpError(`No task can be made of it: ${error.code}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** For requests that carry no id of their own: where they lie in their stream. */
function placeId({ stored, subject }: Received<unknown>): string {
  if (stored !== undefined) return `${stored.stream}-${stored.sequence}`;
  throw new GivenUpError(`The request on ${subject} has no id, and lies in no stream that would give it one.`);
}

/** What lies nowhere comes once, and two that look alike are two. */
const rejectedId = ({ stored }: Received<unknown>): string =>
  stored === undefined ? `screened-${randomUUID()}` : taskIdOf(`${stored.stream}-${stored.sequence}`);
