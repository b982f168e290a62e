/**
 * A message whose handler's process ended at each delivery is given up by the server, which says so once, in an advisory.
 * A stream of ours keeps these, so that one said while nobody listened is read later; each becomes a dead letter.
 */
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { defineTopology } from "../jetstream/define-topology.js";
import { deleteMessage, messageAt, streamState } from "../jetstream/stream-access.js";
import { applyTopology } from "../jetstream/topology-apply.js";
import type { Logger } from "../logger.js";
import { exhaustedStreamOf, MaxDeliveriesAdvisory, maxDeliveriesAdvisories } from "../protocol/dead-letter.js";
import { type Consumption, MessageConsumption } from "./consumption.js";
import type { DeadLetterBox } from "./dead-letter-box.js";
import { Settlement } from "./settlement.js";

export interface ExhaustedOptions {
  readonly connection: Connection;
  readonly deadLetters: DeadLetterBox;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Nobody of ours consumes some consumers of the stream, and what is said of those is for others to read. */
const KEPT_FOR = "30d";

/** Watches a consumer. Several processes may, also of several namespaces: each advisory goes to one of them. */
export async function watchExhausted(
  { stream, consumer }: { readonly stream: string; readonly consumer: string },
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
  await applyTopology(connection, topology, { onDataLoss: "refuse", logger });
  return MessageConsumption.start(
    { connection, logger, settlement: new Settlement({ deadLetters: undefined, clock, logger }) },
    {
      stream: name,
      consumer,
      schema: MaxDeliveriesAdvisory,
      ack: "onHandled",
      handle: ({ body }) => buryExhausted(body, options),
    },
  );
}

async function buryExhausted(
  { stream, consumer, stream_seq: sequence, deliveries }: MaxDeliveriesAdvisory,
  { connection, deadLetters, clock, logger }: ExhaustedOptions,
): Promise<void> {
  const message = await messageAt(connection, stream, sequence).catch(undefinedWhereGone);
  // Whoever had it may have handled it after all, in a work queue, or it aged out, or somebody deleted the whole stream.
  if (message === undefined) {
    logger.warn({ stream, consumer, sequence }, "a message that was given up is gone from its stream");
    return;
  }
  await deadLetters.open(logger);
  const why = `Delivered ${deliveries} times and never acknowledged: whoever handled it ended, or hung, each time.`;
  const givenUp = { ...message, stream, consumer, deliveryCount: deliveries };
  await deadLetters.keep(givenUp, { reason: "exhausted", why, failedAt: clock.now() }, logger);
  logger.error({ stream, consumer, sequence, reason: "exhausted", deliveries }, "a message is a dead letter now");
  // Nobody is given it any more, and in a work queue it would lie there for ever.
  if ((await streamState(connection, stream)).retention === "workqueue")
    await deleteMessage(connection, stream, sequence);
}

function undefinedWhereGone(error: unknown): undefined {
  if (error instanceof PerdureError && error.code === "NOT_FOUND") return undefined;
  throw error;
}
