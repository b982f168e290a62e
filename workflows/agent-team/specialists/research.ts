/** Looks through the project for code that is built like the reported function, and for where the two differ. */

import { functionAround, lineLengthMax } from "../project/fix-strategies.js";
import { findSource, isTestFile, type Place } from "../project/source-place.js";
import { linesOf, sourcesOf } from "../project/sources.js";
import type { Research, SimilarCode } from "../tasks.js";

const tokensMin = 6;
const similarMax = 20;

export async function research(projectFolder: string, reported: Place): Promise<Research> {
  const file = await findSource(projectFolder, reported.file);
  if (file === null) return { place: null, similar: [], summary: `the project has no source ${reported.file}` };
  const lines = await linesOf(projectFolder, file);
  if (reported.line < 1 || reported.line > lines.length) {
    return { place: null, similar: [], summary: `${file} has no line ${reported.line}` };
  }
  const own = functionAround(lines, reported.line)
    .map((line) => ({ line, text: lines[line - 1] ?? "" }))
    .filter(({ text }) => text.length <= lineLengthMax);
  const similar: SimilarCode[] = [];
  for (const source of (await sourcesOf(projectFolder)).filter((path) => !isTestFile(path))) {
    for (const [index, text] of (await linesOf(projectFolder, source)).entries()) {
      const isOwn = source === file && own.some(({ line }) => line === index + 1);
      const match = isOwn ? null : likest(text, own);
      if (match !== null) similar.push({ file: source, line: index + 1, text: text.trim(), ...match });
    }
  }
  const different = similar.filter(({ difference }) => difference !== null);
  const summary =
    similar.length === 0
      ? `nothing in the project is built like ${file}:${reported.line}`
      : `${similar.length} lines are built like those around ${file}:${reported.line}; ${
          different
            .map(
              ({ file: where, line, difference }) =>
                `${where}:${line} has "${difference?.there}" for "${difference?.here}"`,
            )
            .join("; ") || "none of them differs"
        }`;
  return {
    place: { file, line: reported.line },
    // Those that differ say the most.
    similar: [...different, ...similar.filter(({ difference }) => difference === null)].slice(0, similarMax),
    summary,
  };
}

type Own = readonly { readonly line: number; readonly text: string }[];

/** Alike: the same tokens but for names and numbers, with one other at the most. */
function likest(text: string, own: Own): Pick<SimilarCode, "like" | "difference"> | null {
  if (text.length > lineLengthMax) return null;
  const there = tokensOf(text);
  if (there.length < tokensMin) return null;
  for (const { line, text: ownText } of own) {
    const here = tokensOf(ownText);
    if (here.length !== there.length) continue;
    const differing = here.flatMap((token, index) => (token === there[index] ? [] : [index]));
    const [only] = differing;
    if (differing.length === 0) return { like: line, difference: null };
    if (differing.length === 1 && only !== undefined) {
      return { like: line, difference: { here: here[only] ?? "", there: there[only] ?? "" } };
    }
  }
  return null;
}

const keywords = new Set([
  "for",
  "if",
  "while",
  "return",
  "const",
  "let",
  "await",
  "new",
  "else",
  "of",
  "in",
  "length",
]);

function tokensOf(line: string): readonly string[] {
  const code = line.replace(/\/\/.*$/, "").replace(/^\s*\*.*$/, "");
  return (
    code.match(
      /[A-Za-z_$][\w$]*|\d+(?:\.\d+)?|"[^"]*"|'[^']*'|=>|[=!]==?|[<>]=?|&&|\|\||\?\?|\?\.|\+\+|--|[+\-*/]=|\S/g,
    ) ?? []
  ).map((token) => (/^[A-Za-z_$]/.test(token) && !keywords.has(token) ? "name" : /^["']/.test(token) ? "text" : token));
}
