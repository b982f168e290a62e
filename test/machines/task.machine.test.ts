import { expect, it } from "vitest";
import type { Effect } from "../../src/machines/effect.js";
import { stepTask } from "../../src/machines/step.js";
import { type TaskEvent, taskMachine } from "../../src/machines/task.machine.js";
import {
  type StoredTaskState,
  storedTaskStates,
  type TaskChange,
  type TaskRecord,
} from "../../src/protocol/task-record.js";
import { agentId, givenFailure, givenTask, givenUsage, taskId } from "../support/given.js";
import { branchTaken, coverageOf, declaredBranches, declaredEvents, undeclaredPairs } from "./transition-coverage.js";

const at = 10_000;
const failure = givenFailure();
const nonRetryable = givenFailure({ nonRetryable: true });
const usage = givenUsage();
const lost = givenFailure({ type: "AGENT_LOST", message: "agent k-1 was lost" });
const superseded = givenFailure({ type: "AGENT_SUPERSEDED", message: "the process of agent k-1 is gone" });

const event = {
  dependenciesCompleted: { type: "DependenciesCompleted", at },
  dependencyFailed: { type: "DependencyFailed", at, failure },
  assigned: { type: "Assigned", at, agentId: agentId("k-2"), incarnation: 4, token: "token-2", answerBy: 15_000 },
  accepted: { type: "Accepted", at },
  progressed: { type: "Progressed", at, progress: { page: 3 } },
  completed: { type: "AttemptCompleted", at, output: "text", usage },
  failed: { type: "AttemptFailed", at, failure, usage },
  cancelled: { type: "AttemptCancelled", at, usage },
  released: { type: "Released", at, delayMs: 0 },
  releasedByFull: { type: "Released", at, delayMs: 500 },
  undeliverable: { type: "Undeliverable", at },
  leaderChanged: { type: "LeaderChanged", at, answerBy: 15_000 },
  answerOverdue: { type: "AnswerOverdue", at, answerBy: 15_000 },
  begun: { type: "Begun", at, agentId: agentId("k-2"), incarnation: 4, token: "token-2" },
  attemptTimedOut: { type: "AttemptTimedOut", at },
  heartbeatTimedOut: { type: "HeartbeatTimedOut", at },
  startTimedOut: { type: "StartTimedOut", at },
  closeTimedOut: { type: "CloseTimedOut", at },
  retryDue: { type: "RetryDue", at },
  agentLost: { type: "AgentLost", at, failure: lost, jitterMs: 70 },
  agentReplaced: { type: "AgentReplaced", at, failure: superseded },
  cancelRequested: { type: "CancelRequested", at },
  runCompleted: { type: "RunCompleted", at, output: "done", usage, runId: taskId("r-2") },
  runFailed: { type: "RunFailed", at, failure, usage, runId: taskId("r-2") },
  runCancelled: { type: "RunCancelled", at, usage, runId: taskId("r-2") },
  runTerminated: { type: "RunTerminated", at, failure, usage, runId: taskId("r-2") },
  runTimedOut: { type: "RunTimedOut", at, failure, usage, runId: taskId("r-2") },
} as const satisfies Record<string, TaskEvent>;

const dispatch = (token: string): Effect => ({ kind: "dispatchTask", taskId: taskId("t-1"), token });
const stop: Effect = {
  kind: "cancelAttempt",
  taskId: taskId("t-1"),
  agentId: agentId("k-1"),
  attempt: 1,
  token: "token-1",
};

const failedWith = (type: string, message: string) => ({ failure: { type, message } });

const lastAttempt = { spec: { retry: { maximumAttempts: 1 } } };
const fiveSecondAttempts = { spec: { timeoutMs: 5_000 }, attemptDeadlineAt: at };
const heartbeating = { spec: { heartbeatTimeoutMs: 700 }, heartbeatDeadlineAt: at };
const silence = failedWith(
  "TASK_HEARTBEAT_TIMED_OUT",
  "attempt 1 of task t-1 on agent k-1 reported no progress for 700 ms",
);
const startTimeout = failedWith("TASK_SCHEDULE_TO_START_TIMED_OUT", "no agent took task t-1 within 800 ms");
const ofWorkflow = { spec: { role: { kind: "workflow" as const, workflowId: taskId("t-1") } } };
const closing = { spec: { scheduleToCloseMs: 9_000 }, closeDeadlineAt: at };
const closesIn = (ms: number) => ({ spec: { scheduleToCloseMs: 9_000 }, closeDeadlineAt: at + ms });

