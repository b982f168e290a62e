/**
 * A message whose handler's process ended at each delivery is given up by the server, which says so once, in an advisory.
 * A stream of ours keeps these, so that one said while nobody listened is read later; each becomes a dead letter.
 */
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { defineTopology } from "../jetstream/define-topology.js";
import { deleteMessage, messageAt, type StoredMessage, streamState } from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import type { Logger } from "../logger.js";
import { exhaustedStreamOf, MaxDeliveriesAdvisory, maxDeliveriesAdvisories } from "../protocol/dead-letter.js";
import { type Consumption, type HandlingContext, MessageConsumption } from "./consumption.js";
import type { DeadLetterBox, GivenUp, Grounds } from "./dead-letter-box.js";
import { GivenUpError } from "./given-up-error.js";
import type { Stored } from "./received.js";
import { Settlement } from "./settlement.js";

export interface WatchedConsumer {
  readonly stream: string;
  readonly consumer: string;
}

/** Of a message that was given up, whether its work goes on elsewhere. Resolves with true once that has ended and was told. */
export type GoOn = (message: StoredMessage & Stored, context: HandlingContext) => Promise<boolean>;

export interface ExhaustedOptions {
  readonly connection: Connection;
  readonly deadLetters: DeadLetterBox;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly goOn: GoOn | undefined;
}

/** Nobody of ours consumes some consumers of the stream, and what is said of those is for others to read. */
const KEPT_FOR = "30d";
/** Some may have to be waited for. */
const IN_HAND_MAX = 100;

/**
 * Watches a consumer. Several processes may, also of several namespaces, which share its messages then: each advisory goes to
 * one of them. No namespace owns the stream: one that is deleted with everything of a namespace is made again by the next
 * process that finds it gone.
 */
export async function watchExhausted(
  { stream, consumer }: WatchedConsumer,
  options: ExhaustedOptions,
): Promise<Consumption> {
  const { connection, logger, clock } = options;
  const name = exhaustedStreamOf(stream);
  const topology = defineTopology(`exhausted ${stream}/${consumer}`, {
    streams: {
      [name]: {
        subjects: [maxDeliveriesAdvisories(stream)],
        retention: "workqueue",
        maxAge: KEPT_FOR,
        description: `Perdure: messages of ${stream} that were delivered as often as allowed, until they are dead letters.`,
      },
    },
    consumers: { [consumer]: { stream: name, filterSubjects: [maxDeliveriesAdvisories(stream, consumer)] } },
  });
  const apply = () => applyTopology(connection, topology, { onDataLoss: "refuse", logger });
  await apply();
  return MessageConsumption.start(
    { connection, logger, settlement: new Settlement({ deadLetters: undefined, clock, logger }) },
    {
      stream: name,
      consumer,
      schema: MaxDeliveriesAdvisory,
      ack: "onHandled",
      maxConcurrent: IN_HAND_MAX,
      handle: ({ body }, context) => dealWithExhausted(body, context, options),
    },
    apply,
  );
}

async function dealWithExhausted(
  { stream, consumer, stream_seq: sequence, deliveries }: MaxDeliveriesAdvisory,
  context: HandlingContext,
  options: ExhaustedOptions,
): Promise<void> {
  const { connection, logger } = options;
  const message = await messageAt(connection, stream, sequence).catch(undefinedWhereGone);
  // Whoever had it may have handled it after all, in a work queue, or it aged out, or somebody deleted the whole stream.
  if (message === undefined) {
    logger.warn({ stream, consumer, sequence }, "a message that was given up is gone from its stream");
    return;
  }
  const givenUp = { ...message, stream, consumer, deliveryCount: deliveries };
  const grounds = await groundsFor(givenUp, context, options);
  if (grounds !== undefined) await bury(givenUp, grounds, options);
  // Nobody is given it any more, and in a work queue it would lie there for ever.
  if ((await streamState(connection, stream)).retention === "workqueue")
    await deleteMessage(connection, stream, sequence);
}

/** Undefined where it was gone on with. */
async function groundsFor(
  message: StoredMessage & GivenUp,
  context: HandlingContext,
  { goOn, clock }: ExhaustedOptions,
): Promise<Grounds | undefined> {
  try {
    if (await goOn?.(message, context)) return undefined;
  } catch (error) {
    if (!(error instanceof GivenUpError)) throw error;
    return { reason: "failed", why: error.message, failedAt: clock.now() };
  }
  const why = `Delivered ${message.deliveryCount} times and never acknowledged: whoever handled it ended, or hung, each time.`;
  return { reason: "exhausted", why, failedAt: clock.now() };
}

async function bury(message: GivenUp, grounds: Grounds, { deadLetters, logger }: ExhaustedOptions): Promise<void> {
  const { stream, consumer, sequence, deliveryCount: deliveries } = message;
  await deadLetters.open(logger);
  await deadLetters.keep(message, grounds, logger);
  logger.error({ stream, consumer, sequence, reason: grounds.reason, deliveries }, "a message is a dead letter now");
}

function undefinedWhereGone(error: unknown): undefined {
  if (error instanceof PerdureError && error.code === "NOT_FOUND") return undefined;
  throw error;
}
