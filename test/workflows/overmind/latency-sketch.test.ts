import fc from "fast-check";
import { expect, it } from "vitest";
import { type LatencySketch, percentile, withLatency } from "../../../workflows/overmind/latency-sketch.js";

const sketchOf = (latencies: readonly number[]): LatencySketch => latencies.reduce(withLatency, {});

it("gives every percentile within two per cent", () => {
  const latency = fc.double({ min: 0.02, max: 1e8, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 1, maxLength: 200 }),
      fc.constantFrom(0.5, 0.95, 0.99),
      (given, share) => {
        const exact = given.toSorted((a, b) => a - b)[Math.ceil(share * given.length) - 1] ?? 0;

        expect(Math.abs((percentile(sketchOf(given), share) ?? 0) - exact) / exact).toBeLessThan(0.02);
      },
    ),
  );
});

it("has no percentile of nothing, and survives what no latency is", () => {
  expect(percentile({}, 0.5)).toBeNull();
  expect(percentile(sketchOf([0, 1e300]), 0.5)).toBeLessThan(0.02);
});
