/**
 * The streams and consumers of Baker Street as the fleet's contract has them. `BAKER_JOBS` and what reads it are the
 * fleet's own and go by these names on every server; what our brains remember is ours and carries the namespace.
 */
import { type ConsumerDeclaration, type DeclaredTopology, defineTopology, PerdureError } from "perdure";
import type { Fleet } from "perdure/bridges";

export const jobStream = "BAKER_JOBS";
/** The durable consumer of all workers, ours and others', and the name of their queue group. */
export const workers = "workers";
/** Shared by the brains, so that the one that takes over goes on where the other was. One for both, so that the order stays. */
export const brain = "brain";

/** Beyond `baker.>`, or whoever listens to all of that would hear each job twice. A worker written by hand subscribes to it. */
const deliverSubject = "deliver.baker.workers";
const jobs = {
  subjects: ["baker.jobs.>"],
  retention: "workqueue",
  storage: "file",
  replicas: 1,
  maxAge: "24h",
  maxMessages: 10_000,
} as const;

export interface JobSettings {
  /** How long a worker may say nothing of a job before another one gets it. */
  readonly ackWaitMs: number;
  /** Whether an old fleet, or one of us, has made their consumer: it is joined as it is, whatever its settings. */
  readonly workersConsumer: "missing" | "there";
}

export async function jobSettings(fleet: Fleet, ackWaitMs: number): Promise<JobSettings> {
  try {
    await fleet.lag(jobStream, workers);
    return { ackWaitMs, workersConsumer: "there" };
  } catch (fault) {
    if (!(fault instanceof PerdureError && fault.code === "NOT_FOUND")) throw fault;
    return { ackWaitMs, workersConsumer: "missing" };
  }
}

function consumerOfWorkers({
  ackWaitMs,
  workersConsumer,
}: JobSettings): Readonly<Record<string, ConsumerDeclaration<typeof jobStream>>> {
  if (workersConsumer === "there") return {};
  return {
    [workers]: {
      stream: jobStream,
      filterSubjects: ["baker.jobs.dispatch"],
      ackPolicy: "explicit",
      ackWait: ackWaitMs,
      deliverSubject,
      deliverGroup: workers,
    },
  };
}

/** What workers need. It leaves status and result to whichever brain there is: on a work queue only one may read them. */
export const workerTopology = (settings: JobSettings): DeclaredTopology =>
  defineTopology("baker-street-workers", {
    streams: { [jobStream]: jobs },
    consumers: consumerOfWorkers(settings),
  });

/** What a brain needs besides: a reader of status and result, without which the work queue would fill up with them. */
export const brainTopology = (namespace: string, settings: JobSettings): DeclaredTopology =>
  defineTopology("baker-street", {
    streams: { [jobStream]: jobs },
    consumers: {
      ...consumerOfWorkers(settings),
      [brain]: {
        stream: jobStream,
        filterSubjects: ["baker.jobs.status.>", "baker.jobs.result.>"],
        ackPolicy: "explicit",
      },
    },
    buckets: {
      [memoryBucket(namespace)]: {
        description: "what the brains of Baker Street remember: statuses of jobs, extensions, which brain is active",
        ttl: "7d",
        maxBytes: 1024 ** 3,
      },
    },
  });

/** Ours, so it carries the namespace. */
export const memoryBucket = (namespace: string): string => `${namespace}_baker`;
