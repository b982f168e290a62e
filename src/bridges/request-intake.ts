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
import { ruleFailed } from "./rule-failed.js";

export interface IntakeParts {
  readonly bridge: string;
  readonly fleet: Fleet;
  readonly client: Client;
  readonly logger: Logger;
}

/** Of one rule of the bridge, by its name. */
interface Intake extends IntakeParts {
  readonly name: string;
  readonly rule: AnyRequest;
}

type EndedRequest = Extract<AnyRequest, { ack: "onEnded" }>;

const IN_HAND_MAX = 100;
/** Of requests that lie in no stream: they are kept here while no orchestrator answers. */
const HEARD_MAX = 10_000;

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
  const intake = { ...parts, name, rule };
  const { from, schema } = rule;
  if ("subject" in from) {
    parts.fleet.listen(from.subject, schema, heard(intake), { queue: from.queue });
    return;
  }
  await parts.fleet.consume({
    ...from,
    schema,
    ack: rule.ack === "onReceipt" ? "onReceipt" : "onHandled",
    maxConcurrent: rule.maxConcurrent ?? IN_HAND_MAX,
    handle: (message, context) => take(intake, message, context),
    goOn: async (message, context) => rule.ack !== "onReceipt" && goOn(intake, message, context),
  });
}

/** Takes what lies in no stream. */
function heard(intake: Intake): (message: Received<unknown>) => void {
  const never = new AbortController().signal;
  const inHand = new Set<Received<unknown>>();
  return (message) => {
    // What this or another bridge of ours sent is a task already.
    if (message.header(TASK_HEADER) !== undefined) return;
    const lost = (error: unknown): void =>
      intake.logger.error({ subject: message.subject, err: error }, "a request that was heard became no task");
    if (inHand.size >= HEARD_MAX) {
      lost(new Error(`${HEARD_MAX} wait for an orchestrator already`));
      return;
    }
    inHand.add(message);
    take(intake, message, { signal: never })
      .catch(lost)
      .finally(() => inHand.delete(message));
  };
}

async function take(
  { name, rule, bridge, fleet, client }: Intake,
  message: Received<unknown>,
  { signal }: HandlingContext,
): Promise<void> {
  const traceparent = traceparentOf(message);
  const screening = await rule.screen?.(message.body, message);
  if (screening !== undefined && screening.verdict !== "pass") {
    if (screening.publish === undefined) return;
    const sentFor = { taskId: rejectedId(message), traceparent, part: `${bridge}-${name}-rejected` };
    await sendOutgoing(fleet, screening.publish, sentFor);
    return;
  }
  const requested = taskOf(rule, message);
  if (requested === undefined) return;
  const { traceparent: ownSpan, ...task } = requested;
  const handle = await unlessLasting("No task can be made of it", () =>
    client.submit(
      { ...task, metadata: { ...task.metadata, bridge, request: name } },
      // What lies in no stream comes no second time: it waits here for an orchestrator that is away.
      { traceparent: ownSpan, signal, timeoutMs: message.stored === undefined ? Number.POSITIVE_INFINITY : undefined },
    ),
  );
  if (rule.ack !== "onEnded") return;
  const ended = await handle.wait({ signal });
  await tellOutcome(rule, fleet, message, ended, ownSpan);
}

/**
 * A request that nobody is given any more, because bridges were stopped or ended as often as it may be delivered: its task, if
 * it became one, goes on all the same, and is waited for.
 */
async function goOn(
  { name, rule, bridge, fleet, client }: Intake,
  message: Received<unknown>,
  { signal }: HandlingContext,
): Promise<boolean> {
  const requested = taskOf(rule, message);
  if (requested === undefined) return false;
  const { taskId, traceparent } = requested;
  try {
    const { metadata } = await client.get(taskId, { signal });
    // Somebody else's of that id.
    if (metadata?.["bridge"] !== bridge || metadata["request"] !== name) return false;
  } catch (error) {
    if (error instanceof PerdureError && error.code === "NOT_FOUND") return false;
    throw error;
  }
  if (rule.ack !== "onEnded") return true;
  const ended = await client.wait(taskId, { signal });
  await tellOutcome(rule, fleet, message, ended, traceparent);
  return true;
}

/** What is asked for, under the id and the span that it has whenever it is asked for. */
function taskOf(rule: AnyRequest, message: Received<unknown>) {
  const requested = rule.task(message.body, message);
  if (requested === undefined) return undefined;
  const { traceparent = traceparentOf(message), ...task } = requested;
  const taskId = replayedId(taskIdOf(task.taskId ?? placeId(message)), message.replay);
  return { ...task, taskId, traceparent };
}

async function tellOutcome(
  rule: EndedRequest,
  fleet: Fleet,
  message: Received<unknown>,
  ended: EndedTask,
  traceparent: string | undefined,
): Promise<void> {
  const outcome = await outcomeOf(rule, ended, message);
  if (outcome === undefined) {
    if (ended.state === "completed") return;
    const why = ended.error?.message ?? ended.reason ?? "without a reason";
    throw new GivenUpError(`Task ${ended.taskId} ended ${ended.state}: ${why}`);
  }
  const all = Array.isArray(outcome) ? outcome : [outcome];
  for (const [index, outgoing] of all.entries()) {
    await unlessLasting(`The outcome of task ${ended.taskId} cannot be published`, () =>
      sendOutgoing(fleet, outgoing, { taskId: ended.taskId, traceparent, part: `outcome-${index}` }),
    );
  }
}

/** The same task gives the same outcome, so that a rule which throws at it will not do better another time. */
async function outcomeOf(rule: EndedRequest, ended: EndedTask, message: Received<unknown>) {
  try {
    return await rule.outcome?.(ended, message.body, message);
  } catch (thrown) {
    throw new GivenUpError(ruleFailed(`outcome of task ${ended.taskId}, which ended ${ended.state},`, thrown).message, {
      cause: thrown,
    });
  }
}

async function unlessLasting<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PerdureError && lastingCodes.has(error.code)) {
      throw new GivenUpError(`${what}: ${error.code}: ${error.message}`, { cause: error });
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