const attemptTimeout = failedWith("TASK_TIMED_OUT", "attempt 1 of task t-1 on agent k-1 did not end within 5000 ms");
const closeTimeout = failedWith(
  "TASK_SCHEDULE_TO_CLOSE_TIMED_OUT",
  "task t-1 did not end within 9000 ms of its submission",
);
const neverAnswered = (sends: number) =>
  failedWith("TASK_NOT_ACCEPTED", `agent k-1 was sent attempt 1 of task t-1 ${sends} times and never answered`);

interface Row {
  readonly sentence: string;
  readonly given: TaskRecord;
  readonly event: TaskEvent;
  readonly change: TaskChange;
  readonly effects?: readonly Effect[];
}

type Given = Parameters<typeof givenTask>[0];

/** Rows of one state; what is given is on top of the state's usual record. */
function of(
  state: StoredTaskState,
  ...rows: readonly (readonly [
    sentence: string,
    event: TaskEvent,
    change: TaskChange,
    more?: { given?: Given; effects?: Effect[] },
  ])[]
): Row[] {
  return rows.map(([sentence, event, change, more = {}]) => ({
    sentence: `${state}: ${sentence}`,
    given: givenTask({ ...more.given, state }),
    event,
    change,
    effects: more.effects ?? [],
  }));
}

