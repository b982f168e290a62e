/** One document of what several knights wrote, and of what they did not. */
import { count, table } from "./markdown.js";
import { type KnightResult, resultSubject } from "./messages.js";

export type Section =
  | { readonly domain: string; readonly taskId: string; readonly answer: KnightResult }
  | { readonly domain: string; readonly taskId: string; readonly missing: string };

/** Characters. Beyond it, a section says where the whole of it is. */
const sectionLengthMax = 12_000;

export function joinBriefing(sections: readonly Section[], at: Date): string {
  const answers = sections.flatMap((section) => ("answer" in section ? [section.answer] : []));
  const cost = answers.reduce((sum, answer) => sum + answer.cost, 0);
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens.input + answer.tokens.output, 0);
  return [
    `# Morning briefing of ${at.toISOString().slice(0, 10)}`,
    `${answers.length} of ${count(sections.length, "domain")} answered. They cost $${cost.toFixed(4)} and ${count(tokens, "token")}.`,
    ...sections.map(chapterOf),
    "## Who worked on this",
    table(["Domain", "Task", "Knight", "Took", "Cost", "Tokens", "Model"], sections.map(rowOf)),
  ].join("\n\n");
}

function chapterOf(section: Section): string {
  const title = `## ${section.domain.slice(0, 1).toUpperCase()}${section.domain.slice(1)}`;
  if ("missing" in section) return `${title}\n\n_There is nothing from ${section.domain}: ${section.missing}_`;
  const { result } = section.answer;
  const whole = result.length <= sectionLengthMax;
  const text = whole
    ? result
    : `${result.slice(0, sectionLengthMax)}\n\n_Cut here: all of it is on ${resultSubject(section.taskId)}._`;
  return `${title}\n\n${twoLevelsDown(text)}`;
}

function rowOf(section: Section): readonly string[] {
  const { domain, taskId } = section;
  if ("missing" in section) return [domain, taskId, "none", "", "", "", ""];
  const { knight, duration_ms, cost, tokens, model } = section.answer;
  const took = `${(duration_ms / 1_000).toFixed(1)} s`;
  return [domain, taskId, knight, took, `$${cost.toFixed(4)}`, `${tokens.input} + ${tokens.output}`, model];
}

/** Its headings stand beneath the chapter's. What looks like one inside a code block is none. */
function twoLevelsDown(markdown: string): string {
  let inCode = false;
  return markdown
    .split("\n")
    .map((line) => {
      if (/^\s*(```|~~~)/.test(line)) inCode = !inCode;
      const heading = inCode ? null : /^(#{1,6})(\s.*)$/.exec(line);
      return heading === null ? line : `${"#".repeat(Math.min(6, (heading[1]?.length ?? 0) + 2))}${heading[2]}`;
    })
    .join("\n");
}
