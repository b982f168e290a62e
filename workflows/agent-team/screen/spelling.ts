/** Words that orders are made of, misspelled just enough to slip past a rule and not past a reader. */

// biome-ignore format: a list of words
const watched = [
  "ignore", "disregard", "forget", "previous", "instructions", "instruction", "reveal", "system", "prompt", "rules",
  "guidelines", "override", "bypass", "secrets", "password", "credentials", "assistant", "delete",
] as const;

/** One slip may be a slip; whoever disguises a sentence has to do it to most of its words. */
const slipsMin = 2;

export function mended(folded: string): string {
  let slips = 0;
  const text = folded.replace(/\p{L}{5,14}/gu, (word) => {
    const meant = watched.find((candidate) => isSlipOf(word, candidate));
    if (meant === undefined) return word;
    slips += 1;
    return meant;
  });
  return slips >= slipsMin ? text : folded;
}

/** The same first letter, one slip (two in a long word), and not just another form of the word. */
function isSlipOf(word: string, meant: string): boolean {
  if (word === meant || word[0] !== meant[0] || Math.abs(word.length - meant.length) > 2) return false;
  if (
    word.startsWith(meant) ||
    meant.startsWith(word) ||
    /(?:ed|ing|er|ers|es|s)$/.test(word) !== meant.endsWith("s")
  ) {
    return false;
  }
  return distance(word, meant) <= (meant.length >= 8 ? 2 : 1);
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const costs = [
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
        ...(swapped ? [(beforeLast[j - 2] ?? 0) + 1] : []),
      ];
      row.push(Math.min(...costs));
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