/** What holds alike before and after the agent accepted. `waited` is what goes when the answer deadline does. */
function ofAttempt(state: "assigned" | "running", waited: TaskChange): Row[] {
  const retried: TaskChange = { ...waited, state: "backoff" };
  const ended: TaskChange = { ...waited, endedAt: at };
  return of(
    state,
    ["completes with the output", event.completed, { ...ended, state: "completed", output: "text", usage }],
    [
      "forgets what failed before when it completes",
      event.completed,
      { ...ended, state: "completed", output: "text", usage, failure: null },
      { given: { failure } },
    ],
    ["keeps null as an output", { ...event.completed, output: null, usage: null }, { ...ended, state: "completed" }],
    [
      "keeps 0 as an output",
      { ...event.completed, output: 0, usage: null },
      { ...ended, state: "completed", output: 0 },
    ],
    [
      "keeps the empty string as an output",
      { ...event.completed, output: "", usage: null },
      { ...ended, state: "completed", output: "" },
    ],
    [
      "keeps false as an output",
      { ...event.completed, output: false, usage: null },
      { ...ended, state: "completed", output: false },
    ],
    [
      "takes an absent output for null",
      { ...event.completed, output: undefined, usage: null },
      { ...ended, state: "completed" },
    ],
    [
      "retries a failed attempt after the policy's delay",
      event.failed,
      { ...retried, failure, usage, retryAt: 11_000 },
    ],
    [
      "doubles the delay with each attempt",
      event.failed,
      { ...retried, failure, usage, retryAt: 12_000 },
      { given: { attempt: 2 } },
    ],
    [
      "fails with the last attempt",
      event.failed,
      { ...ended, state: "failed", failure, usage },
      { given: lastAttempt },
    ],
    [
      "fails at once on a non-retryable failure",
      { ...event.failed, failure: nonRetryable },
      { ...ended, state: "failed", failure: nonRetryable, usage },
    ],
    [
      "fails at once on an error type that the policy excludes",
      event.failed,
      { ...ended, state: "failed", failure, usage },
      { given: { spec: { retry: { nonRetryableErrorTypes: ["OutOfPaper"] } } } },
    ],
    [
      "retries without end where attempts are unlimited",
      event.failed,
      { ...retried, failure, usage, retryAt: 110_000 },
      { given: { attempt: 1_000, spec: { retry: { maximumAttempts: 0 } } } },
    ],
    [
      "fails with the real error when the retry would come too late",
      event.failed,
      { ...ended, state: "failed", failure, usage },
      { given: closesIn(1_000) },
    ],
    [
      "retries when there is just time for it",
      event.failed,
      { ...retried, failure, usage, retryAt: 11_000 },
      { given: closesIn(1_001) },
    ],
    [
      "goes back in line uncounted when a draining agent releases it",
      event.released,
      { ...waited, state: "queued", attempt: 0, token: null },
    ],
    [
      "waits a moment, uncounted, when a full agent releases it",
      event.releasedByFull,
      { ...retried, attempt: 0, token: null, retryAt: 10_500 },
    ],
    [
      "retries an attempt that took too long, and stops it",
      event.attemptTimedOut,
      { ...retried, ...attemptTimeout, attemptDeadlineAt: null, retryAt: 11_000 },
      { given: fiveSecondAttempts, effects: [stop] },
    ],
    [
      "times out with the last attempt, and stops it",
      event.attemptTimedOut,
      { ...ended, ...attemptTimeout, state: "timed_out", attemptDeadlineAt: null },
      { given: { ...fiveSecondAttempts, spec: { timeoutMs: 5_000, retry: { maximumAttempts: 1 } } }, effects: [stop] },
    ],
    [
      "retries an attempt that reports no progress, keeps what it reported before, and stops it",
      event.heartbeatTimedOut,
      { ...retried, ...silence, heartbeatDeadlineAt: null, retryAt: 11_000 },
      { given: { ...heartbeating, progress: { page: 3 } }, effects: [stop] },
    ],
    [
      "times out when its last attempt reports no progress, and stops it",
      event.heartbeatTimedOut,
      { ...ended, ...silence, state: "timed_out", heartbeatDeadlineAt: null },
      {
        given: { ...heartbeating, spec: { heartbeatTimeoutMs: 700, retry: { maximumAttempts: 1 } } },
        effects: [stop],
      },
    ],
    [
      "has time for its next sign of progress from each one on",
      event.progressed,
      {
        ...(state === "assigned" ? { state: "running" as const, answerBy: null } : {}),
        progress: { page: 3 },
        heartbeatDeadlineAt: at + 700,
      },
      { given: heartbeating },
    ],
    [
      "waits as long as the failure itself says",
      { ...event.failed, failure: { ...failure, nextRetryDelayMs: 42 } },
      { ...retried, failure: { ...failure, nextRetryDelayMs: 42 }, usage, retryAt: 10_042 },
    ],
    [
      "times out as a whole, and stops its attempt",
      event.closeTimedOut,
      { ...ended, ...closeTimeout, state: "timed_out" },
      { given: closing, effects: [stop] },
    ],
    [
      "retries after its agent was lost, with jitter, and counts the loss",
      event.agentLost,
      { ...retried, failure: lost, lostIncarnations: 1, retryAt: 11_070 },
    ],
    [
      "fails when its agent was lost with the last attempt",
      event.agentLost,
      { ...ended, state: "failed", failure: lost, lostIncarnations: 1 },
      { given: lastAttempt },
    ],
    [
      "fails when jitter moves the retry past the end of the whole",
      event.agentLost,
      { ...ended, state: "failed", failure: lost, lostIncarnations: 1 },
      { given: closesIn(1_070) },
    ],
    [
      "is poison on the third lost incarnation, however many attempts are left",
      event.agentLost,
      {
        ...ended,
        state: "failed",
        lostIncarnations: 3,
        failure: {
          ...lost,
          message: "agent k-1 was lost; it was the 3rd agent lost with this task, which is therefore not tried again",
        },
      },
      { given: { lostIncarnations: 2, spec: { retry: { maximumAttempts: 0 } } } },
    ],
    [
      "moves at once when a new process took its agent's id",
      event.agentReplaced,
      { ...waited, state: "queued", failure: superseded, lostIncarnations: 1 },
    ],
    [
      "moves at once even if a delayed retry would come too late",
      event.agentReplaced,
      { ...waited, state: "queued", failure: superseded, lostIncarnations: 1 },
      { given: closesIn(1_000) },
    ],
    [
      "fails when its agent was replaced with the last attempt",
      event.agentReplaced,
      { ...ended, state: "failed", failure: superseded, lostIncarnations: 1 },
      { given: lastAttempt },
    ],
    [
      "is poison too when the third process of its agent died with it",
      event.agentReplaced,
      {
        ...ended,
        state: "failed",
        lostIncarnations: 3,
        failure: {
          ...superseded,
          message: `${superseded.message}; it was the 3rd agent lost with this task, which is therefore not tried again`,
        },
      },
      { given: { lostIncarnations: 2, spec: { retry: { maximumAttempts: 0 } } } },
    ],
    [
      "is cancelled by asking its agent first",
      event.cancelRequested,
      { state: "cancelling", answerBy: 15_000 },
      { effects: [stop] },
    ],
    [
      "gives a cancelled attempt no more time-out of its own",
      event.cancelRequested,
      { state: "cancelling", answerBy: 15_000, attemptDeadlineAt: null },
      { given: fiveSecondAttempts, effects: [stop] },
    ],
  );
}

