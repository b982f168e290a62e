/**
 * The state of a term in numbers, for whoever asks for metrics. Everything is kept up by the core as it goes; the cost
 * grows with the kinds of waiting work, never with the tasks.
 */
import { OTHER_LABEL } from "../core/labelled-counts.js";
import type { RunBook } from "../core/run/run-book.js";
import type { RunCensus } from "../core/run/run-census.js";
import type { AgentState } from "../protocol/system-message.js";
import type { StoredTaskState } from "../protocol/task-record.js";
import { capabilityKey, type Line, type ReadyQueue } from "../scheduler/ready-queue.js";
import type { Described } from "./describe.js";

export interface TermReading {
  /** Of unfinished tasks, and of ended ones still in memory. */
  readonly tasks: Readonly<Record<StoredTaskState, number>>;
  readonly queues: readonly QueueReading[];
  readonly agents: Readonly<Record<AgentState, number>>;
  /** Of healthy agents. */
  readonly places: { readonly total: number; readonly taken: number };
  /** Silent agents that keep their work, because most of them fell silent at once. */
  readonly heldAgents: number;
  readonly runs: RunCensus;
  /** How long the run that is stuck longest cannot go on; 0 where none is. */
  readonly oldestStuckAgeS: number;
  readonly outstandingEffects: number;
  readonly journalSequence: number;
  readonly checkpointSequence: number;
  /** Records whose last change is not in a bucket yet. */
  readonly uncopiedRecords: number;
  readonly isHearing: boolean;
  /** How the term began. */
  readonly recovery: Recovery;
}

export interface Recovery {
  /** From the lease to answering requests. */
  readonly durationS: number;
  /** Flushes that were replayed. */
  readonly flushes: number;
}

/** Queued tasks with the same required capabilities. */
export interface QueueReading {
  /** The capabilities, in order, joined by `+`. */
  readonly capability: string;
  readonly depth: number;
  /** How long its oldest task could have started; 0 where it is empty. */
  readonly oldestAgeS: number;
}

export function readTerm(described: Described, recovery: Recovery, queues: QueueLabels, now: number): TermReading {
  const { core, loop, journal, materializer, monitor } = described;
  const { ledger } = core;
  return {
    tasks: ledger.counts,
    queues: queues.read(ledger.queue, now),
    agents: ledger.agentCounts,
    places: ledger.pool.places,
    heldAgents: core.heldAgentCount,
    runs: ledger.runs.census,
    oldestStuckAgeS: oldestStuckAgeS(ledger.runs, now),
    outstandingEffects: loop.outstanding,
    journalSequence: journal.lastSequence,
    checkpointSequence: materializer.checkpointSequence,
    uncopiedRecords: ledger.dirtyTasks.size + ledger.dirtyAgents.size + ledger.runs.dirty.size,
    isHearing: monitor.isHearing,
    recovery,
  };
}

function oldestStuckAgeS({ stuck }: RunBook, now: number): number {
  const [oldest] = stuck;
  return ageS(oldest?.stuck?.since ?? null, now);
}

/** Sets of capabilities with a label of their own. */
const LABELS_MAX = 100;
/** Lines looked through for new labels and for the oldest of the rest. Lines that stand longest come first. */
const LINES_READ_MAX = 10_000;
/** A set may have many capabilities of 128 characters each. */
const LABEL_LENGTH_MAX = 200;

/** The first sets of capabilities that are found waiting keep their label for as long as this lives; the rest share one. */
export class QueueLabels {
  readonly #labelOf = new Map<string, string>();

  read(queue: ReadyQueue, now: number): QueueReading[] {
    const rest = this.#readRest(queue);
    const readings: QueueReading[] = [];
    let labelled = 0;
    for (const [key, capability] of this.#labelOf) {
      const line = queue.line(key);
      labelled += line?.size ?? 0;
      readings.push({ capability, depth: line?.size ?? 0, oldestAgeS: ageS(line?.waitingSince ?? null, now) });
    }
    if (this.#labelOf.size === LABELS_MAX) {
      readings.push({ capability: OTHER_LABEL, depth: queue.size - labelled, oldestAgeS: ageS(rest, now) });
    }
    return readings;
  }

  /** Gives labels while there are some; returns since when the oldest task without one waits. */
  #readRest(queue: ReadyQueue): number | null {
    let since: number | null = null;
    let read = 0;
    for (const line of queue.lines()) {
      read += 1;
      if (read > LINES_READ_MAX) break;
      const key = capabilityKey(line.capabilities);
      if (this.#labelOf.has(key)) continue;
      if (this.#labelOf.size < LABELS_MAX) this.#labelOf.set(key, labelOf(line, this.#labelOf.size));
      else since = Math.min(since ?? Number.POSITIVE_INFINITY, line.waitingSince ?? Number.POSITIVE_INFINITY);
    }
    return since;
  }
}

/** @param count tells apart those whose beginnings are alike */
function labelOf({ capabilities }: Line, count: number): string {
  const label = [...new Set(capabilities)].sort().join("+");
  if (label === "") return "(none)";
  return label.length <= LABEL_LENGTH_MAX ? label : `${label.slice(0, LABEL_LENGTH_MAX)}... (${count})`;
}

const ageS = (since: number | null, now: number): number => (since === null ? 0 : Math.max(0, now - since) / 1_000);
