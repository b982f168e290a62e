/**
 * A worker of the fleet as a bridge: takes its turn in the queue group `workers`, makes each job a workflow, tells the
 * fleet how it goes, and acknowledges it when it has ended and its result is out. If it dies before, the job goes to another
 * worker; where that is one of ours, it finds the workflow still going, or ended.
 */
import { type Bridge, defineBridge, publication, request, taskIdOf } from "perdure/bridges";
import { Job, type JobResult, JobStatus, subject } from "./messages.js";
import { type JobSettings, jobStream, workers, workerTopology } from "./topology.js";
import type { Hop, Tracing } from "./tracing.js";

export interface WorkerBridgeOptions {
  readonly workerId: string;
  readonly tracing: Tracing;
  readonly settings: JobSettings;
}

/** The engine takes 512 KiB, with what it adds. */
const JOB_BYTES_MAX = 500 * 1024;
/** Jobs in hand at a time, of each worker. */
const JOBS_MAX = 50;

const jobWorkflowId = (jobId: string): string => `job-${taskIdOf(jobId)}`;

const status = publication({
  schema: JobStatus,
  to: (body) => ({ subject: subject.jobStatus(body.jobId), body }),
});

/** What workflows say to the fleet; any of our workers sends it. */
export const bakerNews = defineBridge("baker-worker", { publications: { status } }).tasks;

export function workerBridge({ workerId, tracing, settings }: WorkerBridgeOptions): Bridge {
  const resultBasis = (jobId: string) => ({ jobId, worker: workerId, timestamp: new Date().toISOString() });
  const hops = new WeakMap<object, Hop>();
  return defineBridge("baker-worker", {
    topology: workerTopology(settings),
    requests: {
      jobs: request({
        from: { stream: jobStream, consumer: settings.workersConsumer?.name ?? workers },
        schema: Job,
        // Whoever dispatched it waits for a result; a dead letter would tell only us.
        screen: (job, message) => {
          const bytes = Buffer.byteLength(JSON.stringify(job));
          if (bytes <= JOB_BYTES_MAX) return { verdict: "pass" };
          const error = { type: "JOB_TOO_LARGE", message: `the job has ${bytes} bytes; ${JOB_BYTES_MAX} are taken` };
          const hop = tracing.hop(`job ${job.type}`, "receive", message.header("traceparent"), {
            "baker.job": job.jobId,
            "baker.worker": workerId,
          });
          hop.end(error.message);
          const body: JobResult = { ...resultBasis(job.jobId), status: "failed", error, durationMs: 0 };
          const headers = { traceparent: hop.traceparent };
          return { verdict: "rejected", publish: { subject: subject.jobResult(job.jobId), body, headers } };
        },
        task: (job, message) => {
          const hop = tracing.hop(`job ${job.type}`, "receive", message.header("traceparent"), {
            "baker.job": job.jobId,
            "baker.worker": workerId,
          });
          hops.set(message, hop);
          return {
            taskId: jobWorkflowId(job.jobId),
            type: "workflow:baker.job",
            input: job,
            traceparent: hop.traceparent,
          };
        },
        ack: "onEnded",
        outcome: (ended, { jobId }, message) => {
          const hop = hops.get(message);
          const { state, output, error } = ended;
          const failure = {
            type: error?.type ?? state.toUpperCase(),
            message: error?.message ?? `the job ended ${state}`,
          };
          hop?.end(state === "completed" ? undefined : failure.message);
          const end = state === "completed" ? { output: output ?? null } : { error: failure };
          const result: JobResult = {
            ...resultBasis(jobId),
            status: state === "completed" ? "completed" : "failed",
            ...end,
            durationMs: (ended.endedAt ?? ended.submittedAt) - ended.submittedAt,
          };
          const headers = hop === undefined ? {} : { headers: { traceparent: hop.traceparent } };
          return { subject: subject.jobResult(jobId), body: result, ...headers };
        },
        maxConcurrent: JOBS_MAX,
      }),
    },
    publications: { status },
  });
}
