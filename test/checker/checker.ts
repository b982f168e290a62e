/**
 * Holds a run to the promises of docs/guarantees.md, by what clients and agents saw. Each breach is a sentence. Pure: a
 * history in, a verdict out; what it must catch is in checker.test.ts.
 */
import type { ClientRecord, History, Output, PlannedTask, Status, TaskView } from "./history.js";
import { isEnd, type Story, storiesOf } from "./story.js";

export interface Verdict {
  readonly breaches: readonly string[];
  /** How many tasks ended in which way. */
  readonly ended: Readonly<Record<string, number>>;
  /** How many attempts agents began. */
  readonly attempts: number;
}

type Stories = ReadonlyMap<string, Story>;
type Rule = (story: Story, stories: Stories) => Iterable<string>;

const rules: readonly Rule[] = [
  endsOnce,
  isNeverForgotten,
  startsAfterDependencies,
  keepsToItsAttempts,
  appliesNothingStale,
  endsForAReason,
  countsEachResultOnce,
  tellsItsEndOnce,
];

export function judge(history: History): Verdict {
  const stories = storiesOf(history);
  const breaches = [...history.clients.flatMap(judgeAnswer)];
  for (const story of stories.values()) {
    if (story.plan === null) breaches.push(...wasNeverThere(story));
    else for (const rule of rules) breaches.push(...rule(story, stories));
  }
  for (const status of history.statuses) breaches.push(...addsUp(status, stories));
  const ended: Record<string, number> = {};
  for (const { end } of stories.values()) if (end !== null) ended[end.state] = (ended[end.state] ?? 0) + 1;
  return { breaches, ended, attempts: history.agents.filter(({ kind }) => kind === "began").length };
}

/** Answers that say that nobody could decide; then it is asked again. */
const undecided: ReadonlySet<string> = new Set(["unanswered", "NOT_READY", "STORAGE_UNAVAILABLE"]);

function judgeAnswer(record: ClientRecord): string[] {
  if (record.kind === "fault") return [record.what];
  if (record.kind !== "submitted" || undecided.has(record.answer)) return [];
  const ids = record.tasks.map(({ taskId }) => taskId);
  if (record.answer !== record.expected) {
    return [`the submission of ${ids.join(", ")} was answered ${record.answer}; it had to be ${record.expected}`];
  }
  const namesThem = record.answer !== "accepted" || ids.join() === record.named.join();
  return namesThem ? [] : [`the submission of ${ids.join(", ")} was answered with the ids ${record.named.join(", ")}`];
}

/** A batch is accepted whole or not at all: members of refused ones do not exist. */
function* wasNeverThere({ taskId, looks, begun }: Story): Iterable<string> {
  if (looks.some(({ view }) => view !== null)) yield `${taskId} exists although its batch was refused`;
  if (begun.length > 0) yield `an agent was given ${taskId}, which nobody submitted with success`;
}

function* endsOnce({ taskId, acceptedAt, looks, end }: Story): Iterable<string> {
  if (acceptedAt === null) yield `the submission of ${taskId} was never answered`;
  else if (end === null) yield `${taskId} was accepted and never ended`;
  if (end === null) return;
  const endings = new Set(looks.flatMap(({ view }) => (isEnd(view) ? [fingerprint(view)] : [])));
  if (endings.size > 1) yield `${taskId} ended more than once: ${[...endings].join(" and ")}`;
  const knownAt = Math.min(...looks.filter(({ view }) => isEnd(view)).map(({ answeredAt }) => answeredAt));
  const relapse = looks.find(({ view, askedAt }) => view !== null && !isEnd(view) && askedAt > knownAt);
  if (relapse !== undefined) yield `${taskId} had ended ${end.state} and was ${relapse.view?.state} afterwards`;
}

const fingerprint = (view: TaskView | null): string =>
  JSON.stringify([view?.state, view?.attempt, view?.output, view?.error?.type, view?.endedAt]);

function* isNeverForgotten({ taskId, acceptedAt, looks }: Story): Iterable<string> {
  const missed = looks.some(({ view, askedAt }) => view === null && acceptedAt !== null && askedAt >= acceptedAt);
  if (missed) yield `${taskId} was accepted and could not be found afterwards`;
}

