/** What the checker must catch: a history in which all is well, doctored in one place. */
import { expect, it } from "vitest";
import { judge } from "./checker.js";
import type { AgentRecord, ClientRecord, PlannedTask, Status, TaskView } from "./history.js";

const first: PlannedTask = {
  taskId: "t-1",
  type: "sum",
  input: { do: "flaky", ms: 1, failures: 1 },
  priority: "normal",
  dependencies: [],
  retry: { maximumAttempts: 2, initialIntervalMs: 10 },
};
const second: PlannedTask = {
  ...first,
  taskId: "t-2",
  input: { do: "echo", ms: 0, failures: 0 },
  dependencies: ["t-1"],
};

const outputOf = (taskId: string, attempt: number) => ({ taskId, attempt, token: `${taskId}-${attempt}` });

const completed = (taskId: string, attempt: number, endedAt: number): TaskView => {
  return { taskId, state: "completed", attempt, output: outputOf(taskId, attempt), endedAt, usage: { cost: attempt } };
};

/** Two tasks, one behind the other; the first one fails once. A third was refused, and a fourth cancelled. */
function givenHistory(): { clients: ClientRecord[]; agents: AgentRecord[]; statuses: Status[] } {
  const third: PlannedTask = { ...second, taskId: "t-3", dependencies: ["nobody"] };
  const fourth: PlannedTask = { ...second, taskId: "t-4", dependencies: [], input: { do: "hang", ms: 0, failures: 0 } };
  return {
    clients: [
      submitted([first, second], 100, "unanswered"),
      submitted([first, second], 110),
      { ...submitted([third], 120), answer: "DEPENDENCY_UNKNOWN", named: [], expected: "DEPENDENCY_UNKNOWN" },
      submitted([fourth], 130),
      saw("t-1", 150, { taskId: "t-1", state: "running", attempt: 1 }),
      saw("t-1", 240, completed("t-1", 2, 230)),
      saw("t-2", 270, completed("t-2", 1, 260)),
      { kind: "cancelled", askedAt: 280, taskId: "t-4" },
      saw("t-4", 290, { taskId: "t-4", state: "cancelled", attempt: 1, endedAt: 285 }),
      heard("TASK_SUBMITTED", "t-1"),
      heard("TASK_COMPLETED", "t-1"),
      saw("t-3", 400, null),
      saw("t-1", 400, completed("t-1", 2, 230)),
    ],
    agents: [
      work("began", "t-1", 1, 140),
      work("finished", "t-1", 1, 160, "failed"),
      work("began", "t-1", 2, 200),
      work("finished", "t-1", 2, 220, "completed"),
      { ...work("began", "t-2", 1, 250), dependencyResults: { "t-1": outputOf("t-1", 2) } },
      work("finished", "t-2", 1, 255, "completed"),
      work("began", "t-4", 1, 140),
      work("finished", "t-4", 1, 284, "cancelled"),
    ],
    statuses: [
      {
        leadingSince: 200,
        activeTaskCount: 0,
        queuedTaskCount: 0,
        waitingTaskCount: 0,
        backoffTaskCount: 0,
        endedTaskCounts: { completed: 2, failed: 0, cancelled: 1, timed_out: 0 },
        usage: { cost: 3 },
        agentStatuses: [{ agentId: "k-1", activeTaskCount: 0 }],
      },
    ],
  };
}

type Given = ReturnType<typeof givenHistory>;

function submitted(
  tasks: readonly PlannedTask[],
  askedAt: number,
  answer = "accepted",
): Extract<ClientRecord, { kind: "submitted" }> {
  const named = answer === "accepted" ? tasks.map(({ taskId }) => taskId) : [];
  return { kind: "submitted", askedAt, answeredAt: askedAt + 5, tasks, answer, named, expected: "accepted" };
}

function saw(taskId: string, askedAt: number, view: TaskView | null): ClientRecord {
  return { kind: "saw", askedAt, answeredAt: askedAt + 1, taskId, view };
}

function heard(eventType: string, taskId: string): ClientRecord {
  return { kind: "heard", at: 300, eventType, payload: { taskId } };
}

