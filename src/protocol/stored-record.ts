/**
 * Records as the buckets hold them: with the journal sequence at which they stand, so that replay skips what is older,
 * and without the fields that are null, which are half of a typical record.
 */
import { z } from "zod";
import { AgentRecord } from "./agent-record.js";
import { HistoryEvent } from "./history-event.js";
import { RunRecord } from "./run-record.js";
import { TaskRecord } from "./task-record.js";

export const StoredTask = z.object({ sequence: z.int(), record: withNulls(TaskRecord) });
export type StoredTask = z.infer<typeof StoredTask>;

export const StoredAgent = z.object({ sequence: z.int(), record: withNulls(AgentRecord) });
export type StoredAgent = z.infer<typeof StoredAgent>;

export const StoredRun = z.object({ sequence: z.int(), record: withNulls(RunRecord) });
export type StoredRun = z.infer<typeof StoredRun>;

/** One chunk of a history. */
export const StoredEvents = z.array(HistoryEvent);

export function encodeStored(sequence: number, record: TaskRecord | AgentRecord | RunRecord): string {
  const present: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(record)) if (value !== null) present[field] = value;
  return `{"sequence":${sequence},"record":${JSON.stringify(present)}}`;
}

/** Puts the fields back that were left out because they were null. */
function withNulls<S extends z.ZodObject>(schema: S) {
  const nulls = Object.fromEntries(
    Object.entries(schema.shape)
      .filter(([, field]) => z.safeParse(field, null).success)
      .map(([name]) => [name, null]),
  );
  return z.preprocess(
    // Spreading both into a new object takes ten times as long, and leaves one that is slow to read.
    (value) => (typeof value === "object" && value !== null ? Object.assign({}, nulls, value) : value),
    schema,
  );
}
