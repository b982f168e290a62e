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
import { endedStates } from "../protocol/task-record.js";
import type { CommitLoop } from "./commit-loop.js";
import type { EndedTasks } from "./ended-tasks.js";
import type { OnMilestone } from "./milestone.js";
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
  };
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
/** How often memory is searched for agents that are out of their retention too. */
const AGENT_SWEEP_INTERVAL_MS = 3_600_000;
/** Ended tasks kept in memory for whoever asks right after the end. */
const RECENT_MAX = 10_000;

interface Picture {
  readonly checkpoint: Checkpoint;
  readonly live: RecordWrite[];
  readonly ended: RecordWrite[];
  readonly agents: RecordWrite[];
  readonly endedIds: TaskId[];
}

export class Materializer {
  readonly #options: MaterializerOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #lastTrimAt = 0;
  #lastSweepAt = 0;
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
      const { ledger, logger } = this.#options;
      this.#forgetAgents();
      const idle = ledger.dirtyTasks.size === 0 && ledger.dirtyAgents.size === 0;
      if (idle) return this.#arm();
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

  #takePicture(journalSequence: number, lastResult: ResultsPosition | null, youngMs: number): Picture {
    const { ledger, clock, retentionMs, liveKeys } = this.#options;
    const now = clock.now();
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
      endedIds: [],
    };
    const tasks = ledger.dirtyTasks;
    ledger.dirtyTasks = new Map();
    let complete = journalSequence;
    for (const [taskId, since] of tasks) {
      const record = ledger.tasks.get(taskId);
      if (record === undefined) continue;
      const isLive = !endedStates.has(record.state) || ledger.graph.hasDependents(taskId);
      // A clock that was set back makes nothing young.
      const ageMs = Math.abs(now - record.submittedAt);
      if (isLive && ageMs < youngMs && !liveKeys.has(taskId)) {
        ledger.dirtyTasks.set(taskId, since);
        complete = Math.min(complete, since - 1);
        continue;
      }
      const value = encodeStored(journalSequence, record);
      if (isLive) {
        liveKeys.add(taskId);
        picture.live.push({ key: taskId, value });
        continue;
      }
      // Retention starts when nobody needs the task any more, which for most is when it ended.
      picture.ended.push({ key: taskId, value, ttlMs: retentionMs });
      picture.endedIds.push(taskId);
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
        { milestone: "ended tasks copied", run: () => buckets.endedTasks.write(picture.ended, signal) },
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
    for (const taskId of picture.endedIds) endedTasks.add(taskId, clock.now());
    this.#forget(picture.endedIds);
    if (clock.monotonicNow() - this.#lastTrimAt >= TRIM_INTERVAL_MS || this.#state === "stopped") {
      this.#lastTrimAt = clock.monotonicNow();
      await this.#options.trim(picture.checkpoint);
      await onMilestone?.("journal trimmed");
    }
  }

  /** Drops agents from memory whose records have expired: ids may be new with every process of an agent. */
  #forgetAgents(): void {
    const { ledger, clock } = this.#options;
    if (clock.monotonicNow() - this.#lastSweepAt < AGENT_SWEEP_INTERVAL_MS) return;
    this.#lastSweepAt = clock.monotonicNow();
    for (const { agentId, endedAt } of [...ledger.agents.values()]) {
      if (endedAt !== null && clock.now() - endedAt > AGENT_TOMBSTONE_MS) ledger.forgetAgent(agentId);
    }
  }

  #forget(endedIds: readonly TaskId[]): void {
    for (const taskId of endedIds) this.#recent.push(taskId);
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
    for (const taskId of picture.endedIds) ledger.dirtyTasks.set(taskId, since);
    for (const { key } of picture.agents) ledger.dirtyAgents.set(key as AgentId, since);
  }
}
