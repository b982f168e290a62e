/**
 * Versions and ranges as npm reads them for `engines`: the grammar of node-semver, strict, with pre-releases included
 * (npm checks engines that way, so that a nightly Node passes ">=18"). Written here because the demo may not add a
 * dependency; test/workflows/dependency-audit/semver-range.test.ts holds it against verdicts of node-semver itself.
 *
 * A range is a list of alternatives ("||"), each a list of comparators that all must hold. Every short form ("^1.2",
 * "1.x", "1 - 2") becomes such comparators once, at parsing, so that checking is four lines.
 */

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** Dot-separated parts, numeric ones as numbers; empty for a release. */
  readonly prerelease: readonly (string | number)[];
}

interface Comparator {
  readonly operator: "<" | "<=" | ">" | ">=" | "=";
  readonly version: Version;
}

export type Range = readonly (readonly Comparator[])[];

/** Hostile input is cut off here, before any expression looks at it. The longest range on npm is about 200 long. */
const charactersMax = 1024;

const numberPattern = "0|[1-9][0-9]*";
const prereleasePart = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)";
const suffixPattern = `(?:-(${prereleasePart}(?:\\.${prereleasePart})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?`;
const placePattern = `${numberPattern}|[xX*]`;
const partialPattern = `v?(${placePattern})(?:\\.(${placePattern})(?:\\.(${placePattern})${suffixPattern})?)?`;

const versionExpression = new RegExp(
  `^[v=]?(${numberPattern})\\.(${numberPattern})\\.(${numberPattern})${suffixPattern}$`,
);
const comparatorExpression = new RegExp(`^(<=|>=|<|>|=|~>|~|\\^)?=?${partialPattern}$`);
const hyphenExpression = new RegExp(`^=?${partialPattern}\\s+-\\s+=?${partialPattern}$`);

/** Reads "20.19.0", "v20.19.0" or "23.0.0-nightly.1"; null for anything else. */
export function parseVersion(text: string): Version | null {
  if (text.length > charactersMax) return null;
  const match = versionExpression.exec(text.trim());
  if (match === null) return null;
  const [, major, minor, patch, prerelease] = match;
  const version = {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    prerelease: prereleaseParts(prerelease),
  };
  return isCountable(version) ? version : null;
}

/** Below zero when `a` comes before `b`. Build metadata does not count. */
export function compareVersions(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch || comparePrerelease(a.prerelease, b.prerelease);
}

/** Reads a range; null for what is none. Never throws. An empty text is any version, as npm has it. */
export function parseRange(text: string): Range | null {
  if (text.length > charactersMax) return null;
  const alternatives: (readonly Comparator[])[] = [];
  for (const part of text.split("||")) {
    const comparators = parseAlternative(part.trim());
    if (comparators === null) return null;
    alternatives.push(comparators);
  }
  return alternatives;
}

export function satisfies(version: Version, range: Range): boolean {
  return range.some((comparators) => comparators.every((comparator) => holds(version, comparator)));
}

function holds(version: Version, { operator, version: bound }: Comparator): boolean {
  const order = compareVersions(version, bound);
  switch (operator) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    case "=":
      return order === 0;
  }
}

function parseAlternative(text: string): readonly Comparator[] | null {
  const hyphen = hyphenExpression.exec(text);
  if (hyphen !== null) return hyphenRange(partialOf(hyphen.slice(1, 5)), partialOf(hyphen.slice(5, 9)));
  const comparators: Comparator[] = [];
  // An operator may stand apart from its version: ">= 10.*".
  for (const word of text.replace(/([<>=~^])\s+/g, "$1").split(/\s+/)) {
    if (word === "") continue;
    const match = comparatorExpression.exec(word);
    if (match === null) return null;
    const expanded = expand(match[1] ?? "", partialOf(match.slice(2, 6)));
    if (expanded === null) return null;
    comparators.push(...expanded);
  }
  return comparators;
}

/** A version of which the places from the first "x" on are open. */
interface PartialVersion {
  readonly major: number | null;
  readonly minor: number | null;
  readonly patch: number | null;
  readonly prerelease: readonly (string | number)[];
}

function partialOf([major, minor, patch, prerelease]: readonly (string | undefined)[]): PartialVersion {
  const first = placeOf(major);
  const second = first === null ? null : placeOf(minor);
  const third = second === null ? null : placeOf(patch);
  return { major: first, minor: second, patch: third, prerelease: third === null ? [] : prereleaseParts(prerelease) };
}

