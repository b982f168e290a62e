/** The streams and consumers of a project, as the server must have them. */
import { defineTopology } from "perdure";
import type { TeamNames } from "./names.js";

export const errorFixer = "claude-error-fixer";
export const taskProcessor = "agent-task-processor";

const fixing = { maxDeliver: 3, ackWait: "10m" } as const;

/**
 * One for each stream of errors: a durable consumer's name is its stream's affair, the three are all called
 * `claude-error-fixer`, and a topology knows a name once.
 */
export function topologiesOf({ project, streams, subjects }: TeamNames) {
  const drainable = {
    retention: "workqueue",
    duplicateWindow: "24h",
    description: "errors of one deployment; purged by the next",
  } as const;
  return {
    team: defineTopology(project, {
      streams: {
        [streams.errors.development]: {
          subjects: [subjects.errors.development],
          retention: "workqueue",
          maxAge: "7d",
          duplicateWindow: "2m",
          description: "errors to investigate",
        },
        [streams.investigations]: {
          subjects: [subjects.investigations],
          retention: "limits",
          description: "investigation workflows and their updates",
        },
        [streams.tasks]: { subjects: [subjects.tasks], retention: "workqueue", description: "general task queue" },
        [streams.results]: { subjects: [subjects.results], retention: "limits", description: "results and fixes" },
      },
      consumers: {
        [errorFixer]: { stream: streams.errors.development, ...fixing },
        [taskProcessor]: { stream: streams.tasks },
      },
    }),
    staging: defineTopology(`${project} staging`, {
      streams: { [streams.errors.staging]: { subjects: [subjects.errors.staging], ...drainable } },
      consumers: { [errorFixer]: { stream: streams.errors.staging, ...fixing } },
    }),
    production: defineTopology(`${project} production`, {
      streams: { [streams.errors.production]: { subjects: [subjects.errors.production], ...drainable } },
      consumers: { [errorFixer]: { stream: streams.errors.production, ...fixing } },
    }),
  };
}
