/**
 * What is cancelled together. A scope inherits cancellation from the one it was made in, unless it shields what is
 * inside; what is asked for in a cancelled scope is refused at once.
 */
import { currentScope, runInScope, type Scope } from "../replay/current-scope.js";
import { CancelledFailure } from "./failures.js";

type Listener = (reason: CancelledFailure) => void;

export class CancellationScope implements Scope {
  /** Null for the run's own scope, and for one that shields. */
  readonly #parent: CancellationScope | null;
  readonly #listeners = new Set<Listener>();
  #reason: CancelledFailure | null = null;
  /** There only as long as somebody listens here: a long run makes many scopes and few of them matter later. */
  #leaveParent: (() => void) | null = null;

  constructor(kind: "root" | "cancellable" | "shielding") {
    this.#parent = kind === "cancellable" ? ((currentScope() as CancellationScope | undefined) ?? null) : null;
  }

  /** The scope that the code which asks is in. */
  static current(root: CancellationScope): CancellationScope {
    return (currentScope() as CancellationScope | undefined) ?? root;
  }

  /** Why it is cancelled; null if it is not. */
  get reason(): CancelledFailure | null {
    return this.#reason ?? this.#parent?.reason ?? null;
  }

  cancel(reason: CancelledFailure = new CancelledFailure()): void {
    if (this.reason !== null) return;
    this.#reason = reason;
    this.#tell(reason);
  }

  /** Returns what gives it up. */
  onCancelled(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#leaveParent ??= this.#parent?.onCancelled((reason) => this.#tell(reason)) ?? null;
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopListening();
    };
  }

  run<T>(code: () => T | Promise<T>): Promise<T> {
    return runInScope(this, async () => await code());
  }

  #tell(reason: CancelledFailure): void {
    const told = [...this.#listeners];
    this.#listeners.clear();
    this.#stopListening();
    for (const listener of told) listener(reason);
  }

  #stopListening(): void {
    this.#leaveParent?.();
    this.#leaveParent = null;
  }
}
