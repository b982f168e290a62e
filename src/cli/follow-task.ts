/** Waits for a task's end, and says what it waits for when that takes longer than people like to sit in the dark. */
import type { Client } from "../client/client.js";
import type { EndedTask } from "../client/task-outcome.js";
import { taskChangeKey } from "./change-key.js";
import { say } from "./messages.js";

const QUIET_MS = 2_000;

/** @throws PerdureError REQUEST_TIMED_OUT when `timeoutMs` passes; the task goes on */
export async function followTask(client: Client, taskId: string, timeoutMs: number | undefined): Promise<EndedTask> {
  let lastKey: string | undefined;
  const tell = async (): Promise<void> => {
    const task = await client.get(taskId);
    const key = JSON.stringify(taskChangeKey(task));
    if (key !== lastKey && task.endedAt === undefined) say(`task ${taskId} is ${task.state}: ${task.reason ?? ""}`);
    lastKey = key;
  };
  // Only for looking on: the wait itself reports what is wrong.
  const timer = setInterval(() => void tell().catch(() => undefined), QUIET_MS);
  try {
    return await client.wait(taskId, timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, Math.round(timeoutMs)) });
  } finally {
    clearInterval(timer);
  }
}