const cancelled: TaskChange = { state: "cancelled", answerBy: null, endedAt: at };

/** Before an agent has it, and between two attempts. */
function ofGivenUpAttempt(state: "queued" | "backoff", cleared: TaskChange): Row[] {
  const given: Given = { token: "token-1", agentId: agentId("k-1"), incarnation: 1, attempt: 1, failure };
  return of(
    state,
    [
      "takes the completion of the attempt that was given up, because nobody else began",
      event.completed,
      { ...cleared, state: "completed", output: "text", usage, failure: null, endedAt: at },
      { given },
    ],
    ["ignores a failure of the attempt that was given up", event.failed, {}, { given }],
    ["ignores the end of the attempt that was given up", event.cancelled, {}, { given }],
    ["ignores an acceptance of the attempt that was given up", event.accepted, {}, { given }],
    ["ignores progress of the attempt that was given up", event.progressed, {}, { given }],
    ["ignores a release of the attempt that was given up", event.released, {}, { given }],
    [
      "times out as a whole and repeats why the last attempt failed",
      event.closeTimedOut,
      {
        ...cleared,
        state: "timed_out",
        endedAt: at,
        failure: {
          ...closeTimeout.failure,
          message: `${closeTimeout.failure.message}; its last attempt failed: ${failure.message}`,
        },
      },
      { given: { ...given, ...closing } },
    ],
    [
      "is cancelled at once, without the failure of an earlier attempt for a reason",
      event.cancelRequested,
      { ...cleared, state: "cancelled", endedAt: at, failure: null },
      { given },
    ],
  );
}

