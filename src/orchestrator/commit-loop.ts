/**
 * The one write path: decisions are gathered, appended to the journal in one message, and only then let go.
 *
 * One append is in flight at a time; what is decided meanwhile goes into the next. So with fsync on, hundreds of
 * transitions cost what one does. A decision's facts never span two messages.
 *
 * What rests on no fact of its own (an answer about the state as it is, an order to an agent that nobody knows) goes out
 * at once while the lease says that this process leads. Where it does not, an empty flush says it: a leader that was
 * paused and has a successor by now must not speak.
 *
 * A crash before the append: nothing happened, and whoever asked will ask again. A crash after it: the facts hold,
 * and recovery derives the outstanding effects from state.
 */

import type { Outbox } from "../core/ledger.js";
import { PerdureError } from "../errors.js";
import { type Logger, SampledLog } from "../logger.js";
import type { ResultsPosition } from "../protocol/fact.js";
import { FLUSH_BYTES_TARGET } from "../protocol/limits.js";
import type { OnMilestone } from "./milestone.js";
import type { ProcessTally } from "./process-tally.js";
import type { Release } from "./release.js";

/** The journal as this loop needs it. */
export interface CommitLog {
  readonly lastSequence: number;
  append(
    flush: { readonly flushId: string; readonly bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<{ readonly outcome: "appended"; readonly sequence: number } | { readonly outcome: "fenced" }>;
}

/** One decision: durable as a whole or not at all. */
interface Group {
  /** The facts as JSON, joined by commas; empty where there are only effects. */
  readonly facts: string;
  readonly factCount: number;
  readonly releases: readonly Release[];
  readonly lastResult: ResultsPosition | null;
  readonly onDurable: OnDurable | null;
}

/** Called when a decision is on disk, with the journal sequence it is at, before its effects go. Must not throw. */
export type OnDurable = (sequence: number) => void;

/** Decisions that go into one flush. */
interface Gathered {
  readonly groups: readonly Group[];
  /** Of all of them; empty where there are only effects. */
  readonly facts: string;
  readonly factCount: number;
  readonly lastResult: ResultsPosition | null;
}

/** Somebody who wants a picture of the state as one flush leaves it. */
interface BarrierWait {
  /** Called while memory is exactly what that flush makes of the journal. */
  readonly takePicture: (journalSequence: number, lastResult: ResultsPosition | null) => void;
  /** Called when the flush is on disk. */
  readonly onDurable: () => void;
  readonly onEnd: (reason: PerdureError) => void;
}

/** A stream whose leader was killed takes 5-9 s to acknowledge again; much longer is an outage. */
const STALLED_MS = 10_000;

export class CommitLoop {
  readonly #log: CommitLog;
  readonly #leaderId: string;
  readonly #failed: SampledLog;
  readonly #beforeFlush: () => void;
  readonly #release: (release: Release) => void;
  readonly #onAppended: (sequence: number) => void;
  readonly #leadsForCertain: () => boolean;
  readonly #tally: ProcessTally;
  readonly #onMilestone: OnMilestone | undefined;
  readonly #onEnd: (reason: "fenced" | PerdureError) => void;

  #pending: Group[] = [];
  #lastResult: ResultsPosition | null;
  #flushCount = 0;
  #state: "idle" | "scheduled" | "appending" | "ended" = "idle";
  #barrierWaits: BarrierWait[] = [];
  #barrierUnderWay: readonly BarrierWait[] = [];
  /** Decisions taken up and decisions let go, ever. */
  #takenUp = 0;
  #gone = 0;
  /** In the order of what they wait for. */
  #drainWaits: { readonly until: number; readonly resolve: () => void }[] = [];
  #appendStartedAt = 0;
  readonly #abort = new AbortController();
  /** Effects and answers that were decided on and have not been let go yet. */
  #outstanding = 0;

  constructor(options: {
    readonly log: CommitLog;
    /** Tells this leadership's flushes from all others. */
    readonly leaderId: string;
    readonly lastResult: ResultsPosition | null;
    readonly logger: Logger;
    /** Last chance to decide more before a flush is built. */
    readonly beforeFlush: () => void;
    readonly release: (release: Release) => void;
    /** A flush is on disk, nothing of it has been let go yet. */
    readonly onAppended: (sequence: number) => void;
    /** By the lease, at this moment. */
    readonly leadsForCertain: () => boolean;
    readonly tally: ProcessTally;
    readonly onMilestone?: OnMilestone | undefined;
    /** The loop has ended: nothing more will be written by this leadership. */
    readonly onEnd: (reason: "fenced" | PerdureError) => void;
  }) {
    this.#log = options.log;
    this.#leaderId = options.leaderId;
    this.#lastResult = options.lastResult;
    this.#failed = new SampledLog(options.logger, "error", "an effect could not be let go");
    this.#beforeFlush = options.beforeFlush;
    this.#release = options.release;
    this.#onAppended = options.onAppended;
    this.#leadsForCertain = options.leadsForCertain;
    this.#tally = options.tally;
    this.#onMilestone = options.onMilestone;
    this.#onEnd = options.onEnd;
  }

  /** The last result that is contained in what was decided so far. */
  get lastResult(): ResultsPosition | null {
    return this.#lastResult;
  }

  /** This result and all before it are contained in what is decided from now on. */
  noteResult(position: ResultsPosition): void {
    this.#lastResult = position;
  }

  /** Takes up a decision. */
  add(outbox: Outbox, onDurable: OnDurable | null = null): void {
    if (outbox.facts.length === 0 && outbox.effects.length === 0) return;
    let facts = "";
    try {
      if (outbox.facts.length > 0) facts = JSON.stringify(outbox.facts).slice(1, -1);
    } catch (cause) {
      // Memory holds by now what the journal never will: nothing decided on top of it may get out.
      this.#fail(cause);
      return;
    }
    const lastResult = this.#lastResult;
    this.#push({ facts, factCount: outbox.facts.length, releases: outbox.effects, lastResult, onDurable });
  }

  /** Lets something go after everything decided so far is on disk: what it says may rest on it. */
  releaseAfter(release: Release): void {
    this.#push({ facts: "", factCount: 0, releases: [release], lastResult: this.#lastResult, onDurable: null });
  }

  /** Flushes that this leadership began to append. */
  get flushCount(): number {
    return this.#flushCount;
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  /** Whether a write has been under way for so long that taking in more would only grow the pile. */
  get isStalled(): boolean {
    return this.#state === "appending" && performance.now() - this.#appendStartedAt > STALLED_MS;
  }

  /** Makes sure that `beforeFlush` runs soon, where nothing was decided but time has passed. */
  wake(): void {
    this.#schedule();
  }

  /**
   * Takes a picture of the state at a moment when it is exactly what the journal holds or will hold with the flush
   * under way, and resolves with it when that flush is on disk.
   * @throws PerdureError JOURNAL_FENCED where the loop ended before
   */
  atNextBarrier<Picture>(
    take: (journalSequence: number, lastResult: ResultsPosition | null) => Picture,
  ): Promise<Picture> {
    return new Promise((resolve, reject) => {
      let picture: Picture;
      this.#barrierWaits.push({
        takePicture: (journalSequence, lastResult) => {
          picture = take(journalSequence, lastResult);
        },
        onDurable: () => resolve(picture),
        onEnd: reject,
      });
      if (this.#state === "ended") this.#rejectBarriers();
      else this.#schedule();
    });
  }

  /** Resolves when everything decided so far is on disk and let go, however much is decided meanwhile. */
  async drained(): Promise<void> {
    const until = this.#takenUp;
    if (this.#gone === until || this.#state === "ended") return;
    await new Promise<void>((resolve) => this.#drainWaits.push({ until, resolve }));
  }

  /** Writes nothing more; what is pending is forgotten, as a crash would. */
  end(): void {
    this.#state = "ended";
    this.#abort.abort();
    this.#pending = [];
    this.#rejectBarriers();
    for (const { resolve } of this.#drainWaits.splice(0)) resolve();
  }

  #rejectBarriers(): void {
    const waits = [...this.#barrierUnderWay, ...this.#barrierWaits];
    this.#barrierUnderWay = [];
    this.#barrierWaits = [];
    const reason = new PerdureError("JOURNAL_FENCED", "this leadership ended before what it decided was on disk");
    for (const wait of waits) wait.onEnd(reason);
  }

  #push(group: Group): void {
    if (this.#state === "ended") return;
    this.#pending.push(group);
    this.#takenUp += 1;
    this.#outstanding += group.releases.length;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#state !== "idle") return;
    this.#state = "scheduled";
    // After the messages that arrived together: they belong into one flush.
    setImmediate(() => {
      this.#run().catch((cause: unknown) => this.#fail(cause));
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      if (this.#state === "ended") return;
      this.#state = "appending";
      this.#appendStartedAt = performance.now();
      this.#beforeFlush();
      const flush = this.#takeGroups();
      const { groups, facts, lastResult } = flush;
      if (groups.length === 0 && this.#barrierWaits.length === 0) break;

      this.#barrierUnderWay = this.#pending.length === 0 ? this.#barrierWaits.splice(0) : [];
      if (facts !== "" || (groups.length > 0 && !this.#leadsForCertain())) {
        if ((await this.#append(flush)) === "ended") return;
      } else {
        for (const wait of this.#barrierUnderWay) wait.takePicture(this.#log.lastSequence, lastResult);
      }
      for (const wait of this.#barrierUnderWay) wait.onDurable();
      this.#barrierUnderWay = [];
      if (this.#onMilestone === undefined) this.#letGoAll(groups);
      else await this.#letGoInSteps(groups, this.#onMilestone);
      this.#noteGone(groups.length);
      // What arrived meanwhile belongs into the next flush too: fewer of them under load, and nothing waits otherwise.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#state = "idle";
  }

  async #append({ groups, facts, factCount, lastResult }: Gathered): Promise<"durable" | "ended"> {
    this.#flushCount += 1;
    const flushId = `${this.#leaderId}.${this.#flushCount}`;
    const bytes = Buffer.from(`{"flushId":"${flushId}","lastResult":${JSON.stringify(lastResult)},"facts":[${facts}]}`);
    // The picture is taken now, while memory is what this flush makes of the journal; it counts once that is so.
    const sequence = this.#log.lastSequence + 1;
    for (const wait of this.#barrierUnderWay) wait.takePicture(sequence, lastResult);
    this.#appendStartedAt = performance.now();
    if (this.#onMilestone !== undefined) await this.#onMilestone("before append");
    const appended = await this.#log.append({ flushId, bytes }, this.#abort.signal);
    if (this.#hasEnded()) return "ended";
    if (appended.outcome === "fenced") {
      this.end();
      this.#onEnd("fenced");
      return "ended";
    }
    this.#onAppended(appended.sequence);
    if (appended.sequence !== sequence) {
      throw new Error(`the journal gave flush ${flushId} sequence ${appended.sequence}; expected ${sequence}`);
    }
    this.#tally.commitSeconds.observe((performance.now() - this.#appendStartedAt) / 1_000);
    this.#tally.flushFacts.observe(factCount);
    this.#tally.flushBytes.observe(bytes.byteLength);
    for (const { onDurable } of groups) onDurable?.(sequence);
    if (this.#onMilestone !== undefined) await this.#onMilestone("after append");
    return "durable";
  }

  #letGoAll(groups: readonly Group[]): void {
    for (const group of groups) {
      for (const release of group.releases) this.#letGo(release);
    }
  }

  async #letGoInSteps(groups: readonly Group[], onMilestone: OnMilestone): Promise<void> {
    for (const release of groups.flatMap((group) => group.releases)) {
      await onMilestone(`before ${release.kind}`);
      this.#letGo(release);
      await onMilestone(`after ${release.kind}`);
    }
  }

  /** Takes pending decisions up to the size at which a larger flush no longer pays. */
  #takeGroups(): Gathered {
    const parts: string[] = [];
    let length = 0;
    let factCount = 0;
    let count = 0;
    while (count < this.#pending.length && (count === 0 || length < FLUSH_BYTES_TARGET)) {
      const group = this.#pending[count] as Group;
      if (group.facts !== "") {
        parts.push(group.facts);
        length += group.facts.length;
        factCount += group.factCount;
      }
      count += 1;
      const next = this.#pending[count];
      if (next !== undefined && length + next.facts.length > FLUSH_BYTES_TARGET && length > 0) break;
    }
    const groups = count === this.#pending.length ? this.#pending : this.#pending.slice(0, count);
    this.#pending = count === this.#pending.length ? [] : this.#pending.slice(count);
    const lastResult = groups.at(-1)?.lastResult ?? this.#lastResult;
    return { groups, facts: parts.join(","), factCount, lastResult };
  }

  #letGo(release: Release): void {
    this.#outstanding -= 1;
    try {
      this.#release(release);
    } catch (cause) {
      // The facts hold; whoever waits for this effect asks again or is sent it again.
      this.#failed.write({ err: cause, effect: release.kind });
    }
  }

  #hasEnded(): boolean {
    return this.#state === "ended";
  }

  #fail(cause: unknown): void {
    if (this.#hasEnded()) return;
    this.end();
    this.#onEnd(
      cause instanceof PerdureError
        ? cause
        : new PerdureError("INTERNAL", "the commit loop ended on an unexpected error; nothing undurable was let go", {
            cause,
          }),
    );
  }

  #noteGone(count: number): void {
    this.#gone += count;
    while ((this.#drainWaits[0]?.until ?? Number.POSITIVE_INFINITY) <= this.#gone) this.#drainWaits.shift()?.resolve();
  }
}
