/** What an agent has to do for a real orchestrator, which is killed in between. */

import { isDeepStrictEqual } from "node:util";
import type { Client, SystemEvent } from "perdure";
import type { AgentProxy } from "./agent-proxy.js";
import type { CheckOptions } from "./check-options.js";
import type { AgentAtHand, Rule } from "./rule.js";

export interface RealScene {
  readonly options: CheckOptions;
  readonly agent: AgentAtHand;
  readonly proxy: AgentProxy;
  readonly agentId: string;
  readonly client: Client;
  /** Everything the orchestrator told since before the agent was there. */
  readonly events: readonly SystemEvent[];
  /** Submitted before the agent was there. */
  readonly firstTaskId: string;
  /** Kills the orchestrator and its server, and starts both again on what they had stored. */
  readonly crash: () => Promise<void>;
}

const TASK_MS = 30_000;
const LOOK_MS = 1_000;
const AFTER_CRASH_MS = 60_000;
const MANY = 20;

export const rulesWithOrchestrator: readonly Rule<RealScene>[] = [
  {
    name: "does a task that was waiting for it",
    weight: "must",
    chapter: "assignment",
    advice:
      "Hand in `completed` with the output. `perdure show TASK` and the orchestrator's log say what it made of it.",
    check: (scene) => unlessCompleted(scene, scene.firstTaskId, TASK_MS),
  },
  {
    name: "listens before it registers",
    weight: "must",
    chapter: "register",
    advice: "Send the SUBs for .task and .status before the registration, on the same connection.",
    check: async ({ proxy, agentId, options }) => {
      const subject = `${options.namespace}.agent.${agentId}.task`;
      return proxy.heardAtRegistration?.some((pattern) => covers(pattern, subject)) === true
        ? null
        : `a registration before the subscription to ${subject}`;
    },
  },
  {
    name: `does ${MANY} tasks that come at once`,
    weight: "must",
    chapter: "assignment",
    advice: "Several messages may arrive in one read, and assignments while others run.",
    check: async (scene) => {
      const { client, options } = scene;
      const tasks = Array.from({ length: MANY }, () => ({ type: options.type, input: options.input }));
      const handles = await client.submitAll(tasks);
      for (const { taskId } of handles) {
        const wrong = await unlessCompleted(scene, taskId, TASK_MS);
        if (wrong !== null) return wrong;
      }
      return null;
    },
  },
  {
    name: "ends a cancelled task itself",
    weight: "should",
    chapter: "orders",
    needs: "--slow-input",
    advice:
      "Answer a `cancel` with `cancelled`: without an answer the task ends five seconds later, and its place is free then.",
    check: async ({ client, options }) => {
      const { taskId } = await client.submit({ type: options.type, input: options.slowInput });
      await untilRunning(client, taskId);
      const askedAt = performance.now();
      await client.cancel(taskId);
      const { state } = await client.wait(taskId, { timeoutMs: TASK_MS });
      const tookMs = Math.round(performance.now() - askedAt);
      return state === "cancelled" && tookMs < 4_900 ? null : `it was ${state} after ${tookMs} ms`;
    },
  },
  {
    name: "goes on after server and orchestrator were killed and started again",
    weight: "must",
    chapter: "connection",
    advice: "Connect again for ever, subscribe again, heartbeat, and hand in what was not acknowledged.",
    check: async (scene) => {
      const { client, options, crash } = scene;
      const slow =
        options.slowInput === undefined ? null : await client.submit({ type: options.type, input: options.slowInput });
      if (slow !== null) await untilRunning(client, slow.taskId);
      await crash();
      const { taskId } = await client.submit(
        { type: options.type, input: options.input },
        { timeoutMs: AFTER_CRASH_MS },
      );
      const wrong = await unlessCompleted(scene, taskId, AFTER_CRASH_MS);
      if (wrong !== null || slow === null) return wrong;
      const { state, attempt } = await client.wait(slow.taskId, { timeoutMs: AFTER_CRASH_MS });
      return state === "completed" && attempt === 1 ? null : `the task in hand was ${state} with attempt ${attempt}`;
    },
  },
  {
    name: "hands in nothing that is refused",
    weight: "must",
    chapter: "result",
    advice: "taskId, attempt, token and agentId are those of the assignment; one result for each attempt.",
    check: async ({ events }) => {
      const refused = events.find(({ eventType }) => eventType === "RESULT_REFUSED" || eventType === "SYSTEM_ERROR");
      return refused === undefined ? null : JSON.stringify(refused.payload);
    },
  },
];

/** Null once the task completed as it should; else what became of it. */
async function unlessCompleted(
  { client, options, agent }: RealScene,
  taskId: string,
  limitMs: number,
): Promise<string | null> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const task = await client.wait(taskId, { timeoutMs: LOOK_MS }).catch(() => client.get(taskId));
    if (task.state === "completed") {
      const fits = options.expected === undefined || isDeepStrictEqual(task.output, options.expected);
      return fits ? null : `the output is ${JSON.stringify(task.output)?.slice(0, 200)}`;
    }
    const isOver = task.endedAt !== undefined || agent.end !== null || performance.now() > deadline;
    if (isOver) return `it is ${task.state}: ${agent.missing() ?? task.reason}`;
  }
}

/** Whether a subscription to `pattern` hears `subject`. */
function covers(pattern: string, subject: string): boolean {
  const wanted = subject.split(".");
  const tokens = pattern.split(".");
  const tail = tokens.at(-1) === ">";
  if (tail ? tokens.length > wanted.length : tokens.length !== wanted.length) return false;
  return tokens.every((token, index) => token === "*" || token === ">" || token === wanted[index]);
}

async function untilRunning(client: Client, taskId: string): Promise<void> {
  const deadline = performance.now() + TASK_MS;
  while (performance.now() < deadline && (await client.get(taskId)).state !== "running") {
    await client.wait(taskId, { timeoutMs: 50 }).catch(() => undefined);
  }
}
