/** Trusts nobody: sees the error for itself, and runs every test of a fresh copy with one candidate and nothing else changed. */
import { functionAround, patchOf } from "../project/fix-strategies.js";
import { ProjectCopy } from "../project/project-copy.js";
import { runTests } from "../project/run-tests.js";
import { findSource, isTestFile, type Place } from "../project/source-place.js";
import type { Candidate, Reproduction, Review, SimilarCode } from "../tasks.js";

export async function reproduce(
  projectFolder: string,
  reported: Place,
  error: string,
  signal: AbortSignal,
): Promise<Reproduction> {
  const file = await findSource(projectFolder, reported.file);
  const { failures, failed, passed, summary } = await ProjectCopy.with(projectFolder, (copy) =>
    runTests(copy.folder, { signal }),
  );
  const isReproduced = failures.some(
    (failure) =>
      failure.error.split("\n")[0] === error.split("\n")[0] ||
      failure.places.some((place) => place.file === file && place.line === reported.line),
  );
  return { isReproduced, failed, passed, summary };
}

export async function review(
  projectFolder: string,
  {
    place,
    candidates,
    similar,
  }: { readonly place: Place; readonly candidates: readonly Candidate[]; readonly similar: readonly SimilarCode[] },
  signal: AbortSignal,
): Promise<Review> {
  const file = await findSource(projectFolder, place.file);
  const refused: string[] = [];
  for (const candidate of byPrecedent(candidates, similar)) {
    const opinion =
      file === null
        ? { holds: false, why: "the project has no such file" }
        : await opinionOn(projectFolder, { file, line: place.line }, candidate, signal);
    const summary = `${candidate.file}:${candidate.line} (${candidate.strategy}): ${opinion.why}`;
    if (opinion.holds) return { accepted: candidate, patch: patchOf(candidate), summary };
    refused.push(summary);
  }
  return { accepted: null, patch: "", summary: refused.join("; ") || "there is no candidate" };
}

/** What the project does elsewhere is the likelier intention. */
function byPrecedent(candidates: readonly Candidate[], similar: readonly SimilarCode[]): readonly Candidate[] {
  const hasPrecedent = ({ line, after }: Candidate): boolean =>
    similar.some(
      ({ like, difference }) => like === line && difference !== null && after.includes(` ${difference.there} `),
    );
  return candidates.toSorted((a, b) => Number(hasPrecedent(b)) - Number(hasPrecedent(a)));
}

interface Opinion {
  readonly holds: boolean;
  readonly why: string;
}

async function opinionOn(
  projectFolder: string,
  reported: Place,
  { file, line, before, after }: Candidate,
  signal: AbortSignal,
): Promise<Opinion> {
  const refused = (why: string): Opinion => ({ holds: false, why });
  if (file !== reported.file || isTestFile(file)) return refused("it changes another file than the reported one");
  if (after.includes("\n")) return refused("it changes more than one line");
  return await ProjectCopy.with(projectFolder, async (copy) => {
    const lines = await copy.linesOf(file);
    if (!functionAround(lines, reported.line).includes(line)) return refused("it changes another function");
    if (lines[line - 1] !== before) return refused("the project has changed meanwhile");
    const without = await runTests(copy.folder, { signal });
    if (without.failed === 0) return refused("no test fails without it");
    await copy.write(file, lines.with(line - 1, after));
    const run = await runTests(copy.folder, { signal });
    return { holds: run.failed === 0 && run.passed >= without.passed + without.failed, why: run.summary };
  });
}
