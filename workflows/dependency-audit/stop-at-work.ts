/**
 * Finds the agent to be killed half-way, and stops it where it stands. A task of this audit takes milliseconds, so an
 * agent that is simply killed has mostly just handed in what it had, and nothing would be seen. Therefore it is stopped
 * first (SIGSTOP), then given work; what the orchestrator believes it is doing dies with it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Client, TaskView } from "perdure";
import type { Child } from "./children.js";

export interface AgentAtWork {
  readonly agent: Child;
  /** In its hands, by the orchestrator's account. */
  readonly tasks: readonly TaskView[];
}

const lookIntervalMs = 15;
/** After so many looks without a change nothing of a stopped agent is on its way any more. */
const steadyLooks = 3;

/**
 * The first of `agents` that has tasks in hand stays stopped; those before it go on. Null if none has any. `giveWork` is
 * called once, when the first of them stands still.
 */
export async function stopOneAtWork(
  client: Pick<Client, "list">,
  agents: readonly Child[],
  giveWork: () => Promise<void>,
): Promise<AgentAtWork | null> {
  agents[0]?.send("SIGSTOP");
  await giveWork();
  for (const agent of agents) {
    agent.send("SIGSTOP");
    const tasks = await steadyTasksOf(client, agent.name);
    if (tasks.length > 0) return { agent, tasks };
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
