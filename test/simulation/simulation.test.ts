import { expect, it } from "vitest";
import { simulate } from "./simulation.js";

/** A few thousand more take a minute: `SEEDS=5000 npx vitest run test/simulation`. One alone: `simulate(seed)`. */
const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 200) }, (_, index) => index + 1);

/** Some seeds at a time, so that a failure is told while the others still run. */
const SHARE = 50;
const shares = Array.from({ length: Math.ceil(seeds.length / SHARE) }, (_, index) =>
  seeds.slice(index * SHARE, (index + 1) * SHARE),
).map((share) => ({ share, first: share[0], last: share.at(-1) }));

it.each(shares)("keeps every promise through the trouble of seeds $first to $last", ({ share }) => {
  const broken = share.flatMap((seed) => {
    const { breaches } = simulate(seed);
    return breaches.length === 0 ? [] : [`seed ${seed}: ${breaches.slice(0, 3).join("; ")}`];
  });
  expect(broken).toEqual([]);
});

it("strikes with every kind of trouble and sees every kind of end", () => {
  const outcomes = seeds.slice(0, 30).map(simulate);
  const kinds = (counts: readonly Readonly<Record<string, number>>[]) =>
    [...new Set(counts.flatMap(Object.keys))].sort();
  expect(kinds(outcomes.map(({ troubles }) => troubles))).toEqual([
    "agent crash",
    "agent drain",
    "agent flapping",
    "agent pause",
    "agent replacement",
    "alarm AGENT_ID_FLAPPING",
    "alarm OBSERVER_SUSPECT",
    "cancellation",
    "leader crash",
    "leader pause",
    "mass silence",
  ]);
  expect(kinds(outcomes.map(({ endedStates }) => endedStates))).toEqual([
    "cancelled",
    "completed",
    "failed",
    "timed_out",
  ]);
});

it("gives the same run for the same seed", () => {
  expect(simulate(7)).toEqual(simulate(7));
});
