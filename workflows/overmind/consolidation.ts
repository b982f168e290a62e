/**
 * The workflow behind each `memory.consolidated` event: the memories it takes in are retired, the rules are applied, the
 * result is written, and what expired is told to the platform. Each is a recorded step and may be repeated: a worker that
 * dies anywhere is followed by one that goes on from there.
 */
import { ApplicationFailure, type WorkflowDefinition, workflow } from "perdure";
import { z } from "zod";
import { rememberedId } from "./bounded-names.js";
import {
  type Consolidation,
  consolidate,
  hasTakenIn,
  MemoryRecord,
  type Outcome,
  retire,
  withSettled,
} from "./consolidation-rules.js";
import type { MemoryStore } from "./memory-store.js";
import { ConsolidatedEvent, type MemoryEvent } from "./messages.js";

export const consolidationName = "consolidate-memory";

const Consolidated = z.object({
  outcome: z.enum(["kept", "promoted", "expired", "unchanged"]),
  memory: MemoryRecord,
});

const declaration = { input: ConsolidatedEvent, output: Consolidated };

/** Each is a step or two in the history of the run. */
const SOURCES_MAX = 100;

export interface ConsolidationParts {
  readonly store: MemoryStore;
  /** Tells the platform; the same event again is no second one. */
  readonly announce: (event: MemoryEvent) => Promise<unknown>;
}

export function consolidation({ store, announce }: ConsolidationParts): WorkflowDefinition<typeof declaration> {
  return workflow(consolidationName, declaration, async (ctx, event) => {
    const taken = mergedFrom(event);
    if (taken.length > 0) {
      // All or none: a memory that was taken in is retired, and the others would wait for it.
      const { unknown, into } = await ctx.step("look for sources", () => lookFor(store, taken, event.memoryId));
      if (unknown.length > 0) throw memoryUnknown(event, unknown);
      if (into !== null && isOver(into, event)) return { outcome: "unchanged" as const, memory: into };
    }
    const sources: MemoryRecord[] = [];
    for (const memoryId of taken) {
      const source = await ctx.step("retire", () => retireInto(store, memoryId, event.memoryId));
      // What another memory has taken in already must not count twice.
      if (source.mergedInto === event.memoryId) sources.push(source);
    }
    const { outcome, record } = await ctx.step("consolidate", () =>
      store.inTurn(event.memoryId, () => consolidateInto(store, event, sources)),
    );
    if (sources.length > 0) await ctx.step("settle", () => settle(store, event.memoryId, sources));
    // Also where a worker has written it and died before that was recorded.
    if (record.state === "expired" && hasTakenIn(record, event)) {
      await ctx.step("announce", () => announceExpiry(announce, event, record));
    }
    return { outcome, memory: record };
  });
}

/** What is merged or expired takes nothing in: its sources would be gone with it. */
const isOver = (into: MemoryRecord, event: ConsolidatedEvent): boolean =>
  into.state !== "live" && !hasTakenIn(into, event);

/** Memories that this one takes in: ids in `metadata.mergedFrom`. */
function mergedFrom({ eventId, memoryId, metadata }: ConsolidatedEvent): readonly string[] {
  const parsed = z.array(z.string().min(1)).max(SOURCES_MAX).nullish().safeParse(metadata?.["mergedFrom"]);
  if (!parsed.success) {
    throw new ApplicationFailure(
      `metadata.mergedFrom of event ${eventId} is no list of memory ids, ${SOURCES_MAX} at most; nothing was changed`,
      { type: "EVENT_INVALID", nonRetryable: true },
    );
  }
  return [...new Set(parsed.data ?? [])].filter((id) => id !== memoryId);
}

async function lookFor(store: MemoryStore, memoryIds: readonly string[], intoId: string) {
  const [into, ...found] = await Promise.all([intoId, ...memoryIds].map((memoryId) => store.read(memoryId)));
  return {
    unknown: memoryIds.filter((_, index) => found[index]?.value === undefined),
    into: into?.value ?? null,
  };
}

function memoryUnknown({ eventId, memoryId }: ConsolidatedEvent, unknown: readonly string[]): ApplicationFailure {
  return new ApplicationFailure(
    `event ${eventId} merges ${unknown.join(", ")} into memory ${memoryId}, and nothing is known of ${unknown.join(", ")}; nothing was changed. Publish what is missing, then replay the event`,
    { type: "MEMORY_UNKNOWN", nonRetryable: true },
  );
}

/** Events of one memory may come to several workers at once: who loses the race reads again. */
async function consolidateInto(
  store: MemoryStore,
  event: ConsolidatedEvent,
  sources: readonly MemoryRecord[],
): Promise<Consolidation> {
  let outcome: Outcome = "unchanged";
  const record = await store.change(event.memoryId, async (known) => {
    // Asked after it was read: a memory forgets only those that say so, and who has read it before that loses the race.
    const consolidated = consolidate(event, known, await unsettledOf(store, sources));
    outcome = consolidated.outcome;
    return consolidated.record;
  });
  return { outcome, record };
}

async function unsettledOf(store: MemoryStore, sources: readonly MemoryRecord[]): Promise<readonly MemoryRecord[]> {
  const found = await Promise.all(sources.map(({ memoryId }) => store.read(memoryId)));
  return sources.filter((_, index) => found[index]?.value?.settled !== true);
}

/** Sources that are counted say so themselves from now on, so that the memory need not remember each for ever. */
async function settle(store: MemoryStore, memoryId: string, sources: readonly MemoryRecord[]): Promise<void> {
  await store.change(memoryId, async (record) => {
    const counted = sources
      .map((source) => source.memoryId)
      .filter((id) => record?.unsettled.includes(rememberedId(id)));
    if (record === undefined || counted.length === 0) return record;
    for (const id of counted) {
      await store.change(id, (known) => (known === undefined || known.settled ? known : { ...known, settled: true }));
    }
    return withSettled(record, counted);
  });
}

/** The memory as it stays from now on. */
function retireInto(store: MemoryStore, memoryId: string, into: string): Promise<MemoryRecord> {
  return store.change(memoryId, (known) => {
    if (known === undefined) throw new Error(`memory ${memoryId} is gone from the store; it was there a moment ago`);
    return known.state === "merged" ? known : retire(known, into);
  });
}

async function announceExpiry(
  announce: ConsolidationParts["announce"],
  event: ConsolidatedEvent,
  { memoryId, tier, importance, accessCount }: MemoryRecord,
): Promise<void> {
  const { timestamp } = event;
  const eventId = `${event.eventId}-expired`;
  await announce({ eventId, timestamp, memoryId, eventType: "expired", tier, importance, accessCount });
}
