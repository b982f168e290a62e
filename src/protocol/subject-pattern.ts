/** Subjects with wildcards, compared token by token: `*` is one token, `>` is one or more and stands last. */

/** Whether there is a subject that both patterns match. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [one.split("."), other.split(".")];
  for (let index = 0; ; index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) return left === right;
    if (left === ">" || right === ">") return true;
    if (left !== right && left !== "*" && right !== "*") return false;
  }
}

/** Whether `wide` matches every subject that `narrow` matches. */
export function covers(wide: string, narrow: string): boolean {
  const [a, b] = [wide.split("."), narrow.split(".")];
  for (let index = 0; ; index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) return left === right;
    if (left === ">") return true;
    if (right === ">" || (left !== right && left !== "*")) return false;
  }
}

/** What is wrong with a subject, as the end of a sentence that begins with it; null if nothing is. */
export function subjectFault(subject: string, wildcards: "allowed" | "refused"): string | null {
  const tokens = subject.split(".");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are among what this refuses.
  if (/[\s\u0000-\u001f\u007f]/.test(subject)) return "holds a blank or a control character";
  if (tokens.includes("")) return "has an empty token";
  if (tokens.slice(0, -1).includes(">")) return "has > before its end";
  if (tokens.some((token) => token.length > 1 && /[*>]/.test(token))) return "has a wildcard inside a token";
  if (wildcards === "refused" && tokens.some((token) => token === "*" || token === ">")) return "has a wildcard";
  return null;
}
