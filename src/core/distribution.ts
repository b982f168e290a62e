/**
 * How often which sizes occurred: the counts of a histogram, kept as plain numbers because a task passes several of
 * them on its way and each costs only a short search. Whoever shows them makes a histogram of them (orchestrator/metrics.ts).
 */
export class Distribution {
  /** Upper bounds, inclusive and ascending; what is above the last counts in the last of `counts`. */
  readonly bounds: readonly number[];
  /** One more than there are bounds; not cumulative. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** A negative value, which a clock that was set back makes of a duration, counts as 0. */
  observe(value: number): void {
    const observed = Math.max(value, 0);
    const { bounds, counts } = this;
    let index = 0;
    while (index < bounds.length && observed > (bounds[index] as number)) index += 1;
    counts[index] = (counts[index] as number) + 1;
    this.sum += observed;
  }
}
