/**
 * Virtual time, seeded chance and a network that loses, doubles, delays and reorders. Everything of a run follows from
 * its seed. After `calm()` nothing goes wrong any more, so that a run can be held to come to rest.
 */
import { SeededRandom } from "../support/seeded-random.js";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class World {
  now = 1_000_000;
  #isCalm = false;
  readonly #chance: SeededRandom;
  #order = 0;
  readonly #events: Event[] = [];

  constructor(seed: number) {
    this.#chance = new SeededRandom(seed);
  }

  calm(): void {
    this.#isCalm = true;
  }

  /** Uniform in [0, 1). */
  random(): number {
    return this.#chance.next();
  }

  between(least: number, most: number): number {
    return this.#chance.between(least, most);
  }

  pick<T>(list: readonly T[]): T {
    return this.#chance.pick(list);
  }

  /** Whether something goes wrong now. */
  mishap(probability: number): boolean {
    return this.random() < probability && !this.#isCalm;
  }

  after(ms: number, run: () => void): void {
    this.#order += 1;
    const event = { at: this.now + ms, order: this.#order, run };
    let index = this.#events.length;
    // Latest first: the next event is at the end. Most events are near, so the search is short.
    while (index > 0 && (this.#events[index - 1] as Event).at <= event.at) index -= 1;
    this.#events.splice(index, 0, event);
  }

  /** A message on its way: lost, doubled, late or overtaken while things go wrong. */
  send(deliver: () => void): void {
    if (!this.mishap(0.05)) this.after(this.between(0, this.mishap(0.1) ? 3_000 : 10), deliver);
    if (this.mishap(0.05)) this.after(this.between(0, 5_000), deliver);
  }

  /** Lets time pass until then, or until `done`. Returns whether `done` held. */
  runUntil(at: number, done: () => boolean = () => false): boolean {
    for (;;) {
      const next = this.#events.at(-1);
      if (next === undefined || next.at > at) {
        this.now = at;
        return done();
      }
      this.#events.pop();
      this.now = next.at;
      next.run();
      if (done()) return true;
    }
  }
}

/** Something that can be killed and stopped: what reaches it while it is stopped waits for it. */
export class Process {
  #state: "runs" | "paused" | "dead" = "runs";
  #waiting: (() => void)[] = [];

  get isAlive(): boolean {
    return this.#state !== "dead";
  }

  /** Whether it may act; a paused process holds on to what it has and does nothing. */
  get runs(): boolean {
    return this.#state === "runs";
  }

  deliver(run: () => void): void {
    if (this.#state === "runs") run();
    else if (this.#state === "paused") this.#waiting.push(run);
  }

  kill(): void {
    this.#state = "dead";
    this.#waiting = [];
  }

  pause(): void {
    if (this.#state === "runs") this.#state = "paused";
  }

  unpause(): void {
    if (this.#state !== "paused") return;
    this.#state = "runs";
    for (const run of this.#waiting.splice(0)) this.deliver(run);
  }
}
