/**
 * What consolidation makes of a memory. Pure, as workflow code runs it: what is known and what was said go in, what is
 * to be kept comes out.
 */
import { z } from "zod";
import { rememberedId } from "./bounded-names.js";
import { type ConsolidatedEvent, instantOf, Tier } from "./messages.js";

export const MemoryRecord = z.object({
  memoryId: z.string(),
  state: z.enum(["live", "merged", "expired"]),
  tier: Tier,
  importance: z.number(),
  accessCount: z.int(),
  /** The memory that has taken this one in. */
  mergedInto: z.string().nullable(),
  /** The memories taken in last, for whoever looks: rememberedId of each. */
  mergedFrom: z.array(z.string()),
  /** Of a memory that was taken in: its figures are in those of the other, and it says so itself. */
  settled: z.boolean().default(false),
  /** rememberedId of those whose figures are in, and that do not say so themselves yet. */
  unsettled: z.array(z.string()).default([]),
  /** Epoch milliseconds of the newest event. */
  updatedAt: z.number(),
  /** Ids of the latest events that went into it: one that is told twice counts once. */
  events: z.array(z.string()),
});
export type MemoryRecord = z.infer<typeof MemoryRecord>;

/** Of a memory that never had one. */
const IMPORTANCE_DEFAULT = 0.3;
const EVENTS_KEPT = 100;
const MERGED_FROM_KEPT = 100;

/** The figures from which a memory is kept in the next tier; one of the two is enough. */
const promotions: Readonly<
  Record<Tier, { readonly to: Tier; readonly accesses: number; readonly importance: number } | null>
> = {
  "short-term": { to: "working", accesses: 3, importance: 0.5 },
  working: { to: "long-term", accesses: 10, importance: 0.8 },
  "long-term": null,
};
/** A memory of the lowest tier that nobody has asked for and that is worth less is given up. */
const IMPORTANCE_KEPT_MIN = 0.1;

export type Outcome = "kept" | "promoted" | "expired" | "unchanged";

export interface Consolidation {
  readonly outcome: Outcome;
  readonly record: MemoryRecord;
}

/**
 * @param known undefined for a memory that is consolidated for the first time
 * @param sources memories that are merged into it, all retired already, so that their figures stand still, and none settled
 */
export function consolidate(
  event: ConsolidatedEvent,
  known: MemoryRecord | undefined,
  sources: readonly MemoryRecord[],
): Consolidation {
  if (known !== undefined && (known.state !== "live" || hasTakenIn(known, event))) {
    return { outcome: "unchanged", record: known };
  }
  const merged = merge(event, known, sources);
  const tier = promoted(merged);
  if (tier !== merged.tier) return { outcome: "promoted", record: { ...merged, tier } };
  const isWorthless = tier === "short-term" && merged.accessCount === 0 && merged.importance < IMPORTANCE_KEPT_MIN;
  return isWorthless
    ? { outcome: "expired", record: { ...merged, state: "expired" } }
    : { outcome: "kept", record: merged };
}

/** Whether the event is among the latest that went into it. */
export function hasTakenIn({ events }: MemoryRecord, { eventId }: ConsolidatedEvent): boolean {
  return events.includes(rememberedId(eventId));
}

/** The state of a memory that another one takes in. */
export function retire(record: MemoryRecord, into: string): MemoryRecord {
  return { ...record, state: "merged", mergedInto: into };
}

/** The memory once those that it has taken in say so themselves. */
export function withSettled(record: MemoryRecord, memoryIds: readonly string[]): MemoryRecord {
  const said = new Set(memoryIds.map(rememberedId));
  return { ...record, unsettled: record.unsettled.filter((id) => !said.has(id)) };
}

function merge(
  event: ConsolidatedEvent,
  known: MemoryRecord | undefined,
  sources: readonly MemoryRecord[],
): MemoryRecord {
  const at = instantOf(event);
  const isNewest = known === undefined || at >= known.updatedAt;
  const unsettled = known?.unsettled ?? [];
  const fresh = sources.filter(({ memoryId }) => !unsettled.includes(rememberedId(memoryId)));
  const freshIds = fresh.map(({ memoryId }) => rememberedId(memoryId));
  // Counts only grow, so that the larger one is the later one; importance is what was said last.
  const accessCount = Math.max(known?.accessCount ?? 0, event.accessCount ?? 0);
  const said = isNewest ? (event.importance ?? known?.importance) : known.importance;
  return {
    memoryId: event.memoryId,
    state: "live",
    tier: highest([event.tier, ...(known === undefined ? [] : [known.tier]), ...fresh.map(({ tier }) => tier)]),
    importance: Math.max(said ?? IMPORTANCE_DEFAULT, ...fresh.map(({ importance }) => importance)),
    // Above this it would be no whole number any more, and the record unreadable.
    accessCount: Math.min(
      Number.MAX_SAFE_INTEGER,
      fresh.reduce((sum, source) => sum + source.accessCount, accessCount),
    ),
    mergedInto: null,
    mergedFrom: [...(known?.mergedFrom ?? []), ...freshIds].slice(-MERGED_FROM_KEPT),
    settled: false,
    unsettled: [...unsettled, ...freshIds],
    updatedAt: Math.max(at, known?.updatedAt ?? 0),
    events: [...(known?.events ?? []), rememberedId(event.eventId)].slice(-EVENTS_KEPT),
  };
}

function promoted({ tier, accessCount, importance }: MemoryRecord): Tier {
  const next = promotions[tier];
  if (next === null) return tier;
  return accessCount >= next.accesses || importance >= next.importance ? next.to : tier;
}

function highest(tiers: readonly Tier[]): Tier {
  return Tier.options.toReversed().find((tier) => tiers.includes(tier)) ?? "short-term";
}
