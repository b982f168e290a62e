import { setTimeout as delay } from "node:timers/promises";

/** Waits until `look` returns something, and fails with what it was waiting for when that takes too long. */
export async function eventually<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) {
      return seen;
    }
    if (performance.now() > deadline) {
      throw new Error(`not seen within 10 s: ${what}`);
    }
    await delay(5);
  }
}
