/** What is counted by a name that comes from outside, without letting strangers make up names without bound. */

/** Stands for every name that came when all places were taken. */
export const OTHER_LABEL = "other";

/** Names as labels: the first ones that come keep their own for as long as this lives, all later ones share one. */
export class Labels {
  readonly #names = new Set<string>();
  readonly #maximum: number;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  of(name: string): string {
    if (this.#names.has(name)) return name;
    if (this.#names.size >= this.#maximum) return OTHER_LABEL;
    this.#names.add(name);
    return name;
  }
}

/** Sums by label. Bounded only as far as its labels are. */
export class LabelledCounts {
  readonly #counts = new Map<string, number>();

  add(label: string, by = 1): void {
    this.#counts.set(label, (this.#counts.get(label) ?? 0) + by);
  }

  entries(): IterableIterator<[label: string, count: number]> {
    return this.#counts.entries();
  }
}
