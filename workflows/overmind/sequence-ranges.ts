/**
 * Which messages of a stream were counted, by their sequences. Delivery is at least once; this makes counting exactly
 * once. Runs of sequences are kept as one range, so that a message that never arrives costs one entry and no more.
 */
export type SequenceRange = readonly [from: number, through: number];

/** So many gaps are months of poison; from there on the oldest is closed, and what comes from inside it is not counted. */
const RANGES_MAX = 1_000;

/** Null where the sequence is there already. */
export function withSequence(ranges: readonly SequenceRange[], sequence: number): readonly SequenceRange[] | null {
  const position = ranges.findIndex(([, through]) => through >= sequence - 1);
  if (position === -1) return bounded([...ranges, [sequence, sequence]]);
  const [from, through] = ranges[position] ?? [sequence, sequence];
  if (from <= sequence && sequence <= through) return null;
  if (sequence < from - 1) {
    return bounded([...ranges.slice(0, position), [sequence, sequence], ...ranges.slice(position)]);
  }
  if (sequence === from - 1) return [...ranges.slice(0, position), [sequence, through], ...ranges.slice(position + 1)];
  const next = ranges[position + 1];
  return next !== undefined && next[0] === sequence + 1
    ? [...ranges.slice(0, position), [from, next[1]], ...ranges.slice(position + 2)]
    : [...ranges.slice(0, position), [from, sequence], ...ranges.slice(position + 1)];
}

function bounded(ranges: readonly SequenceRange[]): readonly SequenceRange[] {
  const [first, second, ...rest] = ranges;
  if (ranges.length <= RANGES_MAX || first === undefined || second === undefined) return ranges;
  return [[first[0], second[1]], ...rest];
}
