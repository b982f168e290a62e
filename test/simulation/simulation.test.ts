import { expect, it } from "vitest";
import { simulate } from "./simulation.js";

/** `SEEDS=5000 npx vitest run test/simulation` runs so many, and takes minutes; `SEED=7` runs that one alone. */
const { SEEDS = "200", SEED } = process.env;
const seeds = SEED === undefined ? Array.from({ length: Number(SEEDS) }, (_, index) => index + 1) : [Number(SEED)];

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
  const outcomes = Array.from({ length: 30 }, (_, index) => simulate(index + 1));
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
    "leader crash",
    "leader pause",
    "mass silence",
    "server crash",
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
