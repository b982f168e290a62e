/**
 * The streams and consumers of Baker Street as the fleet's contract has them. `BAKER_JOBS` and what reads it are the
 * fleet's own and go by these names on every server; what our brains remember is ours and carries the namespace.
 */
import { type ConsumerDeclaration, type DeclaredTopology, defineTopology, PerdureError } from "perdure";
import type { ConsumerSetup, Fleet } from "perdure/bridges";

export const jobStream = "BAKER_JOBS";
/** The durable consumer of all workers, ours and others', and the name of their queue group. */
export const workers = "workers";
/**
 * Shared by our brains, so that the one that takes over goes on where the other was. One for both subjects, so that the order
 * stays. Named so that no old brain has one of that name.
 */
export const brain = "perdure-brain";

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

const dispatch = "baker.jobs.dispatch";
/** What workers say of jobs. */
export const news = { status: "baker.jobs.status.>", result: "baker.jobs.result.>" } as const;
type News = (typeof news)[keyof typeof news];

export interface JobSettings {
  /** How long a worker may say nothing of a job before another one gets it. */
  readonly ackWaitMs: number;
  /** The consumer that takes jobs already: an old fleet, or one of us, has made it, and it is joined as it is. */
  readonly workersConsumer: ConsumerSetup | undefined;
  /** What no old brain reads from the queue, so ours do. */
  readonly queued: readonly News[];
  /** What an old brain takes from the queue. It goes by all the same, and whoever listens hears it. */
  readonly overheard: readonly News[];
}

export async function jobSettings(fleet: Fleet, ackWaitMs: number): Promise<JobSettings> {
  const others = (await consumersOf(fleet)).filter(({ name }) => name !== brain);
  const takerOf = (subjects: string): ConsumerSetup | undefined =>
    others.find(({ filterSubjects }) => filterSubjects.some((filter) => overlap(filter, subjects)));
  const all = Object.values(news);
  return {
    ackWaitMs,
    workersConsumer: takerOf(dispatch),
    queued: all.filter((subjects) => takerOf(subjects) === undefined),
    overheard: all.filter((subjects) => takerOf(subjects) !== undefined),
  };
}

/** @throws PerdureError STORAGE_MISCONFIGURED where jobs are taken by a consumer that no second worker can share */
export function holdShareable({ workersConsumer: found }: JobSettings): void {
  if (found === undefined) return;
  const isForJobs = found.filterSubjects.length === 1 && found.filterSubjects[0] === dispatch;
  if (isForJobs && (found.deliverSubject === undefined || found.deliverGroup !== undefined)) return;
  const why = isForJobs
    ? `delivers to ${found.deliverSubject} without a queue group, so that a second worker would do every job again`
    : `takes ${found.filterSubjects.join(", ")}, which are not only jobs`;
  throw new PerdureError(
    "STORAGE_MISCONFIGURED",
    `Consumer ${found.name} has the jobs of ${jobStream} and ${why}; on a work queue there is no other consumer for them. Nothing is taken. Delete it once its worker has left (\`nats consumer rm ${jobStream} ${found.name}\`).`,
    { details: { stream: jobStream, consumer: found.name } },
  );
}

async function consumersOf(fleet: Fleet): Promise<readonly ConsumerSetup[]> {
  try {
    return await fleet.consumers(jobStream);
  } catch (fault) {
    if (fault instanceof PerdureError && fault.code === "NOT_FOUND") return [];
    throw fault;
  }
}

/** Whether a subject may fit both. Ours have no `*`. */
function overlap(filter: string, subjects: string): boolean {
  const [theirs, ours] = [filter.split("."), subjects.split(".")];
  for (const [place, token] of theirs.entries()) {
    const own = ours[place];
    if (token === ">" || own === ">") return true;
    if (own === undefined || (token !== "*" && token !== own)) return false;
  }
  return theirs.length === ours.length;
}

function consumerOfWorkers({
  ackWaitMs,
  workersConsumer,
}: JobSettings): Readonly<Record<string, ConsumerDeclaration<typeof jobStream>>> {
  if (workersConsumer !== undefined) return {};
  return {
    [workers]: {
      stream: jobStream,
      filterSubjects: [dispatch],
      ackPolicy: "explicit",
      ackWait: ackWaitMs,
      deliverSubject,
      deliverGroup: workers,
    },
  };
}

function consumerOfBrains({ queued }: JobSettings): Readonly<Record<string, ConsumerDeclaration<typeof jobStream>>> {
  if (queued.length === 0) return {};
  return { [brain]: { stream: jobStream, filterSubjects: queued, ackPolicy: "explicit" } };
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
      ...consumerOfBrains(settings),
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
