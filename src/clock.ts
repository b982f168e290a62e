/**
 * The two clocks the engine tells apart. Deadlines that outlive a process are wall-clock instants;
 * liveness (heartbeats, leases) is measured on the monotonic clock only, so that a stepped wall
 * clock never makes anybody lost.
 */
export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** Monotonic milliseconds since an arbitrary start; comparable within one process only. */
  monotonicNow(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicNow: () => performance.now(),
};
