/**
 * The workflow behind each `memory.consolidated` event: the memories it takes in are retired, the rules are applied, the
 * result is written, and what expired is told to the platform. Each is a recorded step and may be repeated: a worker that
 * dies anywhere is followed by one that goes on from there.
 */
import { ApplicationFailure, type WorkflowDefinition, workflow } from "perdure";
import { z } from "zod";
import { consolidate, hasTakenIn, MemoryRecord, retire } from "./consolidation-rules.js";
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
    // All or none: a memory that was taken in is retired, and the others would wait for it.
    const unknown = taken.length === 0 ? [] : await ctx.step("look for sources", () => unknownOf(store, taken));
    if (unknown.length > 0) throw memoryUnknown(event, unknown);
    const sources: MemoryRecord[] = [];
    for (const memoryId of taken) {
      const source = await ctx.step("retire", () => retireInto(store, memoryId, event.memoryId));
      // What another memory has taken in already must not count twice.
      if (source.mergedInto === event.memoryId) sources.push(source);
    }
    for (;;) {
      const known = await ctx.step("read", () => store.read(event.memoryId));
      const { outcome, record } = consolidate(event, known.value, sources);
      const isWritten =
        outcome === "unchanged" || (await ctx.step("write", () => store.write(record, known.revision))) === "written";
      if (!isWritten) continue;
      // Also where a worker has written it and died before that was recorded.
      if (record.state === "expired" && hasTakenIn(record, event)) {
        await ctx.step("announce", () => announceExpiry(announce, event, record));
      }
      return { outcome, memory: record };
    }
  });
}

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

async function unknownOf(store: MemoryStore, memoryIds: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(memoryIds.map((memoryId) => store.read(memoryId)));
  return memoryIds.filter((_, index) => found[index]?.value === undefined);
}

function memoryUnknown({ eventId, memoryId }: ConsolidatedEvent, unknown: readonly string[]): ApplicationFailure {
  return new ApplicationFailure(
    `event ${eventId} merges ${unknown.join(", ")} into memory ${memoryId}, and nothing is known of ${unknown.join(", ")}; nothing was changed. Publish what is missing, then replay the event`,
    { type: "MEMORY_UNKNOWN", nonRetryable: true },
  );
}

/** The memory as it stays from now on. */
async function retireInto(store: MemoryStore, memoryId: string, into: string): Promise<MemoryRecord> {
  for (;;) {
    const { value: known, revision } = await store.read(memoryId);
    if (known === undefined) throw new Error(`memory ${memoryId} is gone from the store; it was there a moment ago`);
    if (known.state === "merged") return known;
    const retired = retire(known, into);
    if ((await store.write(retired, revision)) === "written") return retired;
  }
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
