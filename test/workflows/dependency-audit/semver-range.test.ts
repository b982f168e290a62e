import fc from "fast-check";
import { expect, it } from "vitest";
import {
  compareVersions,
  parseRange,
  parseVersion,
  satisfies,
  type Version,
} from "../../../workflows/dependency-audit/semver-range.js";

function version(text: string): Version {
  const parsed = parseVersion(text);
  if (parsed === null) throw new Error(`${text} is no version`);
  return parsed;
}

function allows(range: string, text: string): boolean {
  const parsed = parseRange(range);
  if (parsed === null) throw new Error(`${range} is no range`);
  return satisfies(version(text), parsed);
}

const tried = ["0.2.9", "1.2.9", "18.0.0", "20.20.2", "22.12.0", "23.0.0-nightly.1"];

/** What node-semver 7.8.5 says with includePrerelease, as npm asks it. */
it.each<[string, string]>([
  [">=18", "18.0.0 20.20.2 22.12.0 23.0.0-nightly.1"],
  ["^20.19.0 || >=22.12.0", "20.20.2 22.12.0 23.0.0-nightly.1"],
  [">= 10.*", "18.0.0 20.20.2 22.12.0 23.0.0-nightly.1"],
  ["14 || >=16.14", "18.0.0 20.20.2 22.12.0 23.0.0-nightly.1"],
  ["*", tried.join(" ")],
  ["", tried.join(" ")],
  ["||", tried.join(" ")],
  [">=22 || ", tried.join(" ")],
  ["<6 || >=8", tried.join(" ")],
  ["18 - 20", "18.0.0 20.20.2"],
  ["1.2 - 20.19.0", "1.2.9 18.0.0"],
  ["~1.2", "1.2.9"],
  ["~20.19", ""],
  ["~>20", "20.20.2"],
  ["20 || >=22", "20.20.2 22.12.0 23.0.0-nightly.1"],
  ["^0.2.3", "0.2.9"],
  ["^0.0.3", ""],
  ["^0.2", "0.2.9"],
  [">20", "22.12.0 23.0.0-nightly.1"],
  [">20.20.2", "22.12.0 23.0.0-nightly.1"],
  ["<=20", "0.2.9 1.2.9 18.0.0 20.20.2"],
  ["<=20.20.2", "0.2.9 1.2.9 18.0.0 20.20.2"],
  ["<20", "0.2.9 1.2.9 18.0.0"],
  ["v20.20.2", "20.20.2"],
  [">=20.20.2-rc.1", "20.20.2 22.12.0 23.0.0-nightly.1"],
  ["20.x", "20.20.2"],
  ["20.20", "20.20.2"],
  [">=12 <21", "18.0.0 20.20.2"],
  ["^10 || ^12 || ^13.7 || ^14 || >=15.0.1", "18.0.0 20.20.2 22.12.0 23.0.0-nightly.1"],
  [">=0.10.x", "1.2.9 18.0.0 20.20.2 22.12.0 23.0.0-nightly.1"],
  ["0.10.x || 0.12.x || 4.x", ""],
  ["<*", ""],
])("lets %j allow what node-semver lets it allow", (range, expected) => {
  expect(tried.filter((text) => allows(range, text)).join(" ")).toBe(expected);
});

it.each([
  ...["latest", "node >=6", ">=", "^", "08", "1.2.3.4", ">=18,", "99999999999999999999", "1 -", "a || 20", ">=4 LTS"],
  ...["1.2.3-", "1.2.3-01", ">=<18", "18 -20-", "≥18", "20 |"],
])("reads no range in %j", (range) => {
  expect(parseRange(range)).toBeNull();
});

it("reads no range in texts far longer than any range", () => {
  for (const piece of [">", "1.", "||", "1 - ", "^ "]) expect(parseRange(piece.repeat(100_000))).toBeNull();
});

it.each(["20", "20.1", "x.1.2", "1.2.3.4", "", "01.2.3", "1.2.3-01", "9007199254740993.0.0"])(
  "reads no version in %j",
  (text) => {
    expect(parseVersion(text)).toBeNull();
  },
);

it("orders pre-releases as semver.org does", () => {
  const ordered = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
  ];
  const shuffled = [...ordered].reverse();
  expect(shuffled.sort((a, b) => compareVersions(version(a), version(b)))).toEqual(ordered);
  expect(compareVersions(version("1.0.0+a"), version("1.0.0+b"))).toBe(0);
});

const place = fc.nat({ max: 30 });
const release = fc.tuple(place, place, place).map((places) => places.join("."));
const prerelease = fc.tuple(release, fc.constantFrom("0", "rc.1", "alpha", "rc.1.x")).map((parts) => parts.join("-"));
const anyVersion = fc.oneof(release, prerelease);

it("never throws, whatever a package writes", () => {
  const pieces = fc.constantFrom(">", "<", "=", "~", "^", "-", " - ", "||", " ", ".", "x", "*", "v", "1", "20", "rc");
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(pieces).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, anyVersion, (range, running) => {
      const parsed = parseRange(range);
      if (parsed !== null) satisfies(version(running), parsed);
    }),
    { numRuns: 1000 },
  );
});

it("allows a version in every range that is made from it", () => {
  fc.assert(
    fc.property(anyVersion, (text) => {
      for (const range of [text, `=${text}`, `>=${text}`, `<=${text}`, `^${text}`, `~${text}`, `${text} - ${text}`]) {
        expect(allows(range, text), range).toBe(true);
      }
      for (const range of [`>${text}`, `<${text}`]) expect(allows(range, text), range).toBe(false);
    }),
  );
});

it("agrees with the order of versions on either side of a bound", () => {
  fc.assert(
    fc.property(anyVersion, anyVersion, (running, bound) => {
      const order = compareVersions(version(running), version(bound));
      expect(allows(`<${bound}`, running)).toBe(order < 0);
      expect(allows(`>=${bound}`, running)).toBe(order >= 0);
      expect(allows(`>${bound}`, running)).toBe(order > 0);
      expect(allows(`<=${bound}`, running)).toBe(order <= 0);
    }),
  );
});

it("reads || as or, a blank as and", () => {
  const range = fc.tuple(fc.constantFrom("^", "~", ">=", "<", ">", "<=", ""), release).map((parts) => parts.join(""));
  fc.assert(
    fc.property(range, range, anyVersion, (a, b, running) => {
      expect(allows(`${a} || ${b}`, running)).toBe(allows(a, running) || allows(b, running));
      expect(allows(`${a} ${b}`, running)).toBe(allows(a, running) && allows(b, running));
    }),
  );
});

it("gives releases the same answer for the long and the short form of a range", () => {
  fc.assert(
    fc.property(place, place, release, (major, minor, running) => {
      const same = (short: string, long: string): void =>
        expect(allows(short, running), short).toBe(allows(long, running));
      same(`${major}`, `>=${major}.0.0 <${major + 1}.0.0`);
      same(`${major}.${minor}.x`, `>=${major}.${minor}.0 <${major}.${minor + 1}.0`);
      same(`~${major}.${minor}`, `>=${major}.${minor}.0 <${major}.${minor + 1}.0`);
      same(`^${major + 1}.${minor}`, `>=${major + 1}.${minor}.0 <${major + 2}.0.0`);
      same(`>${major}`, `>=${major + 1}.0.0`);
      same(`${major} - ${major + 2}`, `>=${major}.0.0 <${major + 3}.0.0`);
    }),
  );
});
