/** A message on a task's subject: a task, or what is wrong with it and, as far as it can be told, whose answer that is. */
import { z } from "zod";
import { FleetTaskId, KnightTask, taskIdInSubject } from "./messages.js";

export type TaskMessage =
  | { readonly kind: "task"; readonly task: KnightTask }
  | { readonly kind: "malformed"; readonly taskId: string | undefined; readonly fault: string };

const WithTaskId = z.object({ task_id: FleetTaskId });
const faultsShown = 5;

export function readTaskMessage(text: string, subject: string): TaskMessage {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { kind: "malformed", taskId: taskIdInSubject(subject), fault: "it is not JSON" };
  }
  const parsed = KnightTask.safeParse(body);
  if (parsed.success) return { kind: "task", task: parsed.data };
  const faults = parsed.error.issues
    .slice(0, faultsShown)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
  // The dispatcher waits for the id that it gave, whatever it published it on.
  const taskId = WithTaskId.safeParse(body).data?.task_id ?? taskIdInSubject(subject);
  return { kind: "malformed", taskId, fault: faults.join("; ") };
}
