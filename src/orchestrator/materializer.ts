/**
 * Journal -> buckets, behind the commit loop's back: copies changed records to JetStream KV, then writes the
 * checkpoint, then trims what the checkpoint covers.
 *
 * A crash at any point leaves the buckets at most ahead of the checkpoint, never behind it: each record says at which
 * journal sequence it stands, and replay skips older facts for it. An ended task is written to its own bucket before
 * its key leaves the live one.
 */
import type { Clock } from "../clock.js";
import type { Ledger } from "../core/ledger.js";
import { AGENT_TOMBSTONE_MS } from "../core/settings.js";
import type { Logger } from "../logger.js";
import type { Checkpoint, ResultsPosition } from "../protocol/fact.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import { endedStates, type TaskRecord } from "../protocol/task-record.js";
import type { CommitLoop } from "./commit-loop.js";
import type { EndedTasks } from "./ended-tasks.js";
import type { OnMilestone } from "./milestone.js";
import type { RunCopies, RunPicture } from "./run-copies.js";
import { encodeStored } from "./stored-record.js";

export interface RecordWrite {
  readonly key: string;
  /** null: the key goes. */
  readonly value: string | null;
  readonly ttlMs?: number;
}

export interface WritableBucket {
  write(changes: readonly RecordWrite[], signal: AbortSignal): Promise<{ readonly outcome: "written" | "fenced" }>;
}

export interface MaterializerOptions {
  readonly ledger: Ledger;
  readonly loop: CommitLoop;
  readonly endedTasks: EndedTasks;
  readonly buckets: {
    readonly tasks: WritableBucket;
    readonly endedTasks: WritableBucket;
    readonly agents: WritableBucket;
    readonly runs: WritableBucket;
    readonly histories: WritableBucket & {
      loadUnder(prefix: string, signal?: AbortSignal): AsyncIterable<{ readonly key: string; readonly value: unknown }>;
    };
  };
  readonly runs: RunCopies;
  readonly writeCheckpoint: (checkpoint: Checkpoint) => Promise<{ readonly outcome: "written" | "fenced" }>;
  /** Drops what the checkpoint covers from the journal and the results. */
  readonly trim: (checkpoint: Checkpoint) => Promise<void>;
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFenced: () => void;
  /** Ends the waiting for a server that does not answer; what was not copied is in the journal. */
  readonly signal: AbortSignal;
  readonly onMilestone?: OnMilestone | undefined;
  /** Task ids whose keys are in the live bucket at the start. */
  readonly liveKeys: Set<TaskId>;
  readonly checkpointSequence: number;
}

/** How long changes gather before they are copied: most tasks end meanwhile and are written once. */
const INTERVAL_MS = 250;
/**
 * A live task younger than this is left for the next copy, and the checkpoint behind it: most tasks end first and are
 * written once instead of three times (live, ended, and the deletion of the live key, which costs the server an fsync
 * of its own when its tombstone expires).
 */
const YOUNG_MS = 1_000;
/** Trimming is a request to the server each; it need not follow every checkpoint. */
const TRIM_INTERVAL_MS = 5_000;
/** This many flushes within one interval are a burst: copying waits for its end, for the server has better to do. */
const BURST_FLUSHES = 50;
/** How long a burst may hold back a copy, and how many records; both bound what a new leader has to replay. */
const BURST_WAIT_MS_MAX = 5_000;
const BURST_RECORDS_MAX = 20_000;
/** Live tasks in one copy: they are encoded while everything else waits. The rest follows in the next. */
const LIVE_RECORDS_MAX = 5_000;
/** Ended tasks written at a time; they change no more, so they are encoded as they go. */
const ENDED_SLICE = 900;
/** Ended tasks kept in memory for whoever asks right after the end. */
const RECENT_MAX = 10_000;

interface Picture {
  readonly checkpoint: Checkpoint;
  readonly live: RecordWrite[];
  readonly ended: TaskRecord[];
  readonly agents: RecordWrite[];
  readonly runs: RunPicture;
}

export class Materializer {
  readonly #options: MaterializerOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #lastTrimAt = 0;
  #lastCopyAt = 0;
  #flushesSeen = 0;
  /** Ended tasks still in memory, oldest first. */
  #recent: TaskId[] = [];
  #state: "running" | "stopped" = "stopped";
  checkpointSequence: number;

