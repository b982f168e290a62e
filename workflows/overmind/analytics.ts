/**
 * The analysis of routing decisions, a thousand at a time. Totals and the sequences that are in them are one value in a
 * bucket, written before the batch is acknowledged: a batch that comes again after a crash, here or in another worker,
 * adds nothing.
 */
import type { Consumption, Fleet } from "perdure/bridges";
import { RoutingDecision } from "./messages.js";
import { noTotals, type RoutingReport, RoutingTotals, reportOf, withMessages, withStream } from "./routing-totals.js";
import type { StateBucket } from "./state-bucket.js";

const STREAM = "routing-decisions";
const KEY = "analytics.routing";
const BATCH_SIZE = 1_000;
/** How long the first message of a batch waits for the others. */
const BATCH_WAIT_MS = 1_000;

export interface AnalyticsParts {
  readonly fleet: Fleet;
  readonly bucket: StateBucket;
}

export async function startAnalytics({ fleet, bucket }: AnalyticsParts): Promise<Consumption> {
  const { createdAt } = await fleet.streamState(STREAM);
  await change(bucket, (totals) => withStream(totals, createdAt));
  return await fleet.consumeBatches({
    stream: STREAM,
    consumer: "analytics-consumer",
    schema: RoutingDecision,
    size: BATCH_SIZE,
    waitMs: BATCH_WAIT_MS,
    handle: async (messages) => {
      const counted = messages.flatMap(({ stored, subject, body }) =>
        stored === undefined ? [] : [{ sequence: stored.sequence, subject, body }],
      );
      const { createdAt: streamCreatedAt } = await fleet.streamState(STREAM);
      await change(bucket, (totals) => withMessages(withStream(totals, streamCreatedAt), counted));
    },
  });
}

export async function readRoutingReport(bucket: StateBucket): Promise<RoutingReport> {
  return reportOf((await bucket.read(KEY, RoutingTotals)).value ?? noTotals);
}

async function change(bucket: StateBucket, changed: (totals: RoutingTotals) => RoutingTotals): Promise<void> {
  await bucket.change(KEY, RoutingTotals, (totals = noTotals) => changed(totals));
}
