/**
 * What the materializer copies of runs: the record of each open one, and every history in chunks under
 * `<runId>.<first event>`. A run that closes before it was copied is written once, whole; of one that was not, the
 * chunks written before get the time to live that the last one has.
 */
import type { OpenRun, RunBook } from "../core/run/run-book.js";
import { isClosed } from "../core/run/run-book.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { RunId, WorkflowId } from "../protocol/ids.js";
import { encodeStored } from "../protocol/stored-record.js";
import type { RecordWrite } from "./copy-picture.js";
import { exceeds } from "./fit.js";

/** JSON of a chunk, at the most about; several make up one batch. */
const CHUNK_BYTES_MAX = 400_000;

export interface RunPicture {
  /** To the bucket of runs. */
  readonly records: RecordWrite[];
  /** To the bucket of histories. */
  readonly chunks: RecordWrite[];
  /** Closed runs some of whose chunks were written before, without a time to live. */
  readonly expiring: RunId[];
  /** What memory may let go of once all of it is written. */
  readonly written: {
    readonly run: OpenRun;
    readonly upTo: number;
    /** As the picture shows it; it may have closed since. */
    readonly closed: boolean;
    readonly workflowId: WorkflowId;
  }[];
}

export class RunCopies {
  readonly #runs: RunBook;
  readonly #retentionMs: number;
  /** Last event in the bucket, of runs that have any there. */
  readonly #storedUpTo = new Map<RunId, number>();
  /** Workflows with a key in the bucket of runs. */
  readonly #liveKeys: Set<WorkflowId>;
  /** Whose records no message could hold when they were looked at last. */
  #tooLarge = new Set<WorkflowId>();
  readonly #recordBytesMax: () => number;
  readonly #onTooLarge: (workflowId: WorkflowId, bytes: number) => void;

  constructor(options: {
    readonly runs: RunBook;
    readonly retentionMs: number;
    readonly liveKeys: Set<WorkflowId>;
    readonly storedUpTo: ReadonlyMap<RunId, number>;
    /** What NATS takes, headers apart. */
    readonly recordBytesMax: () => number;
    readonly onTooLarge: (workflowId: WorkflowId, bytes: number) => void;
  }) {
    this.#recordBytesMax = options.recordBytesMax;
    this.#onTooLarge = options.onTooLarge;
    this.#runs = options.runs;
    this.#retentionMs = options.retentionMs;
    this.#liveKeys = options.liveKeys;
    for (const [runId, eventId] of options.storedUpTo) this.#storedUpTo.set(runId, eventId);
  }

  get isDirty(): boolean {
    // What cannot be written is not waited for.
    return this.#runs.dirty.size > this.#tooLarge.size || this.#runs.superseded.length > 0;
  }

  /**
   * @returns the picture, and the journal sequence up to which it is complete
   */
  take(
    journalSequence: number,
    now: number,
    youngMs: number,
  ): { readonly picture: RunPicture; readonly complete: number } {
    const picture: RunPicture = { records: [], chunks: [], expiring: [], written: [] };
    let complete = journalSequence;
    const dirty = this.#runs.dirty;
    this.#runs.dirty = new Map();
    this.#tooLarge = new Set();
    // They stay there for those who ask until they are written.
    for (const run of this.#runs.superseded) this.#takeHistory(run, picture);
    for (const [workflowId, since] of dirty) {
      const run = this.#runs.of(workflowId);
      if (run === undefined) {
        if (this.#liveKeys.delete(workflowId)) picture.records.push({ key: workflowId, value: null });
        continue;
      }
      const { record } = run;
      const closed = isClosed(record);
      const isYoung = Math.abs(now - record.startedAt) < youngMs && !this.#liveKeys.has(workflowId);
      if (!closed && isYoung) {
        this.#runs.dirty.set(workflowId, since);
        complete = Math.min(complete, since - 1);
        continue;
      }
      this.#takeHistory(run, picture);
      if (!closed) {
        const value = encodeStored(journalSequence, record);
        if (exceeds(value, this.#recordBytesMax())) {
          // Until it has shrunk the journal keeps its facts, and everything else is copied as ever.
          this.#runs.dirty.set(workflowId, since);
          this.#tooLarge.add(workflowId);
          complete = Math.min(complete, since - 1);
          this.#onTooLarge(workflowId, Buffer.byteLength(value));
          continue;
        }
        this.#liveKeys.add(workflowId);
        picture.records.push({ key: workflowId, value });
      } else if (this.#liveKeys.delete(workflowId)) picture.records.push({ key: workflowId, value: null });
    }
    return { picture, complete };
  }

  /** What was written needs no place in memory, unless a worker has not seen it yet. */
  written({ written }: RunPicture): void {
    for (const { run, upTo, closed } of written) {
      const { record } = run;
      if (closed) this.#storedUpTo.delete(record.runId);
      else this.#storedUpTo.set(record.runId, upTo);
      // No worker will be sent the events of a run that has closed.
      const seen = isClosed(record) ? upTo : Math.min(upTo, record.answered?.eventId ?? 0);
      run.tail = run.tail.filter((event) => event.eventId > seen);
    }
    this.#runs.superseded = this.#runs.superseded.filter(({ tail }) => tail.length > 0);
  }

  /** After a copy that failed. */
  notWritten({ written, records }: RunPicture, since: number): void {
    for (const { run, workflowId } of written) {
      if (this.#runs.of(workflowId) === run) this.#runs.dirty.set(workflowId, since);
    }
    for (const { key, value } of records) {
      if (value !== null) continue;
      // Whether the key went is unknown: it is taken out again, or the run would be open after the next start.
      this.#liveKeys.add(key as WorkflowId);
      this.#runs.dirty.set(key as WorkflowId, since);
    }
  }

  #takeHistory(run: OpenRun, picture: RunPicture): void {
    const { record, tail } = run;
    const { runId } = record;
    const stored = this.#storedUpTo.get(runId) ?? 0;
    const fresh = tail.filter((event) => event.eventId > stored);
    const closed = isClosed(record);
    picture.written.push({ run, upTo: record.lastEventId, closed, workflowId: record.spec.workflowId });
    for (const chunk of chunksOf(fresh)) {
      const key = chunkKey(runId, chunk[0]?.eventId ?? 1);
      const value = JSON.stringify(chunk);
      picture.chunks.push(closed ? { key, value, ttlMs: this.#retentionMs } : { key, value });
    }
    if (closed && stored > 0) picture.expiring.push(runId);
  }
}

export const chunkKey = (runId: RunId, firstEventId: number): string =>
  `${runId}.${String(firstEventId).padStart(8, "0")}`;

function* chunksOf(events: readonly HistoryEvent[]): Generator<readonly HistoryEvent[]> {
  let chunk: HistoryEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = JSON.stringify(event).length;
    if (chunk.length > 0 && bytes + size > CHUNK_BYTES_MAX) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(event);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
