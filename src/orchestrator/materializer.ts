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
import { type Logger, SampledLog } from "../logger.js";
import type { Checkpoint, ResultsPosition } from "../protocol/fact.js";
import type { TaskId } from "../protocol/ids.js";
import { encodeStored } from "../protocol/stored-record.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { CommitLoop } from "./commit-loop.js";
import { giveBack, type Picture, type RecordWrite, takePicture } from "./copy-picture.js";
import type { EndedTasks } from "./ended-tasks.js";
import { LiveSweep, type SweptBucket } from "./live-sweep.js";
import type { OnMilestone } from "./milestone.js";
import type { ProcessTally } from "./process-tally.js";
import { RecentlyEnded } from "./recently-ended.js";
import type { RunCopies, RunPicture } from "./run-copies.js";

export interface WritableBucket {
  write(changes: readonly RecordWrite[], signal: AbortSignal): Promise<{ readonly outcome: "written" | "fenced" }>;
}

export interface MaterializerOptions {
  readonly ledger: Ledger;
  readonly loop: CommitLoop;
  readonly endedTasks: EndedTasks;
  readonly buckets: {
    readonly tasks: WritableBucket & SweptBucket;
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
  readonly tally: ProcessTally;
  readonly onFenced: () => void;
  /** Ends the waiting for a server that does not answer; what was not copied is in the journal. */
  readonly signal: AbortSignal;
  readonly onMilestone?: OnMilestone | undefined;
  /** Task ids whose keys are in the live bucket at the start. */
  readonly liveKeys: Set<TaskId>;
  readonly checkpointSequence: number;
  /** Of the last checkpoint. */
  readonly liveFrom: number;
}

/** How long changes gather before they are copied: most tasks end meanwhile and are written once. */
const INTERVAL_MS = 250;
/**
 * A live task younger than this is left for the next copy, and the checkpoint behind it: most tasks end first and are
 * written once instead of three times (live, ended, and the deletion of the live key).
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

interface Copy {
  readonly picture: Picture;
  readonly runs: RunPicture;
  readonly checkpoint: Checkpoint;
}

export class Materializer {
  readonly #options: MaterializerOptions;
  readonly #failed: SampledLog;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #lastTrimAt = 0;
  #lastCopyAt = 0;
  #flushesSeen = 0;
  readonly #recent = new RecentlyEnded();
  readonly #sweep: LiveSweep;
  /** The last checkpoint, while what it covers is still in the journal and among the results. */
  #untrimmed: Checkpoint | null = null;
  #copiedResult: ResultsPosition | null;
  #state: "running" | "stopped" = "stopped";
  checkpointSequence: number;

  constructor(options: MaterializerOptions) {
    this.#options = options;
    this.#failed = new SampledLog(
      options.logger,
      "error",
      "records could not be copied to the buckets; they are in the journal, and it is tried again",
      { linesMax: 1 },
    );
    this.checkpointSequence = options.checkpointSequence;
    const { ledger, liveKeys, liveFrom, buckets } = options;
    this.#sweep = new LiveSweep({ bucket: buckets.tasks, ledger, liveKeys, liveFrom });
    this.#copiedResult = options.loop.lastResult;
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

  /** Copies all there is, so that the next leader has nothing to replay. To be called after `stop`. */
  async finish(): Promise<void> {
    do await this.#copy(0);
    while (this.#options.ledger.dirtyTasks.size > 0 || this.#options.runs.isDirty);
  }

  /** Copies what was decided so far, but for live tasks younger than `youngMs`. */
  async #copy(youngMs: number): Promise<void> {
    // Nothing of the picture may be written before the flush it shows is on disk.
    const copy = await this.#options.loop.atNextBarrier((journal, results) =>
      this.#takeCopy(journal, results, youngMs),
    );
    await this.#write(copy);
    if (this.#isTrimDue()) await this.#trim();
  }