function* startsAfterDependencies({ taskId, plan, begun, end }: Story, stories: Stories): Iterable<string> {
  for (const dependency of plan?.dependencies ?? []) {
    const needed = stories.get(dependency)?.end ?? null;
    for (const { at, dependencyResults } of begun) {
      if (needed?.state !== "completed") {
        yield `${taskId} began although its dependency ${dependency} is ${needed?.state ?? "not over"}`;
      } else if (at < (needed.endedAt ?? Number.POSITIVE_INFINITY)) {
        yield `${taskId} began ${(needed.endedAt ?? 0) - at} ms before its dependency ${dependency} ended`;
      } else if (JSON.stringify(dependencyResults?.[dependency]) !== JSON.stringify(needed.output)) {
        yield `${taskId} was given another output of ${dependency} than the one it ended with`;
      }
    }
    if (needed !== null && needed.state !== "completed" && end?.state === "completed") {
      yield `${taskId} completed although its dependency ${dependency} ended ${needed.state}`;
    }
  }
}

function* keepsToItsAttempts({ taskId, plan, begun, end, released }: Story): Iterable<string> {
  const maximum = plan?.retry.maximumAttempts ?? 0;
  const counted = begun.filter(({ token }) => !released.has(token));
  const tokens = new Set(counted.map(({ token }) => token));
  const limit = maximum === 0 ? Number.POSITIVE_INFINITY : maximum;
  if (counted.length > limit) yield `${taskId} was begun ${counted.length} times; at most ${maximum} were allowed`;
  const highest = Math.max(end?.attempt ?? 0, ...begun.map(({ attempt }) => attempt));
  if (highest > limit) yield `${taskId} had an attempt ${highest} of at most ${maximum}`;
  if (tokens.size < counted.length) yield `${taskId} had an attempt that was begun twice`;
  if (new Set(counted.map(({ attempt }) => attempt)).size < tokens.size) {
    yield `${taskId} had two different attempts of one number`;
  }
}

/** A result counts only if nobody else was given the task meanwhile, and only if an agent really made it. */
function* appliesNothingStale({ taskId, begun, finished, end, askedFirstAt }: Story): Iterable<string> {
  const early = begun.find(({ at }) => at < askedFirstAt);
  if (early !== undefined) yield `${taskId} began before anybody had asked for it`;
  if (end?.state !== "completed") return;
  const output = end.output as Output | undefined;
  const source = finished.find(({ token, status }) => token === output?.token && status === "completed");
  if (source === undefined || output?.taskId !== taskId) {
    yield `${taskId} completed with ${JSON.stringify(end.output)}, which no agent made for it`;
    return;
  }
  if (source.attempt !== end.attempt) {
    yield `${taskId} ended with attempt ${end.attempt} and the output of attempt ${source.attempt}`;
  }
  const later = begun.find(({ attempt }) => attempt > source.attempt);
  if (later !== undefined) {
    yield `${taskId} completed with the stale output of attempt ${source.attempt}: ${later.agentId} had attempt ${later.attempt}`;
  }
}

/** Failures that are nobody's fault but that of whoever kills processes. */
const causedByCrashes: ReadonlySet<string> = new Set([
  "AGENT_LOST",
  "AGENT_SUPERSEDED",
  "AGENT_DISCONNECTED",
  "ATTEMPT_LOST",
  "TASK_NOT_ACCEPTED",
]);
/** A task that was with so many agents that died is not tried again. */
const LOST_AGENTS_MAX = 3;

function* endsForAReason(story: Story, stories: Stories): Iterable<string> {
  const { taskId, plan, end, cancelled } = story;
  if (plan === null || end === null) return;
  const { input, timeoutMs, scheduleToCloseMs } = plan;
  switch (end.state) {
    case "completed":
      if (input.do === "broken" || input.do === "fatal" || input.do === "hang") {
        yield `${taskId} completed although its work is ${input.do}`;
      }
      return;
    case "cancelled":
      if (!cancelled) yield `${taskId} was cancelled and nobody had asked for it`;
      return;
    case "timed_out":
      if (timeoutMs === undefined && scheduleToCloseMs === undefined) yield `${taskId} timed out without a time-out`;
      return;
    case "failed":
      yield* failsForAReason(story, plan, end, stories);
      return;
    default:
      yield `${taskId} ended ${end.state}, which is no end`;
  }
}

