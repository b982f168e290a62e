/** Makes what is imported from `node:crypto` follow the history inside workflow code, as the global `crypto` does. */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { currentRun } from "../replay/current-run.js";

let state: "absent" | "installed" = "absent";

export function installNodeCrypto(): void {
  if (state === "installed") return;
  state = "installed";
  const { randomUUID, randomBytes, randomInt } = crypto as unknown as Record<string, (...given: unknown[]) => unknown>;
  const called = (given: readonly unknown[]): ((error: null, value: unknown) => void) | undefined => {
    const last = given.at(-1);
    return typeof last === "function" ? (last as (error: null, value: unknown) => void) : undefined;
  };
  /** Synchronously, or to a callback: then within the turn, as no wait for the machine is. */
  const give = (value: unknown, given: readonly unknown[]): unknown => {
    const callback = called(given);
    if (callback === undefined) return value;
    queueMicrotask(() => callback(null, value));
    return undefined;
  };
  Object.assign(crypto, {
    randomUUID: (...given: unknown[]) => currentRun()?.randomUuid() ?? randomUUID?.(...given),
    randomBytes: (...given: unknown[]) => {
      const run = currentRun();
      if (run === undefined) return randomBytes?.(...given);
      const bytes = Buffer.alloc(Number(given[0]));
      run.randomBytes(bytes);
      return give(bytes, given);
    },
    randomInt: (...given: unknown[]) => {
      const run = currentRun();
      if (run === undefined) return randomInt?.(...given);
      const [first, second] = given;
      const [from, to] = typeof second === "number" ? [Number(first), second] : [0, Number(first)];
      return give(from + Math.floor(run.random() * (to - from)), given);
    },
  });
  syncBuiltinESMExports();
}
