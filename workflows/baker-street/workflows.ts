/** A job as a workflow: one tool call after the other, each a task for an extension or a task pod, with news in between. */
import { ApplicationFailure, isCancellation, task, type WorkflowContext, workflow } from "perdure";
import { z } from "zod";
import { Job, type JobStatus, Step } from "./messages.js";
import { bakerNews } from "./worker-bridge.js";

/** What an extension that offers the tool can do. */
export const toolType = (tool: string): string => `tool:${tool}`;

/** What a task pod is asked for. */
export const PodTask = z.object({
  program: z.string(),
  input: z.unknown().optional(),
  timeoutMs: z.int().optional(),
});

export const podTask = task("baker.pod", { input: PodTask });

/** Of any workflow. */
type Context = Pick<WorkflowContext, "task" | "log" | "cancelRequested">;

const STEPS_MAX = 100;
/** How long a call waits for somebody who offers the tool. */
const OFFER_WAIT = "60s";
/** Of one call. An extension that was asked and then lost is not waited for: the call goes to another one. */
const CALL_TIMEOUT = "10m";
const POD_TIMEOUT_MS = 600_000;
const CALL_ATTEMPTS = 3;

export const bakerJob = workflow("baker.job", { input: Job, output: z.unknown() }, async (ctx, job) => {
  const begun = Date.now();
  const work = async (): Promise<unknown> => {
    if (job.type === "echo") return job.input ?? null;
    const steps = stepsOf(job);
    await tell(ctx, { jobId: job.jobId, state: "running", of: steps.length });
    let output: unknown = null;
    for (const [index, step] of steps.entries()) {
      const what = "tool" in step ? step.tool : step.pod;
      output = await call(ctx, step, step.input === undefined ? output : step.input);
      await tell(ctx, { jobId: job.jobId, state: "running", step: index + 1, of: steps.length, done: what });
    }
    return output;
  };
  await tell(ctx, { jobId: job.jobId, state: "accepted", type: job.type });
  if (job.timeoutMs === undefined) return await work();
  const { timeoutMs } = job;
  try {
    return await ctx.withTimeout(Math.max(1, timeoutMs - (Date.now() - begun)), work);
  } catch (fault) {
    if (ctx.cancelRequested || !isCancellation(fault)) throw fault;
    throw new ApplicationFailure(`not done after ${timeoutMs} ms`, { type: "JOB_TIMED_OUT", nonRetryable: true });
  }
});

function stepsOf({ type, input }: Job): readonly Step[] {
  if (type !== "steps") return [{ tool: type, input: input ?? null }];
  const parsed = z.object({ steps: z.array(Step).min(1).max(STEPS_MAX) }).safeParse(input);
  if (parsed.success) return parsed.data.steps;
  throw new ApplicationFailure(`a job of type "steps" needs input.steps: ${z.prettifyError(parsed.error)}`, {
    type: "JOB_INVALID",
    nonRetryable: true,
  });
}

function call(ctx: Context, step: Step, input: unknown): Promise<unknown> {
  const retry = { maximumAttempts: CALL_ATTEMPTS };
  if ("tool" in step) {
    const timeouts = { scheduleToStart: OFFER_WAIT, startToClose: CALL_TIMEOUT } as const;
    return ctx.task(toolType(step.tool), { tool: step.tool, input }, { retry, timeouts });
  }
  const timeoutMs = step.timeoutMs ?? POD_TIMEOUT_MS;
  // The launcher ends it in time and says so; this is for a launcher that is gone.
  const timeouts = { scheduleToStart: OFFER_WAIT, startToClose: timeoutMs + 30_000 } as const;
  return ctx.task(podTask, { program: step.pod, input, timeoutMs }, { retry, timeouts });
}

/** News, not work: a job does not fail because nobody could be told how it goes. */
async function tell(ctx: Context, news: JobStatus): Promise<void> {
  try {
    const body = { ...news, timestamp: new Date().toISOString() };
    await ctx.task(bakerNews.status, body, { timeouts: { scheduleToClose: "10s" } });
  } catch (fault) {
    if (ctx.cancelRequested) throw fault;
    ctx.log.warn({ err: fault }, "the fleet could not be told how a job goes");
  }
}
