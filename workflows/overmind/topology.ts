/**
 * Streams and consumers of the platform. All names and settings are contracts with members that are not ours, so none
 * carries a namespace, or a description that an operator's stream would not have. What we add of our own, a bucket, does.
 */
import { type DeclaredTopology, defineTopology } from "perdure";

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

export const overmind = defineTopology("overmind", {
  streams: {
    "routing-decisions": {
      subjects: ["routing.>"],
      retention: "limits",
      storage: "file",
      replicas: 3,
      maxAge: "7d",
      maxBytes: 1 * GiB,
    },
    "memory-events": {
      subjects: ["memory.added", "memory.consolidated", "memory.retrieved", "memory.expired"],
      retention: "limits",
      storage: "file",
      replicas: 3,
      maxAge: "30d",
      maxBytes: 5 * GiB,
    },
    "llm-requests": {
      subjects: ["llm.request.started", "llm.request.completed", "llm.request.failed"],
      retention: "limits",
      storage: "file",
      replicas: 3,
      maxAge: "24h",
      maxBytes: 500 * MiB,
    },
  },
  consumers: {
    "api-consumer": {
      stream: "routing-decisions",
      filterSubjects: ["routing.>"],
      ackPolicy: "explicit",
      maxDeliver: 3,
      ackWait: "30s",
    },
    "analytics-consumer": {
      stream: "routing-decisions",
      filterSubjects: ["routing.>"],
      ackPolicy: "explicit",
      maxDeliver: 5,
      // Its batches of 1,000 are what its readers ask for. As a setting of the consumer (`max_batch`) it would have the
      // server refuse members that make this consumer without it.
      ackWait: "60s",
    },
    "consolidation-consumer": {
      stream: "memory-events",
      filterSubjects: ["memory.consolidated"],
      ackPolicy: "explicit",
      maxDeliver: 3,
      ackWait: "120s",
    },
    "metrics-consumer": {
      stream: "llm-requests",
      filterSubjects: ["llm.>"],
      ackPolicy: "explicit",
      maxDeliver: 3,
      ackWait: "30s",
    },
  },
});

export function stateBucketOf(namespace: string): string {
  return `${namespace}_overmind`;
}

/** Consolidated memories and the totals of the analysis: ours alone. */
export function stateTopology(namespace: string): DeclaredTopology {
  return defineTopology("overmind-state", {
    buckets: { [stateBucketOf(namespace)]: { description: "Consolidated memories and totals.", replicas: 3 } },
  });
}
