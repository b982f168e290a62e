/**
 * The kill half-way. A task of this audit takes milliseconds, so an agent that is simply killed has mostly just handed in
 * what it had, and nothing would be seen. Therefore half of the agents stand still (SIGSTOP) from before the start, with
 * work in their hands, while the others do what they can; one of those is killed, and with it the worker that made the
 * run's last turn. The orchestrator is told nothing.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { Client, HistoryEvent, RunHandle, TaskView } from "perdure";
import type { Child } from "./children.js";

export interface Killed {
  readonly agent: Child;
  /** In its hands, by the orchestrator's account. */
  readonly tasks: readonly TaskView[];
  readonly worker: Child;
  /** Of the run's history, when its worker was killed. */
  readonly historyLength: number;
}

const lookIntervalMs = 20;
/** With the two seconds before, less than the six heartbeats after which an agent is lost. */
const patienceMs = 3_000;

/** Resolves when so many tasks of a type have completed. */
export async function untilCompleted(client: Pick<Client, "list">, type: string, count: number): Promise<void> {
  while ((await client.list({ type, states: ["completed"], limit: 1 })).total < count) await delay(lookIntervalMs);
}

/**
 * Of the agents that stand still, the one with the most work in its hands. Waits for one that has any, but not until
 * agents that stand still are taken for lost: on a machine that is that slow, one dies without work.
 */
export async function agentAtWork(
  client: Pick<Client, "list">,
  held: readonly Child[],
): Promise<Pick<Killed, "agent" | "tasks">> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { tasks } = await client.list({ states: ["assigned", "running"] });
    const [most] = held
      .map((agent) => ({ agent, tasks: tasks.filter(({ agentId }) => agentId === agent.name) }))
      .sort((a, b) => b.tasks.length - a.tasks.length);
    if (most === undefined) throw new Error("no agent stands still");
    if (most.tasks.length > 0 || performance.now() > deadline) return most;
    await delay(lookIntervalMs);
  }
}

/** The worker that has the run in its memory: it made the last turn. */
export async function workerOf(
  run: Pick<RunHandle, "history">,
  workers: readonly Child[],
): Promise<Pick<Killed, "worker" | "historyLength">> {
  for (;;) {
    const history = await run.history();
    const agentId = workersOfTurns(history).at(-1);
    const worker = workers.find(({ name }) => name === agentId);
    if (worker !== undefined) return { worker, historyLength: history.length };
    await delay(lookIntervalMs);
  }
}

/** Who made the turns of a history, in their order. */
export function workersOfTurns(history: readonly HistoryEvent[]): readonly string[] {
  return history.flatMap((event) => (event.type === "WorkflowTaskCompleted" ? [event.agentId] : []));
}
