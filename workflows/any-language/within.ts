/** Waits for what an agent does, as long as it may take. */
import { setTimeout as delay } from "node:timers/promises";

const LOOK_INTERVAL_MS = 10;

/** The first value that is not null; null if there is none in time. */
export async function within<T>(limitMs: number, look: () => T | null | undefined): Promise<T | null> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = look();
    if (seen !== null && seen !== undefined) return seen;
    if (performance.now() >= deadline) return null;
    await delay(LOOK_INTERVAL_MS);
  }
}

/** For what must not happen: there is no other way than to give it time. */
export function throughout(limitMs: number): Promise<void> {
  return delay(limitMs);
}
