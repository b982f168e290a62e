/** `setTimeout` and its kin: durable timers inside workflow code, Node's own outside of it. */
import { AsyncResource } from "node:async_hooks";
import { DURATION_MS_MAX } from "../protocol/limits.js";
import { currentRun, type Surroundings } from "./current-run.js";

type Callback = (...given: unknown[]) => void;

/** A timer that workflow code started; an object, so that it is not taken for one of Node's. */
class DurableTimer {
  readonly cancel: () => void;

  constructor(cancel: () => void) {
    this.cancel = cancel;
  }

  /** As Node's timers have them: a durable timer keeps no process alive. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return false;
  }
}

/** Zero, less, and what is no number make a timer like another, of the shortest time there is. */
function timerMs(given: unknown): number {
  const ms = Math.ceil(Number(given ?? 1));
  return Number.isNaN(ms) ? 1 : Math.min(Math.max(1, ms), DURATION_MS_MAX);
}

function start(run: Surroundings, delayMs: unknown, fire: () => void): DurableTimer {
  // Fires in the surroundings of whoever started it, its cancellation scope among them.
  return new DurableTimer(run.startTimer(timerMs(delayMs), AsyncResource.bind(fire)));
}

/** Node's own carry symbols (util.promisify.custom) that code relies on. */
const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");

function replace(name: "setTimeout" | "setImmediate", inRun: (...given: never[]) => unknown, awaited: unknown): void {
  const real = globalThis[name] as unknown as Callback & { readonly [PROMISIFY]: Callback };
  const replaced = (...given: unknown[]): unknown =>
    currentRun() === undefined ? real(...given) : inRun(...(given as never[]));
  const promised = (...given: unknown[]): unknown =>
    currentRun() === undefined ? real[PROMISIFY](...given) : (awaited as Callback)(...given);
  Object.assign(globalThis, { [name]: Object.assign(replaced, { [PROMISIFY]: promised }) });
}

export function installDurableTimers(): void {
  const realSetInterval = globalThis.setInterval;
  const inRun = (delayMs: unknown, fire: () => void): DurableTimer => {
    const run = currentRun();
    if (run === undefined) throw new Error("a durable timer was started outside of workflow code");
    return start(run, delayMs, fire);
  };

  replace(
    "setTimeout",
    (callback: Callback, delayMs?: unknown, ...given: unknown[]) => inRun(delayMs, () => callback(...given)),
    (delayMs: unknown, value: unknown) => new Promise((resolve) => inRun(delayMs, () => resolve(value))),
  );
  replace(
    "setImmediate",
    (callback: Callback, ...given: unknown[]) => inRun(1, () => callback(...given)),
    (value: unknown) => new Promise((resolve) => inRun(1, () => resolve(value))),
  );
  globalThis.setInterval = Object.assign((callback: Callback, delayMs?: number, ...given: unknown[]) => {
    const run = currentRun();
    if (run === undefined) return realSetInterval(callback, delayMs, ...given);
    let timer: DurableTimer;
    const again = (): void => {
      timer = start(run, delayMs, () => {
        again();
        callback(...given);
      });
    };
    again();
    return new DurableTimer(() => timer.cancel());
  }, realSetInterval) as unknown as typeof setInterval;

  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"] as const) {
    const real = globalThis[name] as (timer: unknown) => void;
    Object.assign(globalThis, {
      [name]: (timer: unknown) => {
        if (timer instanceof DurableTimer) timer.cancel();
        else real(timer);
      },
    });
  }
}
