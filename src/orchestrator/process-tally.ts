/**
 * What this process has done, counted since it started: beside the core's decisions, what its services did around them.
 * Plain numbers, so that counting costs the hot path next to nothing; metrics are made of them when somebody asks.
 */
import { Distribution } from "../core/distribution.js";
import { LabelledCounts } from "../core/labelled-counts.js";
import { Tally } from "../core/tally.js";

/** From an SSD without fsync to a disk in trouble. */
const WRITE_BOUNDS_S = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const COUNT_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
const KIB = 1_024;
const BYTES_BOUNDS = [256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, KIB * KIB];

/** What the answer to a request is counted as that was no refusal. */
export const OK = "ok";

export class ProcessTally {
  readonly core = new Tally();

  /** Answers to clients, by request and by `ok` or the code of the refusal. */
  readonly answers = new Map<string, LabelledCounts>();
  /** By `ok`, `duplicate` or the code of the refusal. */
  readonly results = new LabelledCounts();
  /** Messages of agents that could not be taken, by code. */
  readonly droppedMessages = new LabelledCounts();

  /** From a flush's append to its acknowledgement. */
  readonly commitSeconds = new Distribution(WRITE_BOUNDS_S);
  readonly flushFacts = new Distribution(COUNT_BOUNDS);
  readonly flushBytes = new Distribution(BYTES_BOUNDS);

  /** One copy to the buckets: from its picture to its checkpoint. */
  readonly copySeconds = new Distribution(WRITE_BOUNDS_S);
  readonly copiedRecords = { live: 0, ended: 0, agents: 0 };
  failedCopies = 0;

  terms = 0;
  /** By reason. */
  readonly endedTerms = new LabelledCounts();
  /** By `renewed` or `failed`. */
  readonly leaseRenewals = new LabelledCounts();

  natsDisconnects = 0;
  natsReconnects = 0;
  /** How often silence of agents had to be measured anew, by what had kept this process from hearing them. */
  readonly observationRestarts = { paused: 0, deaf: 0 };

  countAnswer(request: string, code: string = OK): void {
    let codes = this.answers.get(request);
    if (codes === undefined) {
      codes = new LabelledCounts();
      this.answers.set(request, codes);
    }
    codes.add(code);
  }
}
