/** The fleet's streams and each knight's consumer, as they have always been. */
import { type DeclaredTopology, defineTopology } from "perdure";

export const tasksStream = "fleet_a_tasks";
export const resultsStream = "fleet_a_results";

const streams = {
  [tasksStream]: { subjects: ["fleet-a.tasks.>"], retention: "workqueue", storage: "file" },
  [resultsStream]: { subjects: ["fleet-a.results.>"], retention: "limits", storage: "file" },
} as const;

export const fleetTopology = defineTopology("knights", { streams });

export const consumerOf = (knight: string): string => `${knight}-consumer`;

/**
 * What one knight needs: the streams, and its own consumer. A message is delivered once, whatever becomes of the knight.
 * @throws PerdureError INVALID_TOPOLOGY for subjects that overlap
 */
export function knightTopology(knight: string, subjects: readonly string[]): DeclaredTopology {
  return defineTopology(`knight ${knight}`, {
    streams,
    consumers: {
      [consumerOf(knight)]: {
        stream: tasksStream,
        filterSubjects: subjects,
        ackPolicy: "explicit",
        maxDeliver: 1,
        ackWait: "30s",
      },
    },
  });
}