function work(
  kind: AgentRecord["kind"],
  taskId: string,
  attempt: number,
  at: number,
  status?: NonNullable<AgentRecord["status"]>,
): AgentRecord {
  const record = { kind, at, agentId: "k-1", process: "k-1-1", taskId, attempt, token: `${taskId}-${attempt}` };
  return status === undefined ? record : { ...record, status };
}

function withoutLooksAt(taskId: string, { clients, ...rest }: Given): Given {
  return { ...rest, clients: clients.filter((record) => record.kind !== "saw" || record.taskId !== taskId) };
}

const plus =
  (...records: ClientRecord[]) =>
  (given: Given): Given => ({ ...given, clients: [...given.clients, ...records] });
const alsoAt =
  (...records: AgentRecord[]) =>
  (given: Given): Given => ({ ...given, agents: [...given.agents, ...records] });
const endingAs =
  (taskId: string, view: Partial<TaskView>) =>
  (given: Given): Given => {
    const without = withoutLooksAt(taskId, given);
    return plus(saw(taskId, 450, { taskId, attempt: 1, state: "completed", endedAt: 260, ...view }))(without);
  };
const statusOf =
  (status: Partial<Status>) =>
  (given: Given): Given => ({
    ...given,
    statuses: given.statuses.map((said) => ({ ...said, ...status })),
  });

it("finds nothing where all is well, and counts", () => {
  expect(judge(givenHistory())).toEqual({ breaches: [], ended: { completed: 2, cancelled: 1 }, attempts: 4 });
});

