import { BaseSequencer, type TestSpecification } from "vitest/node";
import { SeededRandom } from "./seeded-random.js";

/** Folders in which a file takes half a minute or more, nearly all of it waiting. */
const long = ["chaos", "crash", "growth", "workflows/any-language"].map((folder) => `/test/${folder}/`);

/**
 * A shuffled order in three parts. The longest files come first: one that began last would keep the other processors
 * idle. Those that share a process come last and one after another: a file that wants a process of its own between them
 * would end the shared one.
 */
export class LongFirstSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const inOneOrder = files.toSorted((one, other) => (one.moduleId < other.moduleId ? -1 : 1));
    const shuffled = new SeededRandom(this.ctx.config.sequence.seed).shuffled(inOneOrder);
    return shuffled.sort((one, other) => partOf(one) - partOf(other));
  }
}

function partOf({ moduleId, project }: TestSpecification): number {
  if (long.some((folder) => moduleId.includes(folder))) return 0;
  return project.config.isolate ? 1 : 2;
}
