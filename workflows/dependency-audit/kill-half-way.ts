/**
 * Kills an agent with kill -9 while it has tasks in hand. A task of this audit takes milliseconds, so an agent that is
 * simply killed has mostly just handed in what it had, and nothing would be seen. Therefore it is stopped first
 * (SIGSTOP), where it stands; once the orchestrator has taken in its last results, what it is still believed to be
 * doing is work that really dies with it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Client, TaskView } from "perdure";
import type { Child } from "./children.js";

export interface Killed {
  readonly agentId: string;
  readonly pid: number;
  /** In its hands when it died, by the orchestrator's account. */
  readonly tasks: readonly TaskView[];
}

const lookIntervalMs = 15;
/** After this long without a change nothing of a stopped agent is on its way any more. */
const steadyLooks = 3;

/** The first of `agents` that has tasks in hand is killed; null if none has. Those that are spared go on. */
export async function killOneAtWork(client: Pick<Client, "list">, agents: readonly Child[]): Promise<Killed | null> {
  for (const agent of agents) {
    agent.send("SIGSTOP");
    const tasks = await steadyTasksOf(client, agent.name);
    if (tasks.length > 0) {
      agent.kill();
      await agent.ended;
      return { agentId: agent.name, pid: agent.pid, tasks };
    }
    agent.send("SIGCONT");
  }
  return null;
}

/** What the orchestrator believes a stopped agent is doing, once that no longer changes. */
async function steadyTasksOf(client: Pick<Client, "list">, agentId: string): Promise<readonly TaskView[]> {
  let steadyFor = 0;
  let before = "";
  for (;;) {
    const { tasks } = await client.list({ agentId, states: ["assigned", "running"] });
    const tokens = tasks.map(({ taskId, attempt }) => `${taskId} ${attempt}`).join("\n");
    steadyFor = tokens === before ? steadyFor + 1 : 0;
    before = tokens;
    if (steadyFor >= steadyLooks) return tasks;
    await delay(lookIntervalMs);
  }
}
