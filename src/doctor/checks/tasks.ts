/** Does work wait for something that will not come? */
import type { AgentView } from "../../protocol/system-message.js";
import type { TaskListReply, TaskView } from "../../protocol/task-message.js";
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";
import { settingsOfLeader } from "../leaders.js";

/** A queue this old is noticed by whoever submitted. */
const QUEUED_MS_MAX = 5 * 60_000;
/** Tasks between attempts: fewer are everyday life. */
const STORM_TASKS = 10;
/** A task that failed so often will go on failing. */
const STORM_ATTEMPTS = 10;
const NEAR = 0.8;
const NAMED_MAX = 5;

export function checkTasks(facts: Facts, notes: Notes): void {
  const list = notes.need(facts.orchestrator.tasks);
  const status = notes.need(facts.orchestrator.status);
  if (list === undefined || status === undefined) return;
  const { tasks, total } = list;
  const { agentStatuses, timestamp } = status.value;
  notes.see(
    `${total} unfinished tasks${total > tasks.length ? `, of which the newest ${tasks.length} were looked at` : ""}`,
  );
  if ((status.value.agentStatusesLeftOut ?? 0) === 0) {
    checkCapabilities(list, agentStatuses, notes);
    checkWorkers(tasks, agentStatuses, notes);
  } else notes.skip("what agents can do: there are more of them than fit into an answer");
  checkStuck(tasks, notes);
  checkDependencies(facts, notes);
  checkAge(tasks, timestamp, notes);
  checkBackoff(tasks, notes);
  checkLimits(facts, notes);
  checkDeadLetters(status.value.deadLetterCount ?? 0, facts, notes);
}

function checkCapabilities({ tasks, total }: TaskListReply, agents: readonly AgentView[], notes: Notes): void {
  const present = agents.filter(isPresent);
  // Without any agent, that is what is said.
  if (present.length === 0) return;
  const unable = new Map<string, TaskView[]>();
  for (const task of tasks) {
    const needed = task.requiredCapabilities;
    if (task.state !== "queued" && task.state !== "backoff") continue;
    if (present.some((agent) => needed.every((name) => agent.capabilities.includes(name)))) continue;
    const key = needed.join(" and ");
    unable.set(key, [...(unable.get(key) ?? []), task]);
  }
  for (const [needed, waiting] of [...unable].slice(0, NAMED_MAX)) {
    notes.find(
      "tasks/capability-missing",
      `${total > tasks.length ? "At least " : ""}${waiting.length} ${waiting.length === 1 ? "task needs" : "tasks need"} ${needed}, and no agent has that: ${named(waiting)}.`,
      "Start an agent with these capabilities, all in one; or cancel the tasks (`perdure cancel`). Mind typing errors in the task's type, which is what it needs unless it says otherwise.",
      { capabilities: waiting[0]?.requiredCapabilities, tasks: waiting.length },
    );
  }
}

const isPresent = ({ state }: AgentView): boolean => state !== "lost" && state !== "gone";

/** A workflow under way requires its worker although it is not queued: whatever happens to it, it will need one. */
function checkWorkers(tasks: readonly TaskView[], agents: readonly AgentView[], notes: Notes): void {
  const offered = new Set(agents.filter(isPresent).flatMap(({ capabilities }) => capabilities));
  const without = new Map<string, TaskView[]>();
  for (const workflow of tasks) {
    if (workflow.run === undefined || offered.has(workflow.type)) continue;
    without.set(workflow.type, [...(without.get(workflow.type) ?? []), workflow]);
  }
  for (const [type, waiting] of [...without].slice(0, NAMED_MAX)) {
    const name = type.replace(/^workflow:/, "");
    notes.find(
      "tasks/worker-missing",
      `${waiting.length} ${waiting.length === 1 ? "workflow" : "workflows"} of type ${name} ${waiting.length === 1 ? "is" : "are"} under way, and no worker has the code: ${named(waiting)}.`,
      `Start one: \`perdure worker FILE\` with the file that exports workflow("${name}", …). Nothing is lost meanwhile; timers that fire and signals wait for it.`,
      { type: name, workflows: waiting.length },
    );
  }
}

function checkStuck(tasks: readonly TaskView[], notes: Notes): void {
  const stuck = tasks.filter(({ state }) => state === "stuck");
  const [first] = stuck;
  if (first === undefined) return;
  notes.find(
    "tasks/workflow-stuck",
    `${stuck.length} ${stuck.length === 1 ? "workflow is" : "workflows are"} stuck, such as ${first.taskId} (${first.type}): it ${first.reason ?? "gives no reason"}.`,
    "Deploy code that can go on, or roll back what was deployed last: they are tried again at once when a worker registers, and lose nothing meanwhile. Terminate those that are not wanted (`perdure terminate`).",
    { workflows: stuck.length, tasks: stuck.slice(0, NAMED_MAX).map(({ taskId }) => taskId) },
  );
}

