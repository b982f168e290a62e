/** True if the promise resolved within `timeoutMs` and before the signal; false otherwise, also where it rejected. */
export function settledWithin(promise: Promise<void>, timeoutMs: number, hurry?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (inTime: boolean): void => {
      clearTimeout(timer);
      hurry?.removeEventListener("abort", onHurry);
      resolve(inTime);
    };
    const onHurry = (): void => settle(false);
    const timer = setTimeout(() => settle(false), hurry?.aborted === true ? 0 : timeoutMs);
    hurry?.addEventListener("abort", onHurry, { once: true });
    promise.then(
      () => settle(true),
      () => settle(false),
    );
  });
}