const rows: Row[] = [
  ...of(
    "waiting",
    [
      "is queued when its dependencies completed, and ages from then on",
      event.dependenciesCompleted,
      { state: "queued", readyAt: at },
    ],
    [
      "is open, if it is a workflow, when its dependencies completed",
      event.dependenciesCompleted,
      { state: "open", readyAt: at },
      { given: ofWorkflow },
    ],
    ["fails with a dependency", event.dependencyFailed, { state: "failed", failure, endedAt: at }],
    [
      "times out as a whole",
      event.closeTimedOut,
      { state: "timed_out", ...closeTimeout, endedAt: at },
      { given: closing },
    ],
    ["is cancelled at once", event.cancelRequested, { state: "cancelled", endedAt: at }],
  ),
  ...of(
    "queued",
    [
      "is dispatched to the agent it is assigned to",
      event.assigned,
      {
        state: "assigned",
        attempt: 1,
        agentId: agentId("k-2"),
        incarnation: 4,
        token: "token-2",
        assignedAt: at,
        sends: 1,
        answerBy: 15_000,
      },
      { effects: [dispatch("token-2")] },
    ],
    [
      "counts its attempts and keeps the progress of the last one for the next",
      event.assigned,
      {
        state: "assigned",
        attempt: 2,
        agentId: agentId("k-2"),
        incarnation: 4,
        token: "token-2",
        assignedAt: at,
        sends: 1,
        answerBy: 15_000,
      },
      {
        given: { attempt: 1, agentId: agentId("k-1"), incarnation: 1, token: "token-1", progress: 3 },
        effects: [dispatch("token-2")],
      },
    ],
    [
      "starts the attempt's time-out with its dispatch",
      event.assigned,
      {
        state: "assigned",
        attempt: 1,
        agentId: agentId("k-2"),
        incarnation: 4,
        token: "token-2",
        assignedAt: at,
        sends: 1,
        answerBy: 15_000,
        attemptDeadlineAt: 12_500,
      },
      { given: { spec: { timeoutMs: 2_500 } }, effects: [dispatch("token-2")] },
    ],
  ),
  ...of(
    "queued",
    [
      "is its worker's, with nothing to send, when that began it by itself",
      event.begun,
      {
        state: "running",
        attempt: 1,
        agentId: agentId("k-2"),
        incarnation: 4,
        token: "token-2",
        assignedAt: at,
        sends: 1,
        attemptDeadlineAt: 12_500,
      },
      { given: { spec: { timeoutMs: 2_500 } } },
    ],
    [
      "waits for the first sign of progress from its dispatch on",
      event.assigned,
      {
        state: "assigned",
        attempt: 1,
        agentId: agentId("k-2"),
        incarnation: 4,
        token: "token-2",
        assignedAt: at,
        sends: 1,
        answerBy: 15_000,
        heartbeatDeadlineAt: at + 700,
      },
      { given: { spec: { heartbeatTimeoutMs: 700 } }, effects: [dispatch("token-2")] },
    ],
    [
      "times out when no agent took it in time, however many attempts are left",
      event.startTimedOut,
      { state: "timed_out", ...startTimeout, endedAt: at },
      { given: { spec: { scheduleToStartMs: 800 } } },
    ],
  ),
  ...ofGivenUpAttempt("queued", {}),
  ...ofGivenUpAttempt("backoff", { retryAt: null }),
  ...of("backoff", [
    "is queued when its retry is due, and keeps its age",
    event.retryDue,
    { state: "queued", retryAt: null },
  ]),
  ...of(
    "assigned",
    ["runs when its agent accepts", event.accepted, { state: "running", answerBy: null }],
    [
      "runs when its agent reports progress",
      event.progressed,
      { state: "running", answerBy: null, progress: { page: 3 } },
    ],
    [
      "goes back in line uncounted when its only sending found nobody",
      event.undeliverable,
      { state: "queued", answerBy: null, attempt: 0, token: null },
    ],
    [
      "moves at once, counted, when only its second sending found nobody",
      event.undeliverable,
      { state: "queued", answerBy: null, ...neverAnswered(2) },
      { given: { sends: 2 } },
    ],
    [
      "fails when the second sending of its last attempt found nobody",
      event.undeliverable,
      { state: "failed", answerBy: null, endedAt: at, ...neverAnswered(2) },
      { given: { sends: 2, ...lastAttempt } },
    ],
    [
      "is sent again by a new leader",
      event.leaderChanged,
      { sends: 2, answerBy: 15_000 },
      { effects: [dispatch("token-1")] },
    ],
    [
      "is sent again when its agent does not answer",
      event.answerOverdue,
      { sends: 2, answerBy: 15_000 },
      { effects: [dispatch("token-1")] },
    ],
    [
      "moves at once, counted, when its agent does not answer twice",
      event.answerOverdue,
      { state: "queued", answerBy: null, ...neverAnswered(2) },
      { given: { sends: 2 } },
    ],
    [
      "moves at once even if a delayed retry would come too late",
      event.answerOverdue,
      { state: "queued", answerBy: null, ...neverAnswered(2) },
      { given: { sends: 2, ...closesIn(1_000) } },
    ],
    [
      "fails when its last attempt is not answered twice",
      event.answerOverdue,
      { state: "failed", answerBy: null, endedAt: at, ...neverAnswered(2) },
      { given: { sends: 2, ...lastAttempt } },
    ],
  ),
  ...ofAttempt("assigned", { answerBy: null }),
  ...of(
    "running",
    ["may be accepted more than once", event.accepted, {}],
    ["keeps the latest progress", event.progressed, { progress: { page: 3 } }, { given: { progress: { page: 2 } } }],
    ["leaves it to heartbeats whether the agent is gone when a resend found nobody", event.undeliverable, {}],
  ),
  ...ofAttempt("running", {}),
  ...of(
    "cancelling",
    [
      "completes when its agent finished before it heard",
      event.completed,
      { state: "completed", answerBy: null, output: "text", usage, endedAt: at },
    ],
    ["is cancelled when the attempt failed meanwhile", event.failed, { ...cancelled, usage }],
    ["is cancelled when its agent stopped", event.cancelled, { ...cancelled, usage }],
    ["is cancelled when its agent hands it back", event.released, cancelled],
    ["is cancelled when its agent never got it", event.undeliverable, cancelled],
    ["is cancelled when its agent does not answer in time", event.answerOverdue, cancelled],
    ["is cancelled when its agent is lost", event.agentLost, cancelled],
    ["is cancelled when its agent is replaced", event.agentReplaced, cancelled],
    ["is cancelled, not timed out, when its time is up as a whole", event.closeTimedOut, cancelled],
    ["ignores an acceptance that crossed the cancellation", event.accepted, {}],
    ["ignores progress that crossed the cancellation", event.progressed, {}],
    ["may be cancelled more than once", event.cancelRequested, {}],
    ["is told to stop again by a new leader", event.leaderChanged, {}, { effects: [stop] }],
  ),
  ...of(
    "open",
    [
      "completes with its last run",
      event.runCompleted,
      { state: "completed", output: "done", usage, lastRunId: taskId("r-2"), endedAt: at },
    ],
    [
      "fails with its last run",
      event.runFailed,
      { state: "failed", failure, usage, lastRunId: taskId("r-2"), endedAt: at },
    ],
    [
      "is cancelled when its run says so, and not before",
      event.runCancelled,
      { state: "cancelled", usage, lastRunId: taskId("r-2"), endedAt: at },
    ],
    [
      "is terminated with its run",
      event.runTerminated,
      { state: "terminated", failure, usage, lastRunId: taskId("r-2"), endedAt: at },
    ],
    [
      "times out with its run",
      event.runTimedOut,
      { state: "timed_out", failure, usage, lastRunId: taskId("r-2"), endedAt: at },
    ],
  ),
];

