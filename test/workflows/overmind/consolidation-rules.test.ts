import { describe, expect, it } from "vitest";
import {
  type Consolidation,
  consolidate,
  MemoryRecord,
  retire,
  withSettled,
} from "../../../workflows/overmind/consolidation-rules.js";
import type { ConsolidatedEvent } from "../../../workflows/overmind/messages.js";
import { givenConsolidated } from "./given.js";

const known: MemoryRecord = {
  memoryId: "m-1",
  state: "live",
  tier: "working",
  importance: 0.6,
  accessCount: 5,
  mergedInto: null,
  mergedFrom: [],
  settled: false,
  unsettled: [],
  updatedAt: 1_771_813_755_000,
  events: ["e-0"],
};

interface Row {
  readonly what: string;
  readonly event?: Partial<ConsolidatedEvent>;
  readonly known?: Partial<MemoryRecord>;
  readonly outcome: Consolidation["outcome"];
  readonly record: Partial<MemoryRecord>;
}

describe("a memory that is new", () => {
  it.each<Row>([
    {
      what: "is kept as it was told",
      outcome: "kept",
      record: { tier: "short-term", importance: 0.3, accessCount: 0 },
    },
    {
      what: "is promoted when it was asked for often",
      event: { accessCount: 3 },
      outcome: "promoted",
      record: { tier: "working" },
    },
    {
      what: "is promoted when it is important",
      event: { importance: 0.5 },
      outcome: "promoted",
      record: { tier: "working" },
    },
    {
      what: "is promoted by one tier at a time",
      event: { importance: 0.9 },
      outcome: "promoted",
      record: { tier: "working" },
    },
    {
      what: "is given up when it is worth nothing",
      event: { importance: 0.05 },
      outcome: "expired",
      record: { state: "expired" },
    },
    {
      what: "is kept when somebody asked for it",
      event: { importance: 0.05, accessCount: 1 },
      outcome: "kept",
      record: {},
    },
    {
      what: "is not given up in a higher tier",
      event: { importance: 0, tier: "working" },
      outcome: "kept",
      record: {},
    },
  ])("$what", ({ event, outcome, record }) => {
    expect(consolidate(givenConsolidated(event), undefined, [])).toMatchObject({ outcome, record });
  });
});

describe("a memory that is known", () => {
  it.each<Row>([
    {
      what: "never loses a tier",
      event: { tier: "short-term" },
      outcome: "kept",
      record: { tier: "working", importance: 0.6 },
    },
    { what: "takes the larger count", event: { accessCount: 4 }, outcome: "kept", record: { accessCount: 5 } },
    {
      what: "is promoted by its count",
      event: { accessCount: 10 },
      outcome: "promoted",
      record: { tier: "long-term" },
    },
    {
      what: "takes the importance that was said last",
      event: { importance: 0.2 },
      outcome: "kept",
      record: { importance: 0.2 },
    },
    {
      what: "keeps its importance when an older event comes late",
      event: { importance: 0.2, timestamp: "2026-02-23T02:29:14.999Z" },
      outcome: "kept",
      record: { importance: 0.6, updatedAt: known.updatedAt },
    },
    {
      what: "ignores an event that is told again",
      event: { eventId: "e-0", accessCount: 99 },
      outcome: "unchanged",
      record: known,
    },
    {
      what: "stays merged",
      known: { state: "merged", mergedInto: "m-2" },
      outcome: "unchanged",
      record: { mergedInto: "m-2" },
    },
    { what: "stays expired", known: { state: "expired" }, outcome: "unchanged", record: { state: "expired" } },
  ])("$what", ({ event, known: changed, outcome, record }) => {
    expect(consolidate(givenConsolidated(event), { ...known, ...changed }, [])).toMatchObject({ outcome, record });
  });
});

it("takes in other memories, each once", () => {
  const source = retire({ ...known, memoryId: "m-2", tier: "long-term", importance: 0.7, accessCount: 2 }, "m-1");
  const first = consolidate(givenConsolidated(), known, [source]);
  const second = consolidate(givenConsolidated({ eventId: "e-2" }), first.record, [source]);

  expect(source).toMatchObject({ state: "merged", mergedInto: "m-1" });
  expect(first.record).toMatchObject({ tier: "long-term", importance: 0.7, accessCount: 7, mergedFrom: ["m-2"] });
  expect(second.record).toMatchObject({ accessCount: 7, mergedFrom: ["m-2"], events: ["e-0", "e-1", "e-2"] });
});

it("stays as small as it was, whatever it has taken in and however that is called", () => {
  const taken = Array.from({ length: 300 }, (_, index) => `m-${index}-${"long ".repeat(200)}`);
  let record = known;
  for (const [index, memoryId] of taken.entries()) {
    const source = retire({ ...known, memoryId, accessCount: 1 }, known.memoryId);
    record = consolidate(givenConsolidated({ eventId: `merge-${index}` }), record, [source]).record;
    expect(record.unsettled).toHaveLength(1);
    record = withSettled(record, [memoryId]);
  }

  expect(record).toMatchObject({ accessCount: 305, unsettled: [] });
  expect(record.mergedFrom).toHaveLength(100);
  expect(JSON.stringify(record).length).toBeLessThan(10_000);
});

it("stays readable when producers say their largest number", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const source = retire({ ...known, memoryId: "m-2", accessCount: largest }, "m-1");
  const { record } = consolidate(givenConsolidated({ accessCount: largest }), known, [source]);

  expect(MemoryRecord.parse(JSON.parse(JSON.stringify(record))).accessCount).toBe(largest);
});
