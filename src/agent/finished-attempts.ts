/**
 * The attempts that ended here lately, by token, and what was handed in. An assignment that is repeated after its attempt
 * ended (its result was lost with an orchestrator, say) gets the same result again instead of a second run.
 *
 * Two generations: when the young one is full it becomes the old one, and what was old is forgotten. That keeps
 * between one and two times the bound without looking for the oldest entry at each result. What is forgotten too early
 * costs a second run, which at-least-once allows.
 */
const ATTEMPTS_PER_GENERATION = 5_000;
/** Characters, all bodies of a generation together. */
const LENGTH_PER_GENERATION = 8 * 1024 * 1024;

export class FinishedAttempts {
  #young = new Map<string, string | null>();
  #old: ReadonlyMap<string, string | null> = new Map();
  #youngLength = 0;

  /** `body` is null for an attempt that ended in silence. */
  remember(token: string, body: string | null): void {
    if (this.#young.size >= ATTEMPTS_PER_GENERATION || this.#youngLength >= LENGTH_PER_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngLength = 0;
    }
    this.#young.set(token, body);
    this.#youngLength += body?.length ?? 0;
  }

  /** The body of the result that was handed in for this attempt, null if there was none; undefined for others. */
  resultOf(token: string): string | null | undefined {
    const body = this.#young.get(token);
    return body === undefined ? this.#old.get(token) : body;
  }
}
