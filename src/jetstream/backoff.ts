/** How long to wait before asking a server again that did not answer, or not well: doubling, bounded. */
const FIRST_DELAY_MS = 50;
/** A cluster needs seconds for a new leader; asking it once a second costs nothing and loses little. */
const DELAY_MS_MAX = 1_000;

export class Backoff {
  #nextMs = FIRST_DELAY_MS;

  nextDelayMs(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(DELAY_MS_MAX, delayMs * 2);
    return delayMs;
  }

  reset(): void {
    this.#nextMs = FIRST_DELAY_MS;
  }
}
