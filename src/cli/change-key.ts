/**
 * The part of a view whose change is news. Left out is what moves with the clock alone: when an agent was last heard
 * of, its metrics, and reasons that count seconds.
 */
import type { AgentView } from "../protocol/system-message.js";
import type { TaskState, TaskView } from "../protocol/task-message.js";

/** In these states the reason names what is missing; in the others it says for how long. */
const reasonIsNews: ReadonlySet<TaskState> = new Set<TaskState>(["waiting", "queued"]);

export function taskChangeKey(task: TaskView): unknown {
  return { ...task, reason: reasonIsNews.has(task.state) ? task.reason : undefined };
}

export function agentChangeKey({ lastSeenAt: _, metrics: __, reason: ___, ...news }: AgentView): unknown {
  return news;
}
