/** Versions as people write them: 4.17.21, 1.1.1k, 5.0.0-rc1, 2:3.4. */

const preRelease = /^(a|alpha|b|beta|rc|pre|dev|next)$/;

/** Negative where `one` is older than `other`. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [partsOf(one), partsOf(other)];
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = rankOf(a[index]) - rankOf(b[index]) || compareParts(a[index], b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

const partsOf = (version: string): readonly string[] => version.toLowerCase().match(/\d+|[a-z]+/g) ?? [];

/** A pre-release is older than the release; a letter behind it (1.1.1k) newer; a further number (1.0 and 1.0.1) newer. */
function rankOf(part: string | undefined): number {
  if (part === undefined) return 1;
  return preRelease.test(part) ? 0 : /^\d/.test(part) ? 3 : 2;
}

function compareParts(one = "", other = ""): number {
  if (/^\d/.test(one) && /^\d/.test(other)) return Number(one) - Number(other);
  return one < other ? -1 : one > other ? 1 : 0;
}
