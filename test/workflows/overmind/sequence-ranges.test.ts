import fc from "fast-check";
import { expect, it } from "vitest";
import { type SequenceRange, withSequence } from "../../../workflows/overmind/sequence-ranges.js";

it("takes each sequence once, in any order, and joins what lies together", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 200 }), (sequences) => {
      let ranges: readonly SequenceRange[] = [];
      const seen = new Set<number>();
      for (const sequence of sequences) {
        const next = withSequence(ranges, sequence);
        expect(next === null).toBe(seen.has(sequence));
        seen.add(sequence);
        ranges = next ?? ranges;
      }
      const listed = ranges.flatMap(([from, through]) =>
        Array.from({ length: through - from + 1 }, (_, i) => from + i),
      );
      expect(listed).toEqual([...seen].sort((a, b) => a - b));
      // A gap of one at least between two ranges: else they would be one.
      for (const [index, [from]] of ranges.entries()) expect(from).toBeGreaterThan((ranges[index - 1]?.[1] ?? -1) + 1);
    }),
  );
});

it("closes the oldest gaps when there are too many", () => {
  let ranges: readonly SequenceRange[] = [];
  for (let sequence = 2; sequence <= 2_402; sequence += 2) ranges = withSequence(ranges, sequence) ?? ranges;

  expect(ranges).toHaveLength(1_000);
  expect(ranges[0]).toEqual([2, 404]);
  expect(withSequence(ranges, 3)).toBeNull();
  expect(withSequence(ranges, 2_401)).not.toBeNull();
});