  #arm(): void {
    if (this.#state === "stopped") return;
    this.#timer = setTimeout(() => {
      this.#forgetSurplus();
      const work = this.#isCopyDue() ? this.#copy(YOUNG_MS) : this.#isTrimDue() ? this.#trim() : null;
      if (work === null) {
        this.#arm();
        return;
      }
      this.#running = work
        .catch((cause: unknown) => {
          // The journal holds everything; what was not copied now is copied next time or replayed.
          if (this.#state === "running") this.#failed.write({ err: cause });
        })
        .finally(() => {
          this.#running = null;
          this.#arm();
        });
    }, INTERVAL_MS);
  }

  #isCopyDue(): boolean {
    const { ledger, loop, clock } = this.#options;
    const inBurst = loop.flushCount - this.#flushesSeen > BURST_FLUSHES;
    this.#flushesSeen = loop.flushCount;
    const waitedMs = clock.monotonicNow() - this.#lastCopyAt;
    if (ledger.dirtyTasks.size === 0 && ledger.dirtyAgents.size === 0 && !this.#options.runs.isDirty) {
      // Results that changed nothing still have to leave their stream.
      if (loop.lastResult === this.#copiedResult || waitedMs < TRIM_INTERVAL_MS) return false;
    } else if (inBurst && waitedMs < BURST_WAIT_MS_MAX && ledger.dirtyTasks.size < BURST_RECORDS_MAX) {
      return false;
    }
    this.#lastCopyAt = clock.monotonicNow();
    return true;
  }

  #isTrimDue(): boolean {
    if (this.#untrimmed === null) return false;
    return this.#state === "stopped" || this.#options.clock.monotonicNow() - this.#lastTrimAt >= TRIM_INTERVAL_MS;
  }

  async #trim(): Promise<void> {
    const { trim, clock, onMilestone } = this.#options;
    const checkpoint = this.#untrimmed;
    if (checkpoint === null) return;
    this.#lastTrimAt = clock.monotonicNow();
    await trim(checkpoint);
    this.#untrimmed = null;
    await onMilestone?.("journal trimmed");
  }

  #takeCopy(journalSequence: number, lastResult: ResultsPosition | null, youngMs: number): Copy {
    const { ledger, clock, liveKeys } = this.#options;
    const now = clock.now();
    const runs = this.#options.runs.take(journalSequence, now, youngMs);
    this.#sweep.beginIfDue(journalSequence);
    const picture = takePicture({ ledger, liveKeys, journalSequence, now, youngMs, liveMax: LIVE_RECORDS_MAX });
    return {
      picture,
      runs: runs.picture,
      checkpoint: {
        // What is left out changed after the last checkpoint: that one never has to be taken back.
        journalSequence: Math.max(Math.min(picture.complete, runs.complete), this.checkpointSequence),
        highWaterMark: journalSequence,
        lastResult,
        nextOrder: ledger.nextOrder,
        liveFrom: this.#sweep.liveFromAt(picture.complete),
        at: now,
      },
    };
  }

  async #write({ picture, runs, checkpoint }: Copy): Promise<void> {
    const { buckets, writeCheckpoint, clock, onFenced, signal, onMilestone, tally, ledger, liveKeys } = this.#options;
    const startedAt = clock.monotonicNow();
    const endedLengths: number[] = [];
    try {
      // Ended before live: a key must be in one of the two at any time.
      const steps = [
        {
          milestone: "ended tasks copied",
          run: () => this.#writeEnded(picture.ended, checkpoint.highWaterMark, endedLengths),
        },
        { milestone: "histories copied", run: () => this.#writeHistories(runs) },
        { milestone: "runs copied", run: () => buckets.runs.write(runs.records, signal) },
        { milestone: "live tasks copied", run: () => buckets.tasks.write(picture.live, signal) },
        { milestone: "agents copied", run: () => buckets.agents.write(picture.agents, signal) },
        { milestone: "checkpoint written", run: () => writeCheckpoint(checkpoint) },
      ] as const;
      for (const { milestone, run } of steps) {
        if ((await run()).outcome === "fenced") {
          onFenced();
          return;
        }
        await onMilestone?.(milestone);
      }
    } catch (cause) {
      tally.failedCopies += 1;
      // Behind the last checkpoint that was written is behind every change that was not copied.
      this.#options.runs.notWritten(runs, this.checkpointSequence + 1);
      giveBack(picture, { ledger, liveKeys, since: this.checkpointSequence + 1 });
      throw cause;
    }
    this.checkpointSequence = checkpoint.journalSequence;
    this.#copiedResult = checkpoint.lastResult;
    this.#untrimmed = checkpoint;
    tally.copySeconds.observe((clock.monotonicNow() - startedAt) / 1_000);
    tally.copiedRecords.live += picture.live.length;
    tally.copiedRecords.ended += picture.ended.length;
    tally.copiedRecords.agents += picture.agents.length;
    this.#noteEnded(picture.ended, endedLengths);
    this.#options.runs.written(runs);
    this.#forgetSurplus();
    await this.#sweep.checkpointed(checkpoint.liveFrom, signal);
  }

  /** @param lengths takes what they come to as JSON */
  async #writeEnded(
    ended: readonly TaskRecord[],
    sequence: number,
    lengths: number[],
  ): Promise<{ readonly outcome: "written" | "fenced" }> {
    const { buckets, signal, retentionMs } = this.#options;
    for (let start = 0; start < ended.length; start += ENDED_SLICE) {
      // Retention starts when nobody needs the task any more, which for most is when it ended.
      const writes = ended.slice(start, start + ENDED_SLICE).map((record) => {
        const value = encodeStored(sequence, record);
        lengths.push(value.length);
        return { key: record.spec.taskId, value, ttlMs: retentionMs };
      });
      const written = await buckets.endedTasks.write(writes, signal);
      if (written.outcome === "fenced") return written;
    }
    return { outcome: "written" };
  }

  async #writeHistories(runs: RunPicture): Promise<{ readonly outcome: "written" | "fenced" }> {
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

  #noteEnded(ended: readonly TaskRecord[], lengths: readonly number[]): void {
    const { endedTasks, clock, retentionMs } = this.#options;
    const expiresAt = clock.monotonicNow() + retentionMs;
    for (const [index, { spec }] of ended.entries()) {
      endedTasks.add(spec.taskId, clock.now());
      this.#recent.add({ taskId: spec.taskId, length: lengths[index] ?? 0, expiresAt });
    }
  }

  #forgetSurplus(): void {
    const { ledger, clock } = this.#options;
    for (const taskId of this.#recent.takeSurplus(clock.monotonicNow())) {
      // One that changed again comes back here when it was copied as it is now.
      if (!ledger.dirtyTasks.has(taskId)) ledger.forgetTask(taskId);
    }
  }
}
