/**
 * A worker of the fleet as a bridge: takes its turn in the queue group `workers`, makes each job a workflow, tells the
 * fleet how it goes, and acknowledges it when it has ended and its result is out. If it dies before, the job goes to another
 * worker; where that is one of ours, it finds the workflow still going, or ended.
 */
import type { EndedTask } from "perdure";
import { type Bridge, defineBridge, publication, type Received, request, taskIdOf } from "perdure/bridges";
import { AnyJob, type Job, type JobResult, JobStatus, subject } from "./messages.js";
import { type JobSettings, jobStream, workers, workerTopology } from "./topology.js";
import type { Hop, Tracing } from "./tracing.js";

export interface WorkerBridgeOptions {
  readonly workerId: string;
  readonly tracing: Tracing;
  readonly settings: JobSettings;
}

/** What the engine takes as a task's input. */
const JOB_BYTES_MAX = 128 * 1024;
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
  const received = (type: string, jobId: string, message: Pick<Received<unknown>, "header">): Hop =>
    tracing.hop(`job ${type}`, "receive", message.header("traceparent"), {
      "baker.job": jobId,
      "baker.worker": workerId,
    });
  const hops = new WeakMap<object, Hop>();
  return defineBridge("baker-worker", {
    topology: workerTopology(settings),
    requests: {
      jobs: request({
        from: { stream: jobStream, consumer: settings.workersConsumer?.name ?? workers },
        schema: AnyJob,
        // Whoever dispatched it waits for a result; a dead letter would tell only us.
        screen: ({ id: jobId, read: job, fault }, message) => {
          const error = job === undefined ? { type: "JOB_INVALID", message: fault } : tooLarge(job);
          if (error === undefined) return { verdict: "pass" };
          const hop = received(job?.type ?? "unread", jobId, message);
          hop.end(error.message);
          const body: JobResult = { ...resultBasis(jobId), status: "failed", error, durationMs: 0 };
          const headers = { traceparent: hop.traceparent };
          return { verdict: "rejected", publish: { subject: subject.jobResult(jobId), body, headers } };
        },
        task: ({ id: jobId, read: job }, message) => {
          if (job === undefined) return undefined;
          const hop = received(job.type, jobId, message);
          hops.set(message, hop);
          return {
            taskId: jobWorkflowId(jobId),
            type: "workflow:baker.job",
            input: job,
            traceparent: hop.traceparent,
          };
        },
        ack: "onEnded",
        outcome: (ended, { id: jobId }, message) => {
          const hop = hops.get(message);
          const result: JobResult = { ...resultBasis(jobId), ...endOf(ended) };
          hop?.end(result.error?.message);
          const headers = hop === undefined ? {} : { headers: { traceparent: hop.traceparent } };
          return { subject: subject.jobResult(jobId), body: result, ...headers };
        },
        maxConcurrent: JOBS_MAX,
      }),
    },
    publications: { status },
  });
}

function endOf({ state, output, error, submittedAt, endedAt = submittedAt }: EndedTask) {
  const durationMs = endedAt - submittedAt;
  if (state === "completed") return { status: state, output: output ?? null, durationMs };
  const { type = state.toUpperCase(), message = `the job ended ${state}` } = error ?? {};
  return { status: "failed" as const, error: { type, message }, durationMs };
}

function tooLarge(job: Job): JobResult["error"] {
  const bytes = Buffer.byteLength(JSON.stringify(job));
  if (bytes <= JOB_BYTES_MAX) return undefined;
  return { type: "JOB_TOO_LARGE", message: `the job has ${bytes} bytes; ${JOB_BYTES_MAX} are taken` };
}
