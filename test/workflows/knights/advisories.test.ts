import { expect, it } from "vitest";
import { type Advisory, type Inventory, rankAdvisories, severityOf } from "../../../workflows/knights/advisories.js";
import { compareVersions } from "../../../workflows/knights/versions.js";

const today = new Date("2026-11-21T06:00:00Z");

function advisory(id: string, change: Partial<Advisory> = {}): Advisory {
  return {
    id,
    ecosystem: "npm",
    package: "ws",
    introduced: null,
    fixed: "2.0.0",
    cvss: 5,
    exploitation: "none",
    published: "2020-01-01",
    summary: "",
    ...change,
  };
}

const inventory = (version: string, ecosystem = "npm"): Inventory => ({
  packages: [{ ecosystem, package: "WS", version, usedBy: "shop" }],
});
const order = (advisories: readonly Advisory[], installed: Inventory = { packages: [] }): readonly string[] =>
  rankAdvisories(advisories, installed, today).map(({ advisory: { id } }) => id);

it("puts what affects the inventory before what is worse elsewhere", () => {
  const here = advisory("here", { cvss: 2 });
  const elsewhere = advisory("elsewhere", { package: "express", cvss: 10, exploitation: "active" });

  expect(order([elsewhere, here], inventory("1.9.9"))).toEqual(["here", "elsewhere"]);
});

it.each<[string, Partial<Advisory>, Partial<Advisory>]>([
  ["the worse", { cvss: 7 }, { cvss: 6.9 }],
  ["what is being used in attacks", { cvss: 6, exploitation: "active" }, { cvss: 8, exploitation: "public" }],
  ["what there is code for", { exploitation: "public" }, { exploitation: "none" }],
  ["what is new", { published: "2026-11-01" }, { published: "2026-10-01" }],
  ["what is of this year", { published: "2026-01-01" }, { published: "2025-11-01" }],
])("puts %s first, all else alike", (_, first, second) => {
  expect(order([advisory("second", second), advisory("first", first)])).toEqual(["first", "second"]);
});

it("gives the same order whatever order it is given", () => {
  const all = ["a", "b", "c"].map((id) => advisory(id));

  expect(order(all)).toEqual(order(all.toReversed()));
});

it.each([
  ["1.9.9", { fixed: "2.0.0" }, 1],
  ["2.0.0", { fixed: "2.0.0" }, 0],
  ["2.0.0-rc1", { fixed: "2.0.0" }, 1],
  ["9.0.0", { fixed: null }, 1],
  ["0.9.0", { introduced: "1.0.0" }, 0],
  ["1.0.0", { introduced: "1.0.0" }, 1],
  ["1.0.0", { ecosystem: "pypi" }, 0],
])("says of version %s and %j how many installations are affected: %i", (version, change, count) => {
  const [ranked] = rankAdvisories([advisory("one", change)], inventory(version), today);

  expect(ranked?.affected).toHaveLength(count);
});

it.each([
  [10, "critical"],
  [9, "critical"],
  [8.9, "high"],
  [6.9, "medium"],
  [3.9, "low"],
])("calls a base score of %d %s", (cvss, severity) => {
  expect(severityOf(cvss)).toBe(severity);
});

it.each([
  ["1.2.3", "1.2.10"],
  ["1.1.1", "1.1.1k"],
  ["1.1.1f", "1.1.1k"],
  ["5.0.0-rc1", "5.0.0"],
  ["5.0.0-beta", "5.0.0-rc1"],
  ["1.0", "1.0.1"],
  ["8.5p1", "9.3p2"],
  ["1.9.5", "1.9.5p2"],
])("knows that %s is older than %s", (older, newer) => {
  expect(compareVersions(older, newer)).toBeLessThan(0);
  expect(compareVersions(newer, older)).toBeGreaterThan(0);
  expect(compareVersions(newer, newer)).toBe(0);
});
