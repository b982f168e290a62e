/**
 * Which task ids may be among the ended ones, in a few bits an id: so that a submission with a new id is known to be
 * new without asking the server. A Bloom filter in generations, each twice the size of the last; a generation is
 * dropped when everything in it has expired. It errs in one direction only: an id it does not know has not ended.
 */
import type { TaskId } from "../protocol/ids.js";

interface Generation {
  readonly bits: Uint32Array;
  readonly capacity: number;
  count: number;
  /** The last of its ids ended then, epoch milliseconds. */
  newestEndedAt: number;
}

/** Bits an id and probes an id: one false alarm in about two thousand. */
const BITS_PER_ID = 16;
const PROBES = 6;
const FIRST_CAPACITY = 65_536;
const CAPACITY_MAX = 16_777_216;

export class EndedIndex {
  readonly #retentionMs: number;
  #generations: Generation[] = [];

  constructor(retentionMs: number) {
    this.#retentionMs = retentionMs;
  }

  /** Ids added and not yet dropped. */
  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.count, 0);
  }

  add(taskId: TaskId, endedAt: number): void {
    let generation = this.#generations.at(-1);
    if (generation === undefined || generation.count >= generation.capacity) {
      this.#dropExpired(endedAt);
      const capacity = Math.min(CAPACITY_MAX, generation === undefined ? FIRST_CAPACITY : generation.capacity * 2);
      generation = { bits: new Uint32Array((capacity * BITS_PER_ID) / 32), capacity, count: 0, newestEndedAt: endedAt };
      this.#generations.push(generation);
    }
    generation.count += 1;
    generation.newestEndedAt = Math.max(generation.newestEndedAt, endedAt);
    const { bits } = generation;
    const mask = bits.length * 32 - 1;
    const [first, second] = hashes(taskId);
    for (let probe = 0; probe < PROBES; probe += 1) {
      const bit = (first + probe * second) & mask;
      bits[bit >>> 5] = (bits[bit >>> 5] ?? 0) | (1 << (bit & 31));
    }
  }

  mayHold(taskId: TaskId): boolean {
    if (this.#generations.length === 0) return false;
    const [first, second] = hashes(taskId);
    return this.#generations.some(({ bits }) => {
      const mask = bits.length * 32 - 1;
      for (let probe = 0; probe < PROBES; probe += 1) {
        const bit = (first + probe * second) & mask;
        if (((bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
      }
      return true;
    });
  }

  #dropExpired(now: number): void {
    this.#generations = this.#generations.filter(({ newestEndedAt }) => newestEndedAt + this.#retentionMs >= now);
  }
}

/** Two independent hashes of a text (FNV-1a from two starts, finished by a mixer); the second is odd, so that probes differ. */
function hashes(text: string): [number, number] {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
  }
  return [mix(a), mix(b) | 1];
}

function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x7feb352d);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x846ca68b);
  return mixed ^ (mixed >>> 16);
}
