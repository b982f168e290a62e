/** What the analysis of routing decisions adds up. Pure: totals and a batch go in, new totals come out. */
import { z } from "zod";
import { lineOf, OTHER } from "./bounded-names.js";
import { percentile, withLatency } from "./latency-sketch.js";
import { RoutingDecision, type RoutingKind, routingSubjects } from "./messages.js";
import { RecentIds } from "./recent-ids.js";
import { type SequenceRange, withSequence } from "./sequence-ranges.js";

const ModelTotals = z.object({
  selected: z.int(),
  /** Requests that came to this model because the one selected before did not do. */
  fallbacks: z.int(),
  /** US dollars, of the costs that were calculated. */
  cost: z.number(),
  byReason: z.partialRecord(RoutingDecision.shape.reason, z.int()),
  latencies: z.record(z.string(), z.int()),
});
type ModelTotals = z.infer<typeof ModelTotals>;

export const RoutingTotals = z.object({
  /** When the stream was made that the sequences are of, epoch milliseconds. */
  streamCreatedAt: z.number().nullable().default(null),
  /** Sequences in the stream that are in the totals. */
  counted: z.array(z.tuple([z.int(), z.int()])),
  /** Of the messages counted last, as RecentIds has them. */
  recent: z.string(),
  messages: z.int(),
  /** Messages that told again what had been told; they are in no other figure. */
  duplicates: z.int(),
  models: z.record(z.string(), ModelTotals),
});
export type RoutingTotals = z.infer<typeof RoutingTotals>;

export const noTotals: RoutingTotals = {
  streamCreatedAt: null,
  counted: [],
  recent: "",
  messages: 0,
  duplicates: 0,
  models: {},
};

export interface CountedMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly body: RoutingDecision;
}

/** Names come from messages, and the totals must fit into one stored value: further ones share this line. */
const MODELS_MAX = 100;

/** A stream that was made anew begins with 1 again, and what it has was not counted. */
export function withStream(totals: RoutingTotals, streamCreatedAt: number): RoutingTotals {
  if (totals.streamCreatedAt === streamCreatedAt) return totals;
  return { ...totals, streamCreatedAt, counted: totals.streamCreatedAt === null ? totals.counted : [] };
}

/** A message that is in the totals already changes nothing; neither does what it said, under another sequence. */
export function withMessages(totals: RoutingTotals, messages: readonly CountedMessage[]): RoutingTotals {
  let counted: readonly SequenceRange[] = totals.counted;
  let { messages: total, duplicates } = totals;
  const recent = new RecentIds(totals.recent);
  const models = new Map(Object.entries(totals.models));
  for (const { sequence, subject, body } of messages) {
    const next = withSequence(counted, sequence);
    if (next === null) continue;
    counted = next;
    if (!recent.add(subject, body.requestId)) {
      duplicates += 1;
      continue;
    }
    total += 1;
    const kind = kindOf(subject);
    if (kind === null) continue;
    const line = lineOf(body.selectedModel);
    const name = models.has(line) || models.size < MODELS_MAX ? line : OTHER;
    models.set(name, withDecision(models.get(name) ?? noModelTotals, kind, body));
  }
  return {
    streamCreatedAt: totals.streamCreatedAt,
    counted: counted.map(([from, through]) => [from, through]),
    recent: recent.toString(),
    messages: total,
    duplicates,
    models: Object.fromEntries(models),
  };
}

const noModelTotals: ModelTotals = { selected: 0, fallbacks: 0, cost: 0, byReason: {}, latencies: {} };

/** One decision is told on up to three subjects, so each figure is taken from one of them only. */
function withDecision(totals: ModelTotals, kind: RoutingKind, decision: RoutingDecision): ModelTotals {
  switch (kind) {
    case "selected":
      return {
        ...totals,
        selected: totals.selected + 1,
        byReason: { ...totals.byReason, [decision.reason]: (totals.byReason[decision.reason] ?? 0) + 1 },
        latencies: withLatency(totals.latencies, decision.estimatedLatency),
      };
    case "fallback":
      return {
        ...totals,
        fallbacks: totals.fallbacks + 1,
        latencies: withLatency(totals.latencies, decision.estimatedLatency),
      };
    case "cost":
      return { ...totals, cost: totals.cost + decision.estimatedCost };
  }
}

/** Null for a kind that was not there when this was written; the message counts, its figures do not. */
function kindOf(subject: string): RoutingKind | null {
  const kinds = Object.keys(routingSubjects) as RoutingKind[];
  return kinds.find((kind) => routingSubjects[kind] === subject) ?? null;
}

export interface RoutingReport {
  readonly messages: number;
  readonly duplicates: number;
  /** Fallbacks for each selection; null without any selection. */
  readonly fallbackRate: number | null;
  readonly cost: number;
  readonly models: readonly ModelReport[];
}

interface ModelReport {
  readonly model: string;
  readonly selected: number;
  readonly fallbacks: number;
  readonly cost: number;
  readonly byReason: ModelTotals["byReason"];
  /** Milliseconds, within two per cent. */
  readonly latency: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
}

/** The most selected model first. */
export function reportOf({ messages, duplicates, models }: RoutingTotals): RoutingReport {
  const rows = Object.entries(models)
    .map(([model, { latencies, ...totals }]) => ({
      model,
      ...totals,
      latency: { p50: percentile(latencies, 0.5), p95: percentile(latencies, 0.95), p99: percentile(latencies, 0.99) },
    }))
    .sort((a, b) => b.selected - a.selected);
  const sumOf = (read: (row: ModelReport) => number): number => rows.reduce((sum, row) => sum + read(row), 0);
  const selected = sumOf((row) => row.selected);
  return {
    messages,
    duplicates,
    fallbackRate: selected === 0 ? null : sumOf((row) => row.fallbacks) / selected,
    cost: sumOf((row) => row.cost),
    models: rows,
  };
}