  constructor(options: MaterializerOptions) {
    this.#options = options;
    this.checkpointSequence = options.checkpointSequence;
  }

  start(): void {
    this.#state = "running";
    this.#arm();
  }

  /** Stops after the copy under way. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  /** Copies what was decided so far, but for live tasks younger than `youngMs`: with 0, the next leader has nothing to replay. */
  async runOnce(youngMs: number): Promise<void> {
    // Nothing of the picture may be written before the flush it shows is on disk.
    const picture = await this.#options.loop.atNextBarrier((journal, results) =>
      this.#takePicture(journal, results, youngMs),
    );
    await this.#write(picture);
  }

  #arm(): void {
    if (this.#state === "stopped") return;
    this.#timer = setTimeout(() => {
      const { logger } = this.#options;
      if (!this.#isDue()) {
        this.#arm();
        return;
      }
      this.#running = this.runOnce(YOUNG_MS)
        .catch((cause: unknown) => {
          // The journal holds everything; what was not copied now is copied next time or replayed.
          if (this.#state === "running")
            logger.error({ err: cause }, "records could not be copied to the buckets; trying again");
        })
        .finally(() => {
          this.#running = null;
          this.#arm();
        });
    }, INTERVAL_MS);
  }

  #isDue(): boolean {
    const { ledger, loop, clock } = this.#options;
    const { flushes } = loop.stats;
    const inBurst = flushes - this.#flushesSeen > BURST_FLUSHES;
    this.#flushesSeen = flushes;
    if (ledger.dirtyTasks.size === 0 && ledger.dirtyAgents.size === 0 && !this.#options.runs.isDirty) return false;
    const waitedMs = clock.monotonicNow() - this.#lastCopyAt;
    if (inBurst && waitedMs < BURST_WAIT_MS_MAX && ledger.dirtyTasks.size < BURST_RECORDS_MAX) return false;
    this.#lastCopyAt = clock.monotonicNow();
    return true;
  }

  #takePicture(journalSequence: number, lastResult: ResultsPosition | null, youngMs: number): Picture {
    const { ledger, clock, liveKeys } = this.#options;
    const now = clock.now();
    const runs = this.#options.runs.take(journalSequence, now, youngMs);
    const picture: Picture = {
      checkpoint: {
        journalSequence,
        highWaterMark: journalSequence,
        lastResult,
        nextOrder: ledger.nextOrder,
        at: now,
      },
      live: [],
      ended: [],
      agents: [],
      runs: runs.picture,
    };
    const tasks = ledger.dirtyTasks;
    ledger.dirtyTasks = new Map();
    let { complete } = runs;
    for (const [taskId, since] of tasks) {
      const record = ledger.tasks.get(taskId);
      if (record === undefined) {
        // An activation or a step that took long enough to be copied, and is over.
        if (liveKeys.delete(taskId)) picture.live.push({ key: taskId, value: null });
        continue;
      }
      const isLive = !endedStates.has(record.state) || ledger.graph.hasDependents(taskId);
      // A clock that was set back makes nothing young.
      const ageMs = Math.abs(now - record.submittedAt);
      const isYoung = ageMs < youngMs && !liveKeys.has(taskId);
      if (isLive && (isYoung || (youngMs > 0 && picture.live.length >= LIVE_RECORDS_MAX))) {
        ledger.dirtyTasks.set(taskId, since);
        complete = Math.min(complete, since - 1);
        continue;
      }
      if (isLive) {
        liveKeys.add(taskId);
        picture.live.push({ key: taskId, value: encodeStored(journalSequence, record) });
        continue;
      }
      picture.ended.push(record);
      if (liveKeys.delete(taskId)) picture.live.push({ key: taskId, value: null });
    }
    const agents = ledger.dirtyAgents;
    ledger.dirtyAgents = new Map();
    for (const agentId of agents.keys()) {
      const record = ledger.agents.get(agentId);
      if (record === undefined) continue;
      const value = encodeStored(journalSequence, record);
      const ended = record.state === "lost" || record.state === "gone";
      picture.agents.push(ended ? { key: agentId, value, ttlMs: AGENT_TOMBSTONE_MS } : { key: agentId, value });
    }
    // What is left out changed after the last checkpoint: that one never has to be taken back.
    const covered = Math.max(complete, this.checkpointSequence);
    return { ...picture, checkpoint: { ...picture.checkpoint, journalSequence: covered } };
  }

  async #write(picture: Picture): Promise<void> {
    const { buckets, writeCheckpoint, endedTasks, clock, onFenced, signal, onMilestone } = this.#options;
    try {
      // Ended before live: a key must be in one of the two at any time.
      const steps = [
        { milestone: "ended tasks copied", run: () => this.#writeEnded(picture) },
        { milestone: "histories copied", run: () => this.#writeHistories(picture) },
        { milestone: "runs copied", run: () => buckets.runs.write(picture.runs.records, signal) },
        { milestone: "live tasks copied", run: () => buckets.tasks.write(picture.live, signal) },
        { milestone: "agents copied", run: () => buckets.agents.write(picture.agents, signal) },
        { milestone: "checkpoint written", run: () => writeCheckpoint(picture.checkpoint) },
      ] as const;
      for (const { milestone, run } of steps) {
        if ((await run()).outcome === "fenced") {
          onFenced();
          return;
        }
        await onMilestone?.(milestone);
      }
    } catch (cause) {
      this.#markDirtyAgain(picture);
      throw cause;
    }
    this.checkpointSequence = picture.checkpoint.journalSequence;
    for (const { spec } of picture.ended) endedTasks.add(spec.taskId, clock.now());
    this.#options.runs.written(picture.runs);
    this.#forget(picture.ended);
    if (clock.monotonicNow() - this.#lastTrimAt >= TRIM_INTERVAL_MS || this.#state === "stopped") {
      this.#lastTrimAt = clock.monotonicNow();
      await this.#options.trim(picture.checkpoint);
      await onMilestone?.("journal trimmed");
    }
  }

  async #writeEnded({ ended, checkpoint }: Picture): Promise<{ readonly outcome: "written" | "fenced" }> {
    const { buckets, signal, retentionMs } = this.#options;
    for (let start = 0; start < ended.length; start += ENDED_SLICE) {
      const slice = ended.slice(start, start + ENDED_SLICE);
      // Retention starts when nobody needs the task any more, which for most is when it ended.
      const writes = slice.map((record) => ({
        key: record.spec.taskId,
        value: encodeStored(checkpoint.highWaterMark, record),
        ttlMs: retentionMs,
      }));
      const written = await buckets.endedTasks.write(writes, signal);
      if (written.outcome === "fenced") return written;
    }
    return { outcome: "written" };
  }

  async #writeHistories({ runs }: Picture): Promise<{ readonly outcome: "written" | "fenced" }> {
    const { buckets, signal, retentionMs } = this.#options;
    const written = await buckets.histories.write(runs.chunks, signal);
    if (written.outcome === "fenced") return written;
    for (const runId of runs.expiring) {
      const again: RecordWrite[] = [];
      for await (const { key, value } of buckets.histories.loadUnder(runId, signal)) {
        again.push({ key, value: JSON.stringify(value), ttlMs: retentionMs });
      }
      const expiring = await buckets.histories.write(again, signal);
      if (expiring.outcome === "fenced") return expiring;
    }
    return { outcome: "written" };
  }

  #forget(ended: readonly TaskRecord[]): void {
    for (const { spec } of ended) this.#recent.push(spec.taskId);
    const surplus = this.#recent.length - RECENT_MAX;
    if (surplus <= 0) return;
    const { ledger } = this.#options;
    for (const taskId of this.#recent.slice(0, surplus)) {
      // One that changed again comes back here when it was copied as it is now.
      if (!ledger.dirtyTasks.has(taskId)) ledger.forgetTask(taskId);
    }
    this.#recent = this.#recent.slice(surplus);
  }

  #markDirtyAgain(picture: Picture): void {
    const { ledger, liveKeys } = this.#options;
    // Behind the last checkpoint that was written is behind every change that was not copied.
    const since = this.checkpointSequence + 1;
    for (const { key, value } of picture.live) {
      ledger.dirtyTasks.set(key as TaskId, since);
      // Whether the key went is unknown: it is taken out again, which costs nothing if it is not there.
      if (value === null) liveKeys.add(key as TaskId);
    }
    for (const { spec } of picture.ended) ledger.dirtyTasks.set(spec.taskId, since);
    this.#options.runs.notWritten(picture.runs, since);
    for (const { key } of picture.agents) ledger.dirtyAgents.set(key as AgentId, since);
  }
}
