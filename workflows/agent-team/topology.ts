/** The streams and consumers of a project, as the server must have them. */
import { defineTopology } from "perdure";
import { environments, type TeamNames } from "./names.js";

export const errorFixer = "claude-error-fixer";
export const taskProcessor = "agent-task-processor";

/**
 * No more than the table has, and no descriptions: a member that makes a stream which is there is refused by the server
 * unless every setting is the same.
 */
export function topologyOf({ project, streams, subjects }: TeamNames) {
  const drainable = { retention: "workqueue", duplicateWindow: "24h" } as const;
  const fixers = environments.map((environment) => [
    `${errorFixer}-${environment}`,
    { durable: errorFixer, stream: streams.errors[environment], maxDeliver: 3, ackWait: "10m" } as const,
  ]);
  return defineTopology(project, {
    streams: {
      [streams.errors.development]: {
        subjects: [subjects.errors.development],
        retention: "workqueue",
        maxAge: "7d",
        duplicateWindow: "2m",
      },
      [streams.errors.staging]: { subjects: [subjects.errors.staging], ...drainable },
      [streams.errors.production]: { subjects: [subjects.errors.production], ...drainable },
      [streams.investigations]: { subjects: [subjects.investigations], retention: "limits" },
      [streams.tasks]: { subjects: [subjects.tasks], retention: "workqueue" },
      [streams.results]: { subjects: [subjects.results], retention: "limits" },
    },
    consumers: { ...Object.fromEntries(fixers), [taskProcessor]: { stream: streams.tasks } },
  });
}
