/** Taken before anybody replaces it: a sandbox, or a test's fake timers. */
const realSetImmediate = globalThis.setImmediate;

/** Resolves once everything that could run without waiting for the outside has run. */
export function untilQuiet(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve));
}
