/**
 * Makes `Date`, timers, `Math.random` and `crypto` follow the history inside workflow code: no import, no compiler.
 * Outside of workflow code they are what they always were. Installed once a process, by whoever runs workflows in it.
 */
import { currentRun } from "./current-run.js";
import { installDurableTimers } from "./durable-timers.js";

const RealDate = Date;

let state: "absent" | "installed" = "absent";

export function installSandboxGlobals(): void {
  if (state === "installed") return;
  state = "installed";
  installDate();
  installRandom();
  installDurableTimers();
  const realNow = performance.now.bind(performance);
  // Together with `performance.timeOrigin` the time of the turn, as `Date.now()`.
  performance.now = () => {
    const run = currentRun();
    return run === undefined ? realNow() : run.now() - performance.timeOrigin;
  };
  process.on("unhandledRejection", takeUnhandled);
}

function installDate(): void {
  const now = (): number => currentRun()?.now() ?? RealDate.now();
  const followed = new Proxy(RealDate, {
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
  globalThis.Date = followed;
  // `value.constructor === Date` stays true.
  Object.defineProperty(RealDate.prototype, "constructor", { value: followed, writable: true, configurable: true });
}

function installRandom(): void {
  const realRandom = Math.random;
  Math.random = () => currentRun()?.random() ?? realRandom();
  const { crypto } = globalThis;
  const realRandomUuid = crypto.randomUUID.bind(crypto);
  const realGetRandomValues = crypto.getRandomValues.bind(crypto);
  Object.assign(crypto, {
    randomUUID: () => currentRun()?.randomUuid() ?? realRandomUuid(),
    getRandomValues: <T extends Uint8Array>(array: T): T => {
      const run = currentRun();
      if (run === undefined) return realGetRandomValues(array as never) as T;
      run.randomBytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return array;
    },
  });
}

/** A promise of a workflow's code that nobody awaits concerns its run. Any other ends the process, as it always did. */
function takeUnhandled(reason: unknown): void {
  const run = currentRun();
  if (run !== undefined) run.unhandled(reason);
  else if (process.listenerCount("unhandledRejection") === 1) throw reason;
}
