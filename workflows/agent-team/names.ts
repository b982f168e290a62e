/** Every stream and subject of a project. The server is shared, so each of them carries the project's name. */
import { taskIdOf } from "perdure/bridges";

export const environments = ["development", "staging", "production"] as const;
export type Environment = (typeof environments)[number];

export class NamespaceError extends Error {
  override readonly name = "NamespaceError";
}

/** What can stand at the end of a subject as it is; a client may refuse a wildcard within a token. */
const subjectEnd = /^[^\s\p{Cc}.*>]+(?:\.[^\s\p{Cc}.*>]+)*$/u;
const subjectEndLengthMax = 200;
const endOf = (taskId: string): string =>
  subjectEnd.test(taskId) && taskId.length <= subjectEndLengthMax ? taskId : taskIdOf(taskId);

/** One token of a subject, and of a stream's name: no dots, spaces or wildcards. */
const projectPattern = /^[a-z0-9][a-z0-9_-]{0,31}$/;

export type TeamNames = ReturnType<typeof namesOf>;

/** @throws NamespaceError */
export function namesOf(project: string) {
  const p = project.toLowerCase();
  if (!projectPattern.test(p)) {
    throw new NamespaceError(
      `"${project}" cannot be the namespace of a project: use 1 to 32 letters, digits, _ and -, beginning with a letter or digit`,
    );
  }
  const stream = (name: string): string => `${p.toUpperCase()}_${name}`;
  return {
    project: p,
    streams: {
      errors: {
        development: stream("ERROR_REPORTS"),
        staging: stream("STAGING_ERRORS"),
        production: stream("PRODUCTION_ERRORS"),
      } satisfies Record<Environment, string>,
      investigations: stream("INVESTIGATIONS"),
      tasks: stream("TASKS"),
      results: stream("RESULTS"),
    },
    subjects: {
      errors: {
        development: `${p}.errors`,
        staging: `${p}.errors.staging`,
        production: `${p}.errors.production`,
      } satisfies Record<Environment, string>,
      investigations: `${p}.investigation.>`,
      status: (taskId: string): string => `${p}.investigation.status.${endOf(taskId)}`,
      everyStatus: `${p}.investigation.status.>`,
      tasks: `${p}.tasks.>`,
      results: `${p}.results.>`,
      everyFixed: `${p}.results.fixed.>`,
      fixed: (taskId: string): string => `${p}.results.fixed.${endOf(taskId)}`,
      rejected: `${p}.security.rejected`,
    },
    /** The engine's id for what the team calls `taskId`: another project may call something of its own so. */
    engineId: (taskId: string): string => taskIdOf(`${p}.${taskId}`),
    /** Of the engine's tasks and workflows, so that teams on one orchestrator do not do each other's work. */
    type: (name: string): string => `${p}.${name}`,
  };
}

/** @throws NamespaceError where neither variable is set */
export function namesFromEnvironment(env: Readonly<Record<string, string | undefined>>): TeamNames {
  const project = env["NATS_NAMESPACE"] || env["PROJECT_NAME"];
  if (!project)
    throw new NamespaceError(
      "Set NATS_NAMESPACE or PROJECT_NAME: the server is shared, and nothing is named without it",
    );
  return namesOf(project);
}