function* failsForAReason(
  { taskId, finished }: Story,
  { dependencies, input, retry, scheduleToCloseMs }: PlannedTask,
  { attempt, error }: TaskView,
  stories: Stories,
): Iterable<string> {
  const failure = error?.type ?? "nothing";
  if (failure === "DEPENDENCY_FAILED") {
    const ends = dependencies.map((id) => stories.get(id)?.end?.state);
    if (ends.every((state) => state === "completed")) yield `${taskId} failed for dependencies that all completed`;
    return;
  }
  const mayGoOn = attempt !== retry.maximumAttempts && scheduleToCloseMs === undefined;
  if (causedByCrashes.has(failure)) {
    if (mayGoOn && attempt < LOST_AGENTS_MAX) yield `${taskId} was given up for ${failure} after attempt ${attempt}`;
    return;
  }
  const wasSaid = finished.some((record) => record.attempt === attempt && record.status === "failed");
  if (!wasSaid) yield `${taskId} failed of ${failure}, and no agent had said so of attempt ${attempt}`;
  else if (failure.toLowerCase() !== input.do) yield `${taskId} failed of ${failure}; its work is ${input.do}`;
  else if (mayGoOn && input.do !== "fatal")
    yield `${taskId} was given up after attempt ${attempt} of ${retry.maximumAttempts}`;
}

/** Every result costs 1: a sum above the results that were made shows one that was counted twice. */
function* countsEachResultOnce({ taskId, finished, end }: Story): Iterable<string> {
  const made = new Set(finished.map(({ token }) => token)).size;
  const cost = end?.usage?.cost ?? 0;
  if (cost > made) yield `${taskId} counts ${cost} results and agents made ${made}`;
  if (end?.state === "completed" && cost < 1) yield `${taskId} completed and counts no result`;
}

const endOfEvent: Readonly<Record<string, string>> = {
  TASK_COMPLETED: "completed",
  TASK_FAILED: "failed",
  TASK_CANCELLED: "cancelled",
  TASK_TIMED_OUT: "timed_out",
};

function* tellsItsEndOnce({ taskId, events, end }: Story): Iterable<string> {
  const ends = events.filter(({ eventType }) => eventType in endOfEvent);
  if (ends.length > 1) yield `the end of ${taskId} was told ${ends.length} times`;
  for (const { eventType } of ends) {
    if (end !== null && endOfEvent[eventType] !== end.state)
      yield `${eventType} was told of ${taskId}, which ended ${end.state}`;
  }
  const submitted = events.filter(({ eventType }) => eventType === "TASK_SUBMITTED").length;
  if (submitted > 1) yield `the submission of ${taskId} was told ${submitted} times`;
}

/** Whatever anybody may add up when all work is done. */
function* addsUp(status: Status, stories: Stories): Iterable<string> {
  const left = {
    active: status.activeTaskCount,
    queued: status.queuedTaskCount,
    waiting: status.waitingTaskCount,
    "in back-off": status.backoffTaskCount,
    "held by agents": status.agentStatuses.reduce((sum, agent) => sum + agent.activeTaskCount, 0),
  };
  for (const [what, count] of Object.entries(left)) {
    if (count !== 0) yield `all work is done and ${count} tasks are counted as ${what}`;
  }
  const since: Record<string, number> = {};
  let cost = 0;
  for (const { end } of stories.values()) {
    if (end === null || (end.endedAt ?? 0) < status.leadingSince) continue;
    since[end.state] = (since[end.state] ?? 0) + 1;
    cost += end.usage?.cost ?? 0;
  }
  for (const [state, count] of Object.entries(status.endedTaskCounts)) {
    if (count !== (since[state] ?? 0)) {
      yield `${count} tasks are counted as ${state} under this leader; clients saw ${since[state] ?? 0}`;
    }
  }
  if (cost !== status.usage.cost) {
    yield `tasks that ended under this leader cost ${cost}, and it counts ${status.usage.cost}`;
  }
}
