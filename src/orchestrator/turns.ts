import { setImmediate as nextTurn } from "node:timers/promises";

/** Short against the lease, which has to be renewed meanwhile. */
const TURN_MS = 50;

/** Long work in turns: whoever calls this between its steps lets timers and the network have theirs now and then. */
export class Turns {
  #since = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#since >= TURN_MS;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#since = performance.now();
  }
}
