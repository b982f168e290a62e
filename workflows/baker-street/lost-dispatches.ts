/**
 * Jobs whose task the engine gave up because three brains crashed with it in hand, which says nothing of the job: what the
 * stream did not get is handed in again, under an id that follows from the one before.
 */
import { type Client, PerdureError, type TaskView } from "perdure";
import { dispatchType } from "./brain-bridge.js";

const PAGE = 1_000;
const lost: ReadonlySet<string> = new Set(["AGENT_LOST", "AGENT_SUPERSEDED"]);

/** Each brain that crashes costs an attempt, and no number of them may cost the job. */
export const dispatchRetry = { maximumAttempts: 0 } as const;

/** `again-2-dispatch-x` comes after `dispatch-x`. */
function nextId(taskId: string): string {
  const [, count, first] = /^again-(\d+)-(.+)$/.exec(taskId) ?? [];
  return `again-${Number(count ?? 1) + 1}-${first ?? taskId}`;
}

const isLost = ({ state, error, progress }: Pick<TaskView, "state" | "error" | "progress">): boolean =>
  state === "failed" && lost.has(error?.type ?? "") && !hasStream(progress);

const hasStream = (progress: unknown): boolean =>
  typeof progress === "object" && progress !== null && "stored" in progress && progress.stored === true;

export async function handInLost(client: Client): Promise<void> {
  const { tasks } = await client.list({ type: dispatchType, states: ["failed"], limit: PAGE });
  for (const { taskId, error } of tasks) {
    if (!lost.has(error?.type ?? "")) continue;
    const { input, ...task } = await client.get(taskId);
    if (isLost(task)) await client.submit({ taskId: nextId(taskId), type: dispatchType, input, retry: dispatchRetry });
  }
}

/** Of a job: the task that stands for it now. @throws PerdureError NOT_FOUND */
export async function dispatchOf(client: Client, taskId: string): Promise<TaskView> {
  const task = await client.get(taskId);
  if (!isLost(task)) return task;
  try {
    return await dispatchOf(client, nextId(taskId));
  } catch (fault) {
    if (fault instanceof PerdureError && fault.code === "NOT_FOUND") return task;
    throw fault;
  }
}
