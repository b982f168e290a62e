/** Every stream and subject of a project. The server is shared, so each of them carries the project's name. */

export const environments = ["development", "staging", "production"] as const;
export type Environment = (typeof environments)[number];

export class NamespaceError extends Error {
  override readonly name = "NamespaceError";
}

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
      status: (taskId: string): string => `${p}.investigation.status.${taskId}`,
      tasks: `${p}.tasks.>`,
      results: `${p}.results.>`,
      fixed: (taskId: string): string => `${p}.results.fixed.${taskId}`,
      rejected: `${p}.security.rejected`,
    },
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
