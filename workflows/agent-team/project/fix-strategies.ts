/**
 * Small changes that undo common mistakes, each of one line. A candidate comes from the project's own code alone: nothing of
 * a report's text gets into it, only the place where to begin.
 */
import type { Place } from "./source-place.js";

export interface Candidate extends Place {
  /** Which mistake it takes the line for. */
  readonly strategy: string;
  readonly before: string;
  readonly after: string;
}

interface Strategy {
  readonly name: string;
  readonly pattern: RegExp;
  /** What each match may have to be. */
  readonly instead: (match: string, ...groups: string[]) => readonly string[];
}

const swap =
  (a: string, b: string) =>
  (match: string): readonly string[] => [match.includes(a) ? match.replace(a, b) : match.replace(b, a)];

/** In the order in which they are tried: what is mistaken most often first. */
// biome-ignore format: a table, one row a strategy
const strategies: readonly Strategy[] = [
  { name: "off by one: bound", pattern: /(?<![<>=!])[<>]=?(?![<>=])(?=\s)/g, instead: (sign) => [sign.endsWith("=") ? sign.slice(0, -1) : `${sign}=`] },
  { name: "off by one: length", pattern: /\.length(?: - 1)?\b/g, instead: (text) => [text === ".length" ? ".length - 1" : ".length"] },
  { name: "off by one: start", pattern: /= ([01])(?=;)/g, instead: (_text, digit = "") => [digit === "0" ? "= 1" : "= 0"] },
  { name: "off by one: step", pattern: / [+-] 1\b/g, instead: (text) => ["", text.includes("+") ? " - 1" : " + 1"] },
  { name: "missing check for null", pattern: /(?<=[\w\])])\.(?=[A-Za-z_])/g, instead: () => ["?."] },
  { name: "missing check for null", pattern: /(?<=[\w)])\[/g, instead: () => ["?.["] },
  { name: "wrong operator", pattern: / (?:&&|\|\|) /g, instead: swap("&&", "||") },
  { name: "wrong operator", pattern: / [=!]== /g, instead: swap("===", "!==") },
  { name: "wrong operator", pattern: / [+-]=? (?!1\b)/g, instead: swap("+", "-") },
  { name: "wrong operator", pattern: / [*/] /g, instead: swap("*", "/") },
  { name: "wrong default", pattern: /\|\|/g, instead: () => ["??"] },
  { name: "wrong direction", pattern: /\+\+|--/g, instead: swap("++", "--") },
  { name: "wrong comparison", pattern: /(?<![<>=])[<>](?=\s)/g, instead: swap("<", ">") },
  { name: "wrong condition", pattern: /\bif \(([^()]+)\)/g, instead: (_text, condition = "") => [`if (!(${condition}))`] },
  { name: "wrong rounding", pattern: /Math\.(?:floor|ceil|round)\b/g, instead: (text) => ["Math.ceil", "Math.floor", "Math.round"].filter((other) => other !== text) },
  { name: "swapped arguments", pattern: /\(([\w.]+), ([\w.]+)\)/g, instead: (_text, first = "", second = "") => [`(${second}, ${first})`] },
  { name: "swapped operands", pattern: /\b([\w.]+) - ([\w.]+)\b/g, instead: (_text, first = "", second = "") => [`${second} - ${first}`] },
  { name: "sorted as text", pattern: /\.sort\(\)/g, instead: () => [".sort((a, b) => a - b)"] },
  { name: "missing await", pattern: /(?<=(?:=|return) )(?!await )(?=\w+(?:\.\w+)*\()/g, instead: () => ["await "] },
  { name: "wrong constant", pattern: /(?<![\w.])(\d{1,6})(?![\w.])/g, instead: (digits) => [String(Number(digits) + 1), String(Math.max(0, Number(digits) - 1))] },
];

/** Characters; what is longer was packed by a tool, and a change of it would be no patch that anybody reads. */
export const lineLengthMax = 1_000;

/** The reported line first, then those of the same function, by how far away they are. */
export function candidatesFor(file: string, lines: readonly string[], reportedLine: number): readonly Candidate[] {
  return functionAround(lines, reportedLine)
    .toSorted((a, b) => Math.abs(a - reportedLine) - Math.abs(b - reportedLine) || a - b)
    .flatMap((line) => {
      const before = lines[line - 1] ?? "";
      if (before.length > lineLengthMax || /^\s*(?:\/\/|\/?\*|import\b|$)/.test(before)) return [];
      return changesOf(before).map(({ strategy, after }) => ({ file, line, strategy, before, after }));
    });
}

function changesOf(line: string): readonly { readonly strategy: string; readonly after: string }[] {
  const changes = strategies.flatMap(({ name, pattern, instead }) =>
    [...line.matchAll(pattern)].flatMap((match) =>
      instead(match[0], ...match.slice(1)).map((replacement) => ({
        strategy: name,
        after: line.slice(0, match.index) + replacement + line.slice(match.index + match[0].length),
      })),
    ),
  );
  const unlike = changes.filter(({ after }) => after !== line);
  return [...new Map(unlike.toReversed().map((change) => [change.after, change])).values()].toReversed();
}

/** Numbers of the lines of the outermost function, or other block, that a line is in; formatted code is taken for granted. */
export function functionAround(lines: readonly string[], line: number): number[] {
  const opens = (text: string): boolean => /^[^\s})\]/*]/.test(text);
  let first = line;
  while (first > 1 && !opens(lines[first - 1] ?? "")) first -= 1;
  let last = line;
  while (
    last < lines.length &&
    !/^[})\]]/.test(lines[last - 1] ?? "") &&
    !(last > line && opens(lines[last - 1] ?? ""))
  )
    last += 1;
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** As a unified diff. */
export function patchOf({ file, line, before, after }: Candidate): string {
  return [`--- a/${file}`, `+++ b/${file}`, `@@ -${line} +${line} @@`, `-${before}`, `+${after}`].join("\n");
}
