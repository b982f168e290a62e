/**
 * Finds the agent to be killed half-way. A task of this audit takes milliseconds, so an agent that is simply killed has
 * mostly just handed in what it had, and nothing would be seen. Therefore all of them are stopped where they stand
 * (SIGSTOP) and given work, and one that has some is killed before the others go on. The orchestrator is told nothing:
 * to it one of its agents falls silent with tasks in its hands.
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
 * Resolves with the agent that has the most tasks in hand, which stays stopped; the others go on. Null if none has any.
 * `giveWork` is called while all stand still.
 */
export async function stopOneAtWork(
  client: Pick<Client, "list">,
  agents: readonly Child[],
  giveWork: () => Promise<void>,
): Promise<AgentAtWork | null> {
  for (const agent of agents) agent.send("SIGSTOP");
  await giveWork();
  const tasks = await steadyTasks(client);
  const atWork = agents
    .map((agent) => ({ agent, tasks: tasks.filter(({ agentId }) => agentId === agent.name) }))
    .filter((candidate) => candidate.tasks.length > 0)
    .sort((a, b) => b.tasks.length - a.tasks.length);
  const chosen = atWork[0] ?? null;
  for (const agent of agents) if (agent !== chosen?.agent) agent.send("SIGCONT");
  return chosen;
}

/** What the orchestrator believes the stopped agents are doing, once that no longer changes. */
async function steadyTasks(client: Pick<Client, "list">): Promise<readonly TaskView[]> {
  let steadyFor = 0;
  let before = "";
  for (;;) {
    const { tasks } = await client.list({ states: ["assigned", "running"] });
    const now = tasks.map(({ taskId, attempt, agentId }) => `${taskId} ${attempt} ${agentId}`).join("\n");
    steadyFor = now === before ? steadyFor + 1 : 0;
    before = now;
    if (steadyFor >= steadyLooks) return tasks;
    await delay(lookIntervalMs);
  }
}
