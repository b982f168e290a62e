/** The outcome of the work, or the signal's reason: what does not listen to a signal is not waited for either. */
export function untilAborted(work: () => Promise<void> | void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    // Off again: the signal outlives many pieces of work.
    const done = (): void => signal.removeEventListener("abort", onAbort);
    Promise.resolve().then(work).finally(done).then(resolve, reject);
  });
}
