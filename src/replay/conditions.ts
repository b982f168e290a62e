/** What code waits for until it holds: looked at after everything that happens. */
interface Condition {
  readonly holds: () => boolean;
  readonly met: () => void;
  /** The predicate threw: it is code like the rest, and whoever waits for it hears of that. */
  readonly broke: (reason: unknown) => void;
}

export class Conditions {
  readonly #waiting = new Set<Condition>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Returns what gives it up. */
  add(condition: Condition): () => void {
    this.#waiting.add(condition);
    return () => this.#waiting.delete(condition);
  }

  /** Whether any was met. */
  test(): boolean {
    let met = false;
    for (const condition of [...this.#waiting]) met = this.#settle(condition) || met;
    return met;
  }

  #settle(condition: Condition): boolean {
    try {
      if (!condition.holds()) return false;
      this.#waiting.delete(condition);
      condition.met();
    } catch (reason) {
      this.#waiting.delete(condition);
      condition.broke(reason);
    }
    return true;
  }
}