it.each<[string, (given: Given) => Given, RegExp]>([
  [
    "two ends of different states",
    plus(saw("t-1", 450, { ...completed("t-1", 2, 230), state: "failed" })),
    /t-1 ended more than once/,
  ],
  ["two ends at different times", plus(saw("t-1", 450, completed("t-1", 2, 231))), /t-1 ended more than once/],
  [
    "two ends with different outputs",
    plus(saw("t-2", 450, { ...completed("t-2", 1, 260), output: 7 })),
    /t-2 ended more than once/,
  ],
  [
    "a task that goes on after its end",
    plus(saw("t-1", 450, { taskId: "t-1", state: "queued", attempt: 2 })),
    /had ended completed and was queued afterwards/,
  ],
  ["a lost task", (given) => withoutLooksAt("t-2", given), /t-2 was accepted and never ended/],
  ["a forgotten task", plus(saw("t-2", 450, null)), /t-2 was accepted and could not be found/],
  [
    "a submission that nobody answered",
    plus(submitted([{ ...first, taskId: "t-9" }], 400, "unanswered")),
    /submission of t-9 was never answered/,
  ],
  [
    "a submission refused for no reason",
    plus(submitted([first], 400, "ID_CONFLICT")),
    /answered ID_CONFLICT; it had to be accepted/,
  ],
  [
    "an answer that names other tasks",
    plus({ ...submitted([first], 400), named: ["t-2"] }),
    /answered with the ids t-2/,
  ],
  [
    "a half accepted batch",
    plus(saw("t-3", 450, { taskId: "t-3", state: "queued", attempt: 0 })),
    /t-3 exists although its batch was refused/,
  ],
  ["work on a refused task", alsoAt(work("began", "t-3", 1, 300)), /given t-3, which nobody submitted/],
  [
    "a start before the dependency ended",
    alsoAt({ ...work("began", "t-2", 0, 229), dependencyResults: { "t-1": outputOf("t-1", 2) } }),
    /t-2 began 1 ms before its dependency/,
  ],
  [
    "a start although the dependency failed",
    endingAs("t-1", { attempt: 2, state: "failed", error: { type: "Flaky" } }),
    /t-2 began although its dependency t-1 is failed/,
  ],
  [
    "a start with the wrong output of the dependency",
    alsoAt({ ...work("began", "t-2", 0, 300), dependencyResults: { "t-1": outputOf("t-1", 1) } }),
    /given another output of t-1/,
  ],
  ["too many attempts", alsoAt(work("began", "t-1", 3, 300)), /t-1 was begun 3 times; at most 2/],
  [
    "an attempt number that is too high",
    alsoAt(work("began", "t-1", 3, 300), { ...work("released", "t-1", 3, 301) }),
    /t-1 had an attempt 3 of at most 2/,
  ],
  [
    "an attempt begun by two processes",
    alsoAt({ ...work("began", "t-4", 1, 150), process: "k-1-2" }),
    /t-4 had an attempt that was begun twice/,
  ],
  [
    "an attempt number given twice",
    alsoAt({ ...work("began", "t-4", 1, 150), token: "other" }),
    /t-4 had two different attempts of one number/,
  ],
  [
    "a stale result applied",
    (given) =>
      endingAs("t-1", { output: outputOf("t-1", 1), usage: { cost: 1 } })(
        alsoAt(work("finished", "t-1", 1, 300, "completed"))(given),
      ),
    /t-1 completed with the stale output of attempt 1/,
  ],
  [
    "the output of another attempt",
    endingAs("t-1", { output: outputOf("t-1", 2), usage: { cost: 1 } }),
    /ended with attempt 1 and the output of attempt 2/,
  ],
  [
    "an output that no agent made",
    endingAs("t-2", { output: outputOf("t-2", 9) }),
    /t-2 completed with .*, which no agent made/,
  ],
  [
    "the output of another task",
    endingAs("t-2", { output: outputOf("t-1", 2) }),
    /t-2 completed with .*, which no agent made/,
  ],
  ["a start before anybody asked", alsoAt(work("began", "t-4", 0, 50)), /t-4 began before anybody had asked/],
  [
    "work that cannot complete and does",
    endingAs("t-4", { output: outputOf("t-4", 1) }),
    /t-4 completed although its work is hang/,
  ],
  [
    "a cancellation nobody asked for",
    endingAs("t-2", { state: "cancelled" }),
    /t-2 was cancelled and nobody had asked/,
  ],
  ["a time-out of a task without one", endingAs("t-2", { state: "timed_out" }), /t-2 timed out without a time-out/],
  [
    "a failure that no agent reported",
    endingAs("t-2", { state: "failed", error: { type: "Flaky" } }),
    /t-2 failed of Flaky, and no agent had said so/,
  ],
  [
    "a failure while attempts are left",
    endingAs("t-1", { state: "failed", error: { type: "Flaky" } }),
    /t-1 was given up after attempt 1 of 2/,
  ],
  [
    "a failure for the dependencies, which all completed",
    endingAs("t-2", { attempt: 0, state: "failed", error: { type: "DEPENDENCY_FAILED" } }),
    /t-2 failed for dependencies that all completed/,
  ],
  [
    "giving up after one lost agent",
    endingAs("t-1", { state: "failed", error: { type: "AGENT_LOST" } }),
    /t-1 was given up for AGENT_LOST after attempt 1/,
  ],
  [
    "a result that is counted twice",
    endingAs("t-2", { output: outputOf("t-2", 1), usage: { cost: 2 } }),
    /t-2 counts 2 results and agents made 1/,
  ],
  [
    "a result that is not counted",
    endingAs("t-2", { output: outputOf("t-2", 1) }),
    /t-2 completed and counts no result/,
  ],
  ["an end that is told twice", plus(heard("TASK_COMPLETED", "t-1")), /the end of t-1 was told 2 times/],
  [
    "an end that is told otherwise",
    plus(heard("TASK_FAILED", "t-2")),
    /TASK_FAILED was told of t-2, which ended completed/,
  ],
  ["a submission that is told twice", plus(heard("TASK_SUBMITTED", "t-1")), /submission of t-1 was told 2 times/],
  ["tasks counted that are no more", statusOf({ queuedTaskCount: 1 }), /1 tasks are counted as queued/],
  [
    "a place that is never free again",
    statusOf({ agentStatuses: [{ agentId: "k-1", activeTaskCount: 1 }] }),
    /1 tasks are counted as held by agents/,
  ],
  [
    "ends that do not add up",
    statusOf({ endedTaskCounts: { completed: 3 } }),
    /3 tasks are counted as completed under this leader; clients saw 2/,
  ],
  ["usage that does not add up", statusOf({ usage: { cost: 4 } }), /cost 3, and it counts 4/],
  [
    "a process that ended by itself",
    plus({ kind: "fault", at: 300, what: "orchestrator-1 crashed" }),
    /orchestrator-1 crashed/,
  ],
])("catches %s", (_what, doctor, breach) => {
  expect(judge(doctor(givenHistory())).breaches.join("\n")).toMatch(breach);
});
