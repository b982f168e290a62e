/**
 * What is cancelled together. A scope inherits cancellation from the one it was made in, unless it shields what is
 * inside; what is asked for in a cancelled scope is refused at once.
 */
import { currentScope, runInScope, type Scope } from "../replay/current-scope.js";
import { CancelledFailure } from "./failures.js";

export class CancellationScope implements Scope {
  readonly #kind: "cancellable" | "shielding";
  readonly #listeners = new Set<(reason: CancelledFailure) => void>();
  #reason: CancelledFailure | null = null;

  constructor(kind: "root" | "cancellable" | "shielding") {
    this.#kind = kind === "shielding" ? "shielding" : "cancellable";
    if (kind !== "cancellable") return;
    const parent = currentScope() as CancellationScope | undefined;
    if (parent === undefined) return;
    if (parent.#reason !== null) this.#reason = parent.#reason;
    else parent.onCancelled((reason) => this.cancel(reason));
  }

  /** The scope that the code which asks is in. */
  static current(root: CancellationScope): CancellationScope {
    return (currentScope() as CancellationScope | undefined) ?? root;
  }

  get cancelled(): boolean {
    return this.#reason !== null;
  }

  cancel(reason: CancelledFailure = new CancelledFailure()): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    if (this.#kind === "shielding") return;
    for (const listener of [...this.#listeners]) listener(reason);
    this.#listeners.clear();
  }

  /** @throws CancelledFailure where there is nothing left to ask for here */
  throwIfCancelled(): void {
    if (this.#reason !== null && this.#kind === "cancellable") throw this.#reason;
  }

  /** Returns what gives it up. */
  onCancelled(listener: (reason: CancelledFailure) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  run<T>(code: () => Promise<T>): Promise<T> {
    return runInScope(this, code);
  }
}
