/** Waiting: for time to pass, for something to become true, for both. */
import type { Duration } from "../protocol/time.js";
import type { Execution } from "../replay/execution.js";
import { ask, msOf, unwatched } from "./ask.js";
import { CancellationScope } from "./cancellation-scope.js";
import { CancelledFailure } from "./failures.js";

/** A deadline may have passed before it is waited for: `deadline - Date.now()` is then over at once, and no mistake. */
function waitMs(duration: Duration, what: string): number {
  return msOf(typeof duration === "number" && duration < 0 ? 0 : duration, what);
}

export function sleep(execution: Execution, scope: CancellationScope, duration: Duration): Promise<void> {
  const durationMs = waitMs(duration, "the duration of a sleep");
  return ask<void>(execution, scope, {
    command: (seq) => ({ type: "StartTimer", seq, durationMs }),
    hear: (event, settle) => {
      if (event.type === "TimerFired") settle.resolve();
    },
    cancel: (seq, reason, settle) => {
      execution.tell({ type: "CancelTimer", seq });
      settle.reject(reason);
    },
  });
}

/** Waits for what no command asks for. `begin` returns what gives it up. */
export function waitIn<T>(
  scope: CancellationScope,
  begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void,
): Promise<T> {
  const { reason } = scope;
  if (reason !== null) return unwatched(Promise.reject(reason));
  const promise = new Promise<T>((resolve, reject) => {
    let settled = false;
    let stopListening = (): void => undefined;
    const settle = (how: () => void): void => {
      settled = true;
      stopListening();
      how();
    };
    const giveUp = begin(
      (value) => settle(() => resolve(value)),
      (failure) => settle(() => reject(failure as Error)),
    );
    // At once, as it were.
    if (settled) return;
    stopListening = scope.onCancelled((cancelled) => {
      giveUp();
      reject(cancelled);
    });
  });
  return unwatched(promise);
}

function untilTrue(execution: Execution, scope: CancellationScope, holds: () => boolean): Promise<boolean> {
  return waitIn<boolean>(scope, (resolve, reject) => execution.when(holds, () => resolve(true), reject));
}

/** Resolves with whether it became true in time. */
export async function condition(
  execution: Execution,
  scope: CancellationScope,
  holds: () => boolean,
  timeout: Duration | undefined,
): Promise<boolean> {
  if (scope.reason !== null) throw scope.reason;
  // What never comes to an end is left where it is; the activation has failed over it.
  if (holds()) return execution.noteMet() || (await new Promise<never>(() => undefined));
  if (timeout === undefined) return await untilTrue(execution, scope, holds);
  const race = new CancellationScope("cancellable");
  try {
    const timer = sleep(execution, race, timeout).then(() => false);
    return await Promise.race([untilTrue(execution, race, holds), timer]);
  } finally {
    // The loser's timer is taken back.
    race.cancel();
  }
}

/** What is asked for in `code` is cancelled when the time is up. */
export async function withTimeout<T>(execution: Execution, timeout: Duration, code: () => Promise<T>): Promise<T> {
  const timing = new CancellationScope("cancellable");
  const scope = new CancellationScope("cancellable");
  const reason = new CancelledFailure(`cancelled after ${waitMs(timeout, "the time-out")} ms`);
  sleep(execution, timing, timeout).then(
    () => scope.cancel(reason),
    () => undefined,
  );
  try {
    return await scope.run(code);
  } finally {
    timing.cancel();
  }
}
