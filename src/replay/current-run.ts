/** Which run's code is running, wherever it got to: what it awaits, calls and starts belongs to it. */
import { AsyncLocalStorage } from "node:async_hooks";

/** What the globals of a workflow follow in place of the machine's. */
export interface Surroundings {
  /** Epoch milliseconds, of the activation under way. */
  now(): number;
  random(): number;
  randomUuid(): string;
  randomBytes(bytes: Uint8Array): void;
  /** A durable timer; returns what cancels it. */
  startTimer(delayMs: number, fire: () => void): () => void;
  /** The code reached for something that no history has. */
  warn(what: string): void;
  /** A promise of the code failed and nobody awaits it. */
  unhandled(reason: unknown): void;
}

const storage = new AsyncLocalStorage<Surroundings>();

export function currentRun(): Surroundings | undefined {
  return storage.getStore();
}

export function runInside<T>(surroundings: Surroundings, code: () => T): T {
  return storage.run(surroundings, code);
}

/** For code that a workflow starts and that is none of it: a step may read the clock. */
export function runOutside<T>(code: () => T): T {
  return storage.exit(code);
}
