/** Tries small changes around the reported place, in a copy of the project, until its tests pass. */
import { candidatesFor } from "../project/fix-strategies.js";
import { ProjectCopy } from "../project/project-copy.js";
import { runTests } from "../project/run-tests.js";
import { findSource, isTestFile, type Place } from "../project/source-place.js";
import type { Candidate, Implementation } from "../tasks.js";

/** Test runs; a large function has more candidates than anybody waits for. */
const triesMax = 80;
/** Enough for the review to choose from. */
const passingMax = 3;
/** A run of a broken change: an endless loop is found out soon. */
const tryTimeoutMs = 10_000;

export interface Trying {
  readonly signal: AbortSignal;
  onTried(tried: number): void;
}

export async function implement(
  projectFolder: string,
  reported: Place,
  { signal, onTried }: Trying,
): Promise<Implementation> {
  const file = await findSource(projectFolder, reported.file);
  if (file === null || isTestFile(file)) {
    return { candidates: [], tried: 0, summary: `${reported.file} is no source of the project that could be changed` };
  }
  return await ProjectCopy.with(projectFolder, async (copy) => {
    const lines = await copy.linesOf(file);
    const before = await runTests(copy.folder, { signal });
    const passing: Candidate[] = [];
    let tried = 0;
    for (const candidate of candidatesFor(file, lines, reported.line).slice(0, triesMax)) {
      await copy.write(file, lines.with(candidate.line - 1, candidate.after));
      const run = await runTests(copy.folder, { signal, timeoutMs: tryTimeoutMs });
      tried += 1;
      onTried(tried);
      if (run.failed === 0 && run.passed >= before.passed + before.failed) passing.push(candidate);
      if (passing.length === passingMax) break;
    }
    const found = passing.map(({ line, strategy }) => `${file}:${line} (${strategy})`).join(", ");
    return {
      candidates: passing,
      tried,
      summary: `${tried} changes tried; all tests pass with ${found || "none of them"}`,
    };
  });
}
