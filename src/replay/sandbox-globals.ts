/**
 * Makes `Date`, timers, `Math.random` and `crypto` follow the history inside workflow code, and warns where the code
 * reaches for what cannot: no import, no compiler. Outside of workflow code they are what they always were. Installed
 * once a process, by whoever runs workflows in it.
 */
import { currentRun, type Surroundings } from "./current-run.js";

const RealDate = Date;
const realRandom = Math.random;
const realSetTimeout = globalThis.setTimeout;
const realClearTimeout = globalThis.clearTimeout;
const realSetInterval = globalThis.setInterval;
const realClearInterval = globalThis.clearInterval;
const realSetImmediate = globalThis.setImmediate;
const realRandomUuid = globalThis.crypto.randomUUID.bind(globalThis.crypto);
const realGetRandomValues = globalThis.crypto.getRandomValues.bind(globalThis.crypto);
const realPerformanceNow = performance.now.bind(performance);
const realFetch = globalThis.fetch;

/** Resolves once everything that could run without waiting for the outside has run. */
export function untilQuiet(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve));
}

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

let state: "absent" | "installed" = "absent";

export function installSandboxGlobals(): void {
  if (state === "installed") return;
  state = "installed";
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given, newTarget) => {
      const run = given.length === 0 ? currentRun() : undefined;
      return Reflect.construct(target, run === undefined ? given : [run.now()], newTarget) as object;
    },
    apply: (target, self, given) => {
      const run = currentRun();
      return run === undefined ? Reflect.apply(target, self, given) : new RealDate(run.now()).toString();
    },
    get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver)),
  });
  Math.random = () => currentRun()?.random() ?? realRandom();
  Object.assign(globalThis.crypto, {
    randomUUID: () => currentRun()?.randomUuid() ?? realRandomUuid(),
    getRandomValues: <T extends Uint8Array>(array: T): T => {
      const run = currentRun();
      if (run === undefined) return realGetRandomValues(array as never) as T;
      run.randomBytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return array;
    },
  });
  installTimers();
  // Together with `performance.timeOrigin` the time of the turn, as `Date.now()`.
  performance.now = () => {
    const run = currentRun();
    return run === undefined ? realPerformanceNow() : run.now() - performance.timeOrigin;
  };
  globalThis.fetch = (...given) => {
    currentRun()?.warn("fetch");
    return realFetch(...given);
  };
}

function now(): number {
  return currentRun()?.now() ?? RealDate.now();
}

function installTimers(): void {
  type Callback = (...given: unknown[]) => void;
  const inRun = (run: Surroundings, delayMs: number | undefined, fire: () => void): DurableTimer =>
    // Zero and less are a timer like another, of the shortest time there is.
    new DurableTimer(run.startTimer(Math.max(1, Math.ceil(delayMs ?? 1)), fire));

  const setTimeoutInRun = (callback: Callback, delayMs?: number, ...given: unknown[]): unknown => {
    const run = currentRun();
    if (run === undefined) return realSetTimeout(callback, delayMs, ...given);
    return inRun(run, delayMs, () => callback(...given));
  };
  const setIntervalInRun = (callback: Callback, delayMs?: number, ...given: unknown[]): unknown => {
    const run = currentRun();
    if (run === undefined) return realSetInterval(callback, delayMs, ...given);
    let timer: DurableTimer;
    const again = (): void => {
      timer = inRun(run, delayMs, () => {
        again();
        callback(...given);
      });
    };
    again();
    return new DurableTimer(() => timer.cancel());
  };
  const clear = (real: (timer: never) => void) => (timer: unknown) => {
    if (timer instanceof DurableTimer) timer.cancel();
    else real(timer as never);
  };
  // Node's own carry symbols (util.promisify.custom) that code outside of workflows relies on.
  globalThis.setTimeout = Object.assign(setTimeoutInRun, realSetTimeout) as unknown as typeof setTimeout;
  globalThis.setInterval = Object.assign(setIntervalInRun, realSetInterval) as unknown as typeof setInterval;
  for (const symbol of Object.getOwnPropertySymbols(realSetTimeout)) {
    Object.defineProperty(globalThis.setTimeout, symbol, Object.getOwnPropertyDescriptor(realSetTimeout, symbol) ?? {});
  }
  globalThis.clearTimeout = clear(realClearTimeout as never) as typeof clearTimeout;
  globalThis.clearInterval = clear(realClearInterval as never) as typeof clearInterval;
  globalThis.setImmediate = Object.assign((callback: Callback, ...given: unknown[]) => {
    const run = currentRun();
    if (run === undefined) return realSetImmediate(callback, ...given);
    return inRun(run, 1, () => callback(...given));
  }, realSetImmediate) as unknown as typeof setImmediate;
  const promisified = Object.getOwnPropertySymbols(realSetImmediate);
  for (const symbol of promisified) {
    Object.defineProperty(
      globalThis.setImmediate,
      symbol,
      Object.getOwnPropertyDescriptor(realSetImmediate, symbol) ?? {},
    );
  }
}
