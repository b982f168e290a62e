/**
 * The three specialists as agents. Each of them works without a model, on copies of one project, whose folder it is started
 * with; of a report they are given the error's text and its place, and only the place gets anywhere.
 */
import { type Agent, type AgentOptions, agent, withInput } from "perdure";
import type { TeamNames } from "./names.js";
import { implement } from "./specialists/implementation.js";
import { research } from "./specialists/research.js";
import { reproduce, review } from "./specialists/review.js";
import { tasksOf } from "./tasks.js";

export interface SpecialistOptions {
  readonly names: TeamNames;
  readonly projectFolder: string;
  readonly connection: Pick<AgentOptions, "servers" | "namespace" | "logger">;
}

/** Resolves when all of them are registered. */
export async function startSpecialists(options: SpecialistOptions): Promise<readonly Agent[]> {
  const { names, connection } = options;
  const agents = Object.entries(skillsOf(options)).map(([role, tasks]) =>
    agent(`${names.project}-${role}`, { ...connection, tasks, metadata: { project: names.project } }),
  );
  await Promise.all(agents.map((member) => member.start()));
  return agents;
}

function skillsOf({ names, projectFolder }: SpecialistOptions): Readonly<Record<string, AgentOptions["tasks"]>> {
  const tasks = tasksOf(names);
  return {
    research: {
      [tasks.research.name]: withInput(tasks.research.input, (_context, { place }) => research(projectFolder, place)),
    },
    implementation: {
      [tasks.implement.name]: withInput(tasks.implement.input, ({ signal, progress }, { place }) =>
        implement(projectFolder, place, { signal, onTried: (tried) => progress({ tried }) }),
      ),
    },
    review: {
      [tasks.reproduce.name]: withInput(tasks.reproduce.input, ({ signal }, { place, error }) =>
        reproduce(projectFolder, place, error, signal),
      ),
      [tasks.review.name]: withInput(tasks.review.input, ({ signal }, input) => review(projectFolder, input, signal)),
    },
  };
}
