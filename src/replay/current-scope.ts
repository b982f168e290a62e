/** The cancellation scope that the running workflow code is in, wherever it got to. */
import { AsyncLocalStorage } from "node:async_hooks";

export interface Scope {
  /** Why it is cancelled; null if it is not. */
  readonly reason: Error | null;
}

const storage = new AsyncLocalStorage<Scope>();

export function currentScope(): Scope | undefined {
  return storage.getStore();
}

export function runInScope<T>(scope: Scope, code: () => T): T {
  return storage.run(scope, code);
}
