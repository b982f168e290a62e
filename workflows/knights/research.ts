/**
 * Domain research: finds the passages of a library (the Markdown files of `library/`) that a question is about. Ranked by
 * BM25 (Robertson and Zaragoza, 2009), so that rare words weigh more and long passages win nothing by their length.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readTextFile } from "./data-file.js";
import { type Executor, nothingSpent } from "./executor.js";
import { count } from "./markdown.js";

interface Passage {
  readonly file: string;
  readonly heading: string;
  readonly text: string;
  readonly words: readonly string[];
}

const passagesShown = 5;
/** How soon another occurrence of a word stops counting, and how much a passage's length does: the usual values. */
const k1 = 1.2;
const b = 0.75;
const wordsLeftOut = new Set(
  "a an and are as at be by do does for from has have how in is it its of on or our that the this to was we what when where which who why with".split(
    " ",
  ),
);

export function researchExecutor(folder: string): Executor {
  return {
    async execute({ task }, { signal, log }) {
      const library = join(folder, "library");
      const files = (await readdir(library)).filter((name) => name.endsWith(".md")).sort();
      const passages: Passage[] = [];
      for (const file of files) passages.push(...passagesOf(file, await readTextFile(join(library, file), signal)));
      const found = search(passages, task).slice(0, passagesShown);
      log.info({ files: files.length, passages: passages.length, found: found.length }, "searched the library");
      const searched = `${count(passages.length, "passage")} of ${count(files.length, "document")}`;
      const head = `# What the library says\n\nAsked: ${task.replaceAll(/\s+/g, " ")}`;
      const body =
        found.length === 0
          ? `Nothing in ${searched} has a word of the question.`
          : found.map(({ file, heading, text }) => `## ${heading} (${file})\n\n> ${text}`).join("\n\n");
      const foot = found.length === 0 ? [] : [`The best ${found.length} of ${searched}.`];
      return { ...nothingSpent, result: [head, body, ...foot].join("\n\n") };
    },
  };
}

/** Paragraphs, each with the heading that it stands under. */
export function passagesOf(file: string, markdown: string): readonly Passage[] {
  let heading = file;
  return markdown.split(/\n\s*\n/).flatMap((block) => {
    const [first = "", ...rest] = block.trim().split("\n");
    const title = /^#+\s+(.+)$/.exec(first)?.[1];
    if (title !== undefined) heading = title;
    const text = (title === undefined ? [first, ...rest] : rest).join(" ").trim();
    return text === "" ? [] : [{ file, heading, text, words: wordsOf(`${heading} ${text}`) }];
  });
}

/** Those that have a word of the question, the best first. */
export function search(passages: readonly Passage[], question: string): readonly Passage[] {
  const asked = [...new Set(wordsOf(question))];
  const averageLength = passages.reduce((total, { words }) => total + words.length, 0) / Math.max(1, passages.length);
  const weightOf = new Map(
    asked.map((word) => {
      const having = passages.filter(({ words }) => words.includes(word)).length;
      return [word, Math.log(1 + (passages.length - having + 0.5) / (having + 0.5))];
    }),
  );
  const scoreOf = ({ words }: Passage): number =>
    asked.reduce((score, word) => {
      const times = words.filter((candidate) => candidate === word).length;
      const saturated = (times * (k1 + 1)) / (times + k1 * (1 - b + (b * words.length) / averageLength));
      return score + (weightOf.get(word) ?? 0) * saturated;
    }, 0);
  return passages
    .map((passage) => ({ passage, score: scoreOf(passage) }))
    .filter(({ score }) => score > 0)
    .sort((one, other) => other.score - one.score)
    .map(({ passage }) => passage);
}

/** In lower case, a plural's s taken off, so that "streams" finds "stream". */
function wordsOf(text: string): readonly string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .filter((word) => !wordsLeftOut.has(word))
    .map((word) => (word.length > 3 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word));
}
