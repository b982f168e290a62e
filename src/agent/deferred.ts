import type { PerdureError } from "../errors.js";

/** A promise that is settled from outside. Nobody has to wait for it: its rejection is never an unhandled one. */
export class Deferred {
  readonly promise: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: PerdureError) => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise.catch(() => undefined);
  }

  resolve(): void {
    this.#resolve();
  }

  reject(error: PerdureError): void {
    this.#reject(error);
  }
}