it.each(rows)("$sentence", ({ given, event, change, effects }) => {
  expect(stepTask(given, event)).toEqual({ accepted: true, change, effects });
});

const coverage = coverageOf(
  taskMachine,
  rows.map(({ given, event }) => branchTaken(taskMachine, given.state, given, event)),
);

it(`has a row for ${coverage.percent} % of the task machine's ${declaredBranches(taskMachine).length} transitions`, () => {
  expect(coverage).toEqual({ percent: 100, missing: [] });
});

it("knows every event that the machine declares", () => {
  expect([...new Set(rows.map((row) => row.event.type))].sort()).toEqual(declaredEvents(taskMachine).sort());
});

const anyEvent = new Map<string, TaskEvent>(Object.values(event).map((one) => [one.type, one]));

it.each(undeclaredPairs(taskMachine))("$state: refuses $event and stays as it is", ({ state, event }) => {
  const record = givenTask({ state: state as StoredTaskState });
  const untouched = structuredClone(record);
  const step = stepTask(record, anyEvent.get(event) as TaskEvent);
  expect({ step, record }).toEqual({ step: { accepted: false }, record: untouched });
});

it("has exactly the states that are stored", () => {
  expect(Object.keys(taskMachine.states).sort()).toEqual([...storedTaskStates].sort());
});

it("never changes the record it steps", () => {
  for (const { given, event } of rows) {
    const before = structuredClone(given);
    stepTask(given, event);
    expect(given).toEqual(before);
  }
});

it("refuses to step a record in a state that it does not have", () => {
  const record = { ...givenTask(), state: "paused" as StoredTaskState };
  expect(() => stepTask(record, event.accepted)).toThrow("state paused");
});
