/** One task from its receipt to its result: the executor runs, and is aborted when its time is up or the knight stops. */
import { performance } from "node:perf_hooks";
import { z } from "zod";
import { type Execution, ExecutionError, type Executors, type Log, nothingSpent, type Spent } from "./executor.js";
import type { KnightResult, KnightTask } from "./messages.js";

/** What an aborted executor gets to say what it spent, before the result goes out without it. */
const abortGraceMs = 1_000;

export interface ExecutionOptions {
  readonly knight: string;
  readonly executors: Executors;
  /** For a task that does not say. */
  readonly taskTimeoutMs: number;
  /** Aborts when the knight has no time left. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}

/** Never rejects: whatever happens is a result. */
export async function executeTask(task: KnightTask, options: ExecutionOptions): Promise<KnightResult> {
  const { knight, executors, stopping, log } = options;
  const startedAt = performance.now();
  const end = (success: boolean, result: string, { cost, tokens, model }: Spent): KnightResult => ({
    task_id: task.task_id,
    knight,
    success,
    result,
    duration_ms: Math.round(performance.now() - startedAt),
    cost,
    tokens: { input: tokens.input, output: tokens.output },
    model,
    timestamp: new Date().toISOString(),
  });

  const executor = Object.hasOwn(executors, task.domain) ? executors[task.domain] : undefined;
  if (executor === undefined) {
    const known = Object.keys(executors).sort().join(", ");
    return end(false, `${knight} has no executor for domain "${task.domain}"; it has ${known}.`, nothingSpent);
  }

  const timeoutMs = task.metadata.timeout_ms ?? options.taskTimeoutMs;
  const timedOut = new AbortController();
  const timer = setTimeout(() => timedOut.abort(), timeoutMs);
  const signal = AbortSignal.any([timedOut.signal, stopping]);
  // A rejection after the race is over is nobody's.
  const execution = settled(async () => await executor.execute(task, { signal, log }));
  const first = await Promise.race([execution, untilAborted(signal)]);
  clearTimeout(timer);
  // An executor that never gave way to timers may be late without having been aborted.
  const isLate = performance.now() - startedAt >= timeoutMs;
  if (first !== "aborted" && !signal.aborted && !isLate) {
    if ("value" in first) return end(true, first.value.result, first.value);
    return end(false, messageOf(first.fault), spentOf(first.fault));
  }
  timedOut.abort();
  const last = first === "aborted" ? await within(execution, abortGraceMs) : first;
  const spent = last === null ? nothingSpent : "value" in last ? last.value : spentOf(last.fault);
  const reason = stopping.aborted
    ? `${knight} was stopped before task ${task.task_id} was done.`
    : `Task ${task.task_id} timed out after ${timeoutMs} ms and was aborted.`;
  return end(false, reason, spent);
}

const Answer = z.object({
  result: z.string(),
  cost: z.number().nonnegative(),
  tokens: z.object({ input: z.number().nonnegative(), output: z.number().nonnegative() }),
  model: z.string(),
});

type Settled = { readonly value: Execution } | { readonly fault: unknown };

async function settled(execute: () => Promise<Execution>): Promise<Settled> {
  try {
    const answer = Answer.safeParse(await execute());
    if (answer.success) return { value: answer.data };
    const faults = answer.error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`);
    return { fault: new Error(`What the executor answered is no result: ${faults.join("; ")}`) };
  } catch (fault) {
    return { fault };
  }
}

function untilAborted(signal: AbortSignal): Promise<"aborted"> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve("aborted");
    else signal.addEventListener("abort", () => resolve("aborted"), { once: true });
  });
}

async function within(awaited: Promise<Settled>, limitMs: number): Promise<Settled | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, limitMs, null);
  });
  const first = await Promise.race([awaited, late]);
  clearTimeout(timer);
  return first;
}

const spentOf = (fault: unknown): Spent => (fault instanceof ExecutionError ? fault.spent : nothingSpent);

function messageOf(fault: unknown): string {
  if (!(fault instanceof Error)) return String(fault);
  return fault.message === "" ? fault.name : fault.message;
}