function checkDependencies({ orchestrator }: Facts, notes: Notes): void {
  const orphans = notes.need(orchestrator.orphans) ?? [];
  const [orphan] = orphans;
  if (orphan === undefined) return;
  notes.find(
    "tasks/dependency-unknown",
    `${orphans.length} tasks wait for tasks that the orchestrator does not know, such as ${orphan.taskId} for ${orphan.dependency}.`,
    "The records of these dependencies were deleted by hand. What waits for them never starts: cancel it, and submit both again.",
    { tasks: orphans.slice(0, NAMED_MAX) },
  );
}

function checkAge(tasks: readonly TaskView[], now: number, notes: Notes): void {
  const old = tasks.filter(({ state, submittedAt }) => state === "queued" && now - submittedAt > QUEUED_MS_MAX);
  const oldest = old.reduce<TaskView | undefined>(
    (first, task) => (first === undefined || task.submittedAt < first.submittedAt ? task : first),
    undefined,
  );
  if (oldest === undefined) return;
  notes.find(
    "tasks/waiting-long",
    `${old.length} queued tasks are older than ${QUEUED_MS_MAX / 60_000} minutes; ${oldest.taskId} waits since ${new Date(oldest.submittedAt).toISOString()}: ${oldest.reason ?? "no reason given"}.`,
    "`perdure explain <task>` says what each waits for. More agents, or fewer submissions.",
    { tasks: old.length, oldest: oldest.taskId },
  );
}

function checkBackoff(tasks: readonly TaskView[], notes: Notes): void {
  const failing = tasks.filter(({ state }) => state === "backoff");
  const often = failing.filter(({ attempt }) => attempt >= STORM_ATTEMPTS);
  if (failing.length < STORM_TASKS && often.length === 0) return;
  const counts = new Map<string, number>();
  for (const { error } of failing) {
    const type = error === undefined ? "no error" : error.type;
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  const [commonest = ["", 0]] = [...counts].sort(([, a], [, b]) => b - a);
  const example = failing.find(({ error }) => (error?.type ?? "no error") === commonest[0]);
  notes.find(
    "tasks/backoff-storm",
    `${failing.length} tasks are between attempts, ${often.length} of them after ${STORM_ATTEMPTS} or more; the commonest error is ${commonest[0]} (${commonest[1]} tasks), such as ${example?.taskId}: ${example?.error?.message ?? "none"}.`,
    "Something they all use is likely down: mend that, and they go on by themselves. Limit attempts (retry.maximumAttempts) where trying on is of no use.",
    { tasks: failing.length, error: commonest[0] },
  );
}

function checkLimits(facts: Facts, notes: Notes): void {
  const { status } = facts.orchestrator;
  const settings = settingsOfLeader(facts);
  if (!status.known || settings === null) return;
  const { activeTaskCount, queuedTaskCount, waitingTaskCount, backoffTaskCount } = status.value.value;
  const { maxConcurrentTasks, maxQueuedTasks } = settings;
  if (maxConcurrentTasks > 0 && activeTaskCount >= maxConcurrentTasks && queuedTaskCount > 0) {
    notes.find(
      "tasks/limit-reached",
      `The orchestrator runs ${activeTaskCount} tasks at once, which is its limit, and ${queuedTaskCount} are queued.`,
      "If agents have room left: raise maxConcurrentTasks of the orchestrator (0 is no limit).",
      { maxConcurrentTasks, queued: queuedTaskCount },
    );
  }
  const unassigned = queuedTaskCount + waitingTaskCount + backoffTaskCount;
  if (unassigned < maxQueuedTasks * NEAR) return;
  notes.find(
    "tasks/queue-near-limit",
    `${unassigned} unfinished tasks without an agent, of at most ${maxQueuedTasks}: beyond it submissions are refused with QUEUE_FULL.`,
    "Add agents, submit less, or raise maxQueuedTasks (about 1.5 KB of the orchestrator's memory each).",
    { unassigned, maxQueuedTasks },
  );
}

function checkDeadLetters(count: number, { namespace }: Facts, notes: Notes): void {
  if (count === 0) return;
  notes.find(
    "tasks/dead-letters",
    `${count} foreign ${count === 1 ? "message that a bridge" : "messages that bridges"} in namespace ${namespace} could not handle ${count === 1 ? "lies" : "lie"} among the dead letters.`,
    "`perdure dead-letters list` says why of each. Mend that and replay them, or drop them; until then they are kept.",
    { deadLetters: count },
  );
}

const named = (tasks: readonly TaskView[]): string =>
  `${tasks
    .slice(0, NAMED_MAX)
    .map(({ taskId }) => taskId)
    .join(", ")}${tasks.length > NAMED_MAX ? ", …" : ""}`;
