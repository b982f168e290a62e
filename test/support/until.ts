/**
 * The one place of the tests that waits: polls a condition until it holds. Everything else awaits a promise of what it
 * waits for.
 */
export interface UntilOptions {
  /** Default 20 s: what a loaded machine may take for something that takes milliseconds on an idle one. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 20_000;
const POLL_INTERVAL_MS = 5;

/**
 * Resolves with the first value of `probe` that `holds`. At the deadline it fails with `what` was waited for and the
 * value, or the error, that the probe gave last.
 */
export async function untilHolds<T>(
  what: string,
  probe: () => T | Promise<T>,
  holds: (value: T) => boolean,
  options: UntilOptions = {},
): Promise<T> {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let lastSeen: string;
    try {
      const value = await probe();
      if (holds(value)) return value;
      lastSeen = show(value);
    } catch (error) {
      lastSeen = `an error: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${deadlineMs} ms until ${what}; last seen: ${lastSeen}`);
    }
    await new Promise<void>((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

/** Resolves when `condition` is true. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  options: UntilOptions = {},
): Promise<void> {
  await untilHolds(what, condition, (value) => value, options);
}

/** Resolves with the first value that is neither null nor undefined. */
export async function untilSome<T>(
  what: string,
  probe: () => T | null | undefined | Promise<T | null | undefined>,
  options: UntilOptions = {},
): Promise<T> {
  const value = await untilHolds(what, probe, (candidate) => candidate !== null && candidate !== undefined, options);
  if (value === null || value === undefined) throw new Error("unreachable: the condition above holds");
  return value;
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