function placeOf(text: string | undefined): number | null {
  return text === undefined || /^[xX*]$/.test(text) ? null : Number(text);
}

/** What comes before every pre-release of a version: "-0" in node-semver's notation. */
const earliest: readonly number[] = [0];

function at(major: number, minor: number, patch: number, prerelease: readonly (string | number)[] = []): Version {
  return { major, minor, patch, prerelease };
}

function expand(operator: string, partial: PartialVersion): readonly Comparator[] | null {
  const { major, minor, patch } = partial;
  if (major === null) {
    // Nothing is above or below every version; all else about "*" is true of any.
    return operator === "<" || operator === ">" ? [{ operator: "<", version: at(0, 0, 0, earliest) }] : [];
  }
  const lowest = at(major, minor ?? 0, patch ?? 0, patch === null ? earliest : partial.prerelease);
  if (!isCountable(lowest)) return null;
  const next = minor === null ? at(major + 1, 0, 0, earliest) : at(major, minor + 1, 0, earliest);
  switch (operator) {
    case "~":
    case "~>":
      return between(lowest, next);
    case "^":
      return between(caretFloor(partial, lowest), caretCeiling(partial, lowest));
    case "":
    case "=":
      return patch === null ? between(lowest, next) : [{ operator: "=", version: lowest }];
    case ">":
      return [patch === null ? { operator: ">=", version: next } : { operator: ">", version: lowest }];
    case ">=":
      return [{ operator: ">=", version: lowest }];
    case "<":
      return [{ operator: "<", version: lowest }];
    case "<=":
      return [patch === null ? { operator: "<", version: next } : { operator: "<=", version: lowest }];
    default:
      return null;
  }
}

/** With pre-releases included, node-semver lets them into "^0.x" ranges but not into "^1.2.3". */
function caretFloor(partial: PartialVersion, lowest: Version): Version {
  const full = partial.patch !== null && partial.prerelease.length === 0;
  return full && lowest.major === 0 ? { ...lowest, prerelease: earliest } : lowest;
}

/** The first place that is not zero may not change; open places count as changeable. */
function caretCeiling(partial: PartialVersion, { major, minor, patch }: Version): Version {
  if (major > 0 || partial.minor === null) return at(major + 1, 0, 0, earliest);
  if (minor > 0 || partial.patch === null) return at(0, minor + 1, 0, earliest);
  return at(0, 0, patch + 1, earliest);
}

function hyphenRange(from: PartialVersion, to: PartialVersion): readonly Comparator[] | null {
  const comparators: Comparator[] = [];
  if (from.major !== null) {
    const prerelease = from.prerelease.length > 0 ? from.prerelease : earliest;
    comparators.push({ operator: ">=", version: at(from.major, from.minor ?? 0, from.patch ?? 0, prerelease) });
  }
  if (to.major !== null) comparators.push(hyphenCeiling(to.major, to));
  return comparators.every(({ version }) => isCountable(version)) ? comparators : null;
}

function hyphenCeiling(major: number, { minor, patch, prerelease }: PartialVersion): Comparator {
  if (minor === null) return { operator: "<", version: at(major + 1, 0, 0, earliest) };
  if (patch === null) return { operator: "<", version: at(major, minor + 1, 0, earliest) };
  if (prerelease.length > 0) return { operator: "<=", version: at(major, minor, patch, prerelease) };
  return { operator: "<", version: at(major, minor, patch + 1, earliest) };
}

function between(floor: Version, ceiling: Version): readonly Comparator[] {
  return [
    { operator: ">=", version: floor },
    { operator: "<", version: ceiling },
  ];
}

function prereleaseParts(text: string | undefined): readonly (string | number)[] {
  if (text === undefined) return [];
  return text.split(".").map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}

function comparePrerelease(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  // A release comes after all its pre-releases.
  if (a.length === 0 || b.length === 0) return (a.length === 0 ? 1 : 0) - (b.length === 0 ? 1 : 0);
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const left = a[index];
    const right = b[index];
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const order = comparePart(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

function comparePart(left: string | number, right: string | number): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  if (typeof left === "number") return -1;
  if (typeof right === "number") return 1;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Above 2^53 numbers run together, and 2 would satisfy "<= 2" in ways nobody wrote. */
function isCountable(version: Version): boolean {
  return [version.major, version.minor, version.patch].every((place) => place < Number.MAX_SAFE_INTEGER);
}
