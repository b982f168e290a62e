/**
 * Why a task stands where it stands: the orchestrator's sentence, and what it rests on. The details are asked for one
 * after the other and put together here, so that each is true of its own moment.
 */
import type { Client, TaskList } from "../client/client.js";
import { PerdureError } from "../errors.js";
import { priorities } from "../protocol/priority.js";
import type { AgentView, SystemStatusReply } from "../protocol/system-message.js";
import { LIST_LIMIT_MAX, type TaskState, type TaskView } from "../protocol/task-message.js";
import { PROMOTION_INTERVAL_MS } from "../scheduler/pick-task.js";
import { capabilityKey } from "../scheduler/ready-queue.js";

export interface Explanation {
  readonly taskId: string;
  readonly state: TaskState;
  /** One sentence. */
  readonly reason: string;
  /** Each agent that is there, whether it could be given the task, and why not. Empty unless the task waits for one. */
  readonly agents: readonly AgentFitness[];
  /** More agents than an answer has room for. */
  readonly agentsLeftOut: number;
  /** Only those that have not completed. */
  readonly openDependencies: readonly OpenDependency[];
  /** Absent unless queued, or where the line is too long to be looked at. */
  readonly line?: PlaceInLine;
}

export interface AgentFitness {
  readonly agentId: string;
  readonly fitness: "couldTakeIt" | "busy" | "unwell" | "unable";
  readonly detail: string;
}

export interface OpenDependency {
  readonly taskId: string;
  readonly state: TaskState | "unknown";
  readonly reason?: string | undefined;
}

/** Among queued tasks that ask for the same capabilities. About, because it is not told since when each could start. */
export interface PlaceInLine {
  readonly place: number;
  readonly length: number;
}

/** @throws PerdureError NOT_FOUND */
export async function explainTask(client: Client, taskId: string): Promise<Explanation> {
  const task = await client.get(taskId);
  const reason = await client.explain(taskId);
  const base = { taskId, state: task.state, reason, agents: [], agentsLeftOut: 0, openDependencies: [] };
  switch (task.state) {
    case "waiting":
      return { ...base, openDependencies: await openDependencies(client, task) };
    case "queued": {
      const [status, queued] = await Promise.all([
        client.status(),
        client.list({ states: ["queued"], limit: LIST_LIMIT_MAX }),
      ]);
      const line = placeOf(task, queued, status.timestamp);
      return {
        ...base,
        agents: fitnessOfAll(task, status),
        agentsLeftOut: status.agentStatusesLeftOut ?? 0,
        ...(line === undefined ? {} : { line }),
      };
    }
    default:
      return base;
  }
}

/** A task with thousands of dependencies is asked about in parts, each as large as one answer comes quickly. */
const DEPENDENCIES_AT_ONCE = 100;

async function openDependencies(client: Client, { dependencies }: TaskView): Promise<readonly OpenDependency[]> {
  const open: OpenDependency[] = [];
  for (let from = 0; from < dependencies.length; from += DEPENDENCIES_AT_ONCE) {
    const part = dependencies.slice(from, from + DEPENDENCIES_AT_ONCE);
    const found = await Promise.all(part.map((taskId) => dependencyOf(client, taskId)));
    open.push(...found.filter(({ state }) => state !== "completed"));
  }
  return open;
}

async function dependencyOf(client: Client, taskId: string): Promise<OpenDependency> {
  try {
    const { state, reason } = await client.get(taskId);
    return { taskId, state, reason };
  } catch (error) {
    if (error instanceof PerdureError && error.code === "NOT_FOUND") return { taskId, state: "unknown" };
    throw error;
  }
}

const fitnessOrder: readonly AgentFitness["fitness"][] = ["couldTakeIt", "busy", "unwell", "unable"];

function fitnessOfAll(task: TaskView, { agentStatuses }: SystemStatusReply): readonly AgentFitness[] {
  const present = agentStatuses.filter(({ state }) => state !== "gone");
  return present
    .map((agent) => fitnessOf(task, agent))
    .sort(
      (a, b) => fitnessOrder.indexOf(a.fitness) - fitnessOrder.indexOf(b.fitness) || (a.agentId < b.agentId ? -1 : 1),
    );
}

function fitnessOf({ requiredCapabilities }: TaskView, agent: AgentView): AgentFitness {
  const { agentId, state, reason, activeTaskCount, maxConcurrentTasks } = agent;
  const missing = requiredCapabilities.filter((capability) => !agent.capabilities.includes(capability));
  const load = `${activeTaskCount}/${maxConcurrentTasks}`;
  if (missing.length > 0) return { agentId, fitness: "unable", detail: `lacks ${missing.join(" and ")}` };
  if (state !== "healthy") {
    return { agentId, fitness: "unwell", detail: reason === undefined ? `is ${state}` : `is ${state}: ${reason}` };
  }
  if (activeTaskCount >= maxConcurrentTasks) return { agentId, fitness: "busy", detail: `is full: ${load}` };
  return { agentId, fitness: "couldTakeIt", detail: `has a place: ${load}` };
}

function placeOf(task: TaskView, { tasks, total }: TaskList, now: number): PlaceInLine | undefined {
  if (total > tasks.length) return undefined;
  const key = capabilityKey(task.requiredCapabilities);
  const line = tasks.filter(({ requiredCapabilities }) => capabilityKey(requiredCapabilities) === key);
  const own = urgencyOf(task, now);
  const before = line.filter((other) => other.taskId !== task.taskId && goesBefore(urgencyOf(other, now), own));
  return { place: before.length + 1, length: Math.max(line.length, before.length + 1) };
}

type Urgency = readonly [level: number, submittedAt: number];

/** As the scheduler has it, for a task that could start since it was submitted. */
function urgencyOf({ priority, submittedAt }: TaskView, now: number): Urgency {
  const risen = Math.floor(Math.max(0, now - submittedAt) / PROMOTION_INTERVAL_MS);
  return [Math.max(0, priorities.indexOf(priority) - risen), submittedAt];
}

const goesBefore = ([level, since]: Urgency, [otherLevel, otherSince]: Urgency): boolean =>
  level === otherLevel ? since < otherSince : level < otherLevel;
