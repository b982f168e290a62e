/**
 * The life of a task, from submission to its one end.
 *
 * Who sends what: the core turns clients' requests, agents' messages, due deadlines and the scheduler's choices into
 * these events, one at a time. It has already refused what does not belong to the current attempt (result-screen.ts),
 * so an event here is about this attempt. The context is the stored record itself (bucket of tasks, key taskId).
 * Diagram: docs/machines/task.md, drawn from this file.
 */
import { assign, setup } from "xstate";
import { addUsage, type Failure, type Usage } from "../protocol/failure.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import { CANCEL_GRACE_MS } from "../protocol/limits.js";
import { retryDelayMs } from "../protocol/retry-policy.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { Effect } from "./effect.js";

/** Every event carries `at`: the orchestrator's wall clock, epoch milliseconds. */
export type TaskEvent = { readonly at: number } & (
  | { readonly type: "DependenciesCompleted" }
  | { readonly type: "DependencyFailed"; readonly failure: Failure }
  | {
      readonly type: "Assigned";
      readonly agentId: AgentId;
      readonly incarnation: number;
      readonly token: string;
      readonly answerBy: number;
    }
  | { readonly type: "Accepted" }
  | { readonly type: "Progressed"; readonly progress: unknown }
  /** The agent's `output` may be any JSON value; absent is null. */
  | { readonly type: "AttemptCompleted"; readonly output: unknown; readonly usage: Usage | null }
  | { readonly type: "AttemptFailed"; readonly failure: Failure; readonly usage: Usage | null }
  | { readonly type: "AttemptCancelled"; readonly usage: Usage | null }
  /** Handed back unharmed: the attempt does not count. `delayMs` keeps a full agent from being asked at once again. */
  | { readonly type: "Released"; readonly delayMs: number }
  /** Nobody listened on the agent's subject. */
  | { readonly type: "Undeliverable" }
  /** A new leader cannot know whether the assignment left its predecessor: it is sent again. */
  | { readonly type: "LeaderChanged"; readonly answerBy: number }
  /** `answerBy` passed without a word from the agent. */
  | { readonly type: "AnswerOverdue"; readonly answerBy: number }
  /** The worker of a workflow began this step by itself and says so: nothing is to be sent. */
  | { readonly type: "Begun"; readonly agentId: AgentId; readonly incarnation: number; readonly token: string }
  | { readonly type: "AttemptTimedOut" }
  /** The attempt lives, as far as its agent's heartbeats tell, and has not reported progress in time. */
  | { readonly type: "HeartbeatTimedOut" }
  /** No agent took it in time. */
  | { readonly type: "StartTimedOut" }
  | { readonly type: "CloseTimedOut" }
  | { readonly type: "RetryDue" }
  /** The agent fell silent. `jitterMs` spreads the retries of a fleet that was lost at once. */
  | { readonly type: "AgentLost"; readonly failure: Failure; readonly jitterMs: number }
  /** A new process took the agent's id: the old one's work moves at once. */
  | { readonly type: "AgentReplaced"; readonly failure: Failure }
  | { readonly type: "CancelRequested" }
  /** How the last run of a workflow closed. */
  | { readonly type: "RunCompleted"; readonly output: unknown; readonly usage: Usage | null; readonly runId: TaskId }
  | {
      readonly type: "RunFailed" | "RunTerminated" | "RunTimedOut";
      readonly failure: Failure;
      readonly usage: Usage | null;
      readonly runId: TaskId;
    }
  | { readonly type: "RunCancelled"; readonly usage: Usage | null; readonly runId: TaskId }
);

/** An attempt is sent this often to the same agent before it is given to another. */
const SENDS_MAX = 2;
/** A task that was on this many lost incarnations is taken for what killed them. */
const LOST_INCARNATIONS_MAX = 3;

type FailedEvent = Extract<TaskEvent, { type: "AttemptFailed" | "AgentLost" | "AgentReplaced" }>;

const attemptTimedOut = (record: TaskRecord): Failure => ({
  type: "TASK_TIMED_OUT",
  message: `attempt ${record.attempt} of task ${record.spec.taskId} on agent ${record.agentId} did not end within ${record.spec.timeoutMs} ms`,
});

const heartbeatTimedOut = (record: TaskRecord): Failure => ({
  type: "TASK_HEARTBEAT_TIMED_OUT",
  message: `attempt ${record.attempt} of task ${record.spec.taskId} on agent ${record.agentId} reported no progress for ${record.spec.heartbeatTimeoutMs} ms`,
});

const startTimedOut = (record: TaskRecord): Failure => ({
  type: "TASK_SCHEDULE_TO_START_TIMED_OUT",
  message: `no agent took task ${record.spec.taskId} within ${record.spec.scheduleToStartMs} ms`,
});

const heartbeatDeadline = (record: TaskRecord, at: number): number | null =>
  record.spec.heartbeatTimeoutMs === undefined ? null : at + record.spec.heartbeatTimeoutMs;

const notAccepted = (record: TaskRecord): Failure => ({
  type: "TASK_NOT_ACCEPTED",
  message: `agent ${record.agentId} was sent attempt ${record.attempt} of task ${record.spec.taskId} ${record.sends} times and never answered`,
});

const closeTimedOut = (record: TaskRecord): Failure => ({
  type: "TASK_SCHEDULE_TO_CLOSE_TIMED_OUT",
  message: `task ${record.spec.taskId} did not end within ${record.spec.scheduleToCloseMs} ms of its submission${
    record.failure === null ? "" : `; its last attempt failed: ${record.failure.message}`
  }`,
});

/**
 * A retry that could not start (at `retryAt`) before the whole task times out is not waited for: the real failure is
 * reported now.
 */
const canRetry = (record: TaskRecord, failure: Failure, retryAt: number): boolean =>
  (record.spec.retry.maximumAttempts === 0 || record.attempt < record.spec.retry.maximumAttempts) &&
  failure.nonRetryable !== true &&
  !record.spec.retry.nonRetryableErrorTypes.includes(failure.type) &&
  (record.closeDeadlineAt === null || retryAt < record.closeDeadlineAt);

/** A failure may say itself when it is worth another try. */
const afterBackoff = (record: TaskRecord, at: number, failure?: Failure): number =>
  at + (failure?.nextRetryDelayMs ?? retryDelayMs(record.spec.retry, record.attempt));

const noDeadlines = { answerBy: null, attemptDeadlineAt: null, heartbeatDeadlineAt: null, retryAt: null } as const;

export const taskMachine = setup({
  types: {
    context: {} as TaskRecord,
    input: {} as TaskRecord,
    events: {} as TaskEvent,
  },
  guards: {
    mayRetry: ({ context, event }) =>
      canRetry(
        context,
        (event as FailedEvent).failure,
        afterBackoff(context, event.at, (event as FailedEvent).failure),
      ),
    survivesReplacement: ({ context, event }) =>
      context.lostIncarnations + 1 < LOST_INCARNATIONS_MAX &&
      canRetry(context, (event as FailedEvent).failure, event.at),
    mayRetryAfterTimeout: ({ context, event }) =>
      canRetry(context, attemptTimedOut(context), afterBackoff(context, event.at)),
    mayRetryAfterSilence: ({ context, event }) =>
      canRetry(context, heartbeatTimedOut(context), afterBackoff(context, event.at)),
    /** A workflow is not given to an agent itself: its runs' activations are. */
    isWorkflow: ({ context }) => context.spec.role?.kind === "workflow",
    mayRetryUnaccepted: ({ context, event }) => canRetry(context, notAccepted(context), event.at),
    mayResend: ({ context }) => context.sends < SENDS_MAX,
    /** Sent once and found nobody: nothing was started. After a second send the first may have been. */
    neverDelivered: ({ context }) => context.sends === 1,
    handedBackWithDelay: ({ event }) => event.type === "Released" && event.delayMs > 0,
    survivesLoss: ({ context, event }) => {
      const lost = event as Extract<TaskEvent, { type: "AgentLost" }>;
      const retryAt = afterBackoff(context, lost.at) + lost.jitterMs;
      return context.lostIncarnations + 1 < LOST_INCARNATIONS_MAX && canRetry(context, lost.failure, retryAt);
    },
  },
  actions: {
    becomeReady: assign(({ event }) => ({ readyAt: event.at })),
    takeAssignment: assign(({ context, event }) => {
      if (event.type !== "Assigned") return {};
      return {
        attempt: context.attempt + 1,
        agentId: event.agentId,
        incarnation: event.incarnation,
        token: event.token,
        assignedAt: event.at,
        sends: 1,
        answerBy: event.answerBy,
        attemptDeadlineAt: context.spec.timeoutMs === undefined ? null : event.at + context.spec.timeoutMs,
        heartbeatDeadlineAt: heartbeatDeadline(context, event.at),
      };
    }),
    takeBegunAttempt: assign(({ context, event }) => {
      if (event.type !== "Begun") return {};
      const { agentId, incarnation, token, at } = event;
      const attemptDeadlineAt = context.spec.timeoutMs === undefined ? null : at + context.spec.timeoutMs;
      return { attempt: context.attempt + 1, agentId, incarnation, token, assignedAt: at, sends: 1, attemptDeadlineAt };
    }),
    countResend: assign(({ context, event }) =>
      event.type === "AnswerOverdue" || event.type === "LeaderChanged"
        ? { sends: context.sends + 1, answerBy: event.answerBy }
        : {},
    ),
    clearAnswerBy: assign({ answerBy: null }),
    keepProgress: assign(({ context, event }) =>
      event.type === "Progressed"
        ? { progress: event.progress, answerBy: null, heartbeatDeadlineAt: heartbeatDeadline(context, event.at) }
        : {},
    ),
    keepOutput: assign(({ event }) =>
      event.type === "AttemptCompleted" || event.type === "RunCompleted"
        ? { ...noDeadlines, output: event.output ?? null, failure: null, endedAt: event.at }
        : {},
    ),
    keepFailure: assign(({ event }) => {
      const { failure } = event as FailedEvent | Extract<TaskEvent, { type: "DependencyFailed" | "RunFailed" }>;
      return { ...noDeadlines, failure, endedAt: event.at };
    }),
    countUsage: assign(({ context, event }) =>
      "usage" in event ? { usage: addUsage(context.usage, event.usage) } : {},
    ),
    noteLastRun: assign(({ event }) => ("runId" in event ? { lastRunId: event.runId } : {})),
    keepAttemptTimeout: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: attemptTimedOut(context),
      endedAt: event.at,
    })),
    keepHeartbeatTimeout: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: heartbeatTimedOut(context),
      endedAt: event.at,
    })),
    keepStartTimeout: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: startTimedOut(context),
      endedAt: event.at,
    })),
    keepUnaccepted: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: notAccepted(context),
      endedAt: event.at,
    })),
    keepCloseTimeout: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: closeTimedOut(context),
      endedAt: event.at,
    })),
    keepPoison: assign(({ context, event }) => {
      const { failure } = event as FailedEvent;
      const lostIncarnations = context.lostIncarnations + 1;
      const poison =
        lostIncarnations >= LOST_INCARNATIONS_MAX
          ? {
              ...failure,
              message: `${failure.message}; it was the ${lostIncarnations}rd agent lost with this task, which is therefore not tried again`,
            }
          : failure;
      return { ...noDeadlines, lostIncarnations, failure: poison, endedAt: event.at };
    }),
    /** What failed before is no reason of this end. */
    keepCancellation: assign(({ event }) => ({ ...noDeadlines, failure: null, endedAt: event.at })),
    scheduleRetry: assign(({ context, event }) => {
      const { failure } = event as FailedEvent;
      return { ...noDeadlines, failure, retryAt: afterBackoff(context, event.at, failure) };
    }),
    scheduleRetryAfterLoss: assign(({ context, event }) => {
      const lost = event as Extract<TaskEvent, { type: "AgentLost" }>;
      return {
        ...noDeadlines,
        failure: lost.failure,
        lostIncarnations: context.lostIncarnations + 1,
        retryAt: afterBackoff(context, event.at) + lost.jitterMs,
      };
    }),
    scheduleRetryAfterTimeout: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: attemptTimedOut(context),
      retryAt: afterBackoff(context, event.at),
    })),
    scheduleRetryAfterSilence: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: heartbeatTimedOut(context),
      retryAt: afterBackoff(context, event.at),
    })),
    retryUnacceptedAtOnce: assign(({ context }) => ({ ...noDeadlines, failure: notAccepted(context) })),
    retryAtOnce: assign(({ context, event }) => ({
      ...noDeadlines,
      failure: (event as FailedEvent).failure,
      lostIncarnations: context.lostIncarnations + 1,
    })),
    /** The attempt never counted: its number is used again, under another token. */
    uncountAttempt: assign(({ context }) => ({ ...noDeadlines, attempt: context.attempt - 1, token: null })),
    uncountAttemptForNow: assign(({ context, event }) => ({
      ...noDeadlines,
      attempt: context.attempt - 1,
      token: null,
      retryAt: event.at + (event.type === "Released" ? event.delayMs : 0),
    })),
    clearRetryAt: assign({ retryAt: null }),
    startCancelGrace: assign(({ event }) => ({ ...noDeadlines, answerBy: event.at + CANCEL_GRACE_MS })),

    /** Effects: names with plain data; step.ts collects them. */
    emit: (_, _effect: Effect) => undefined,

    /** An agent may say more than once that it took a task. */
    ignoreRepeatedAcceptance: () => undefined,
    /** The first sending arrived, as its acceptance shows. */
    ignoreUndeliveredResend: () => undefined,
    /** A word from the agent that crossed the cancellation on its way. */
    ignoreWhileCancelling: () => undefined,
    /** The attempt was given up already and its successor is not out yet: only a completion saves work. */
    ignoreOfGivenUpAttempt: () => undefined,
    /** Asking again for what is under way changes nothing. */
    ignoreRepeatedCancellation: () => undefined,
  },
}).createMachine({
  id: "task",
  context: ({ input }) => input,
  // Where a record starts follows from its dependencies (submission.ts); `waiting` is the earlier of the two.
  initial: "waiting",
  states: {
    /** Some dependency has not completed. */
    waiting: {
      on: {
        DependenciesCompleted: [
          { guard: "isWorkflow", target: "open", actions: "becomeReady" },
          { target: "queued", actions: "becomeReady" },
        ],
        DependencyFailed: { target: "failed", actions: "keepFailure" },
        CloseTimedOut: { target: "timed_out", actions: "keepCloseTimeout" },
        CancelRequested: { target: "cancelled", actions: "keepCancellation" },
      },
    },
    /** Could start; waits for an agent. */
    queued: {
      on: {
        Assigned: { target: "assigned", actions: ["takeAssignment", { type: "emit", params: dispatch }] },
        Begun: { target: "running", actions: "takeBegunAttempt" },
        StartTimedOut: { target: "timed_out", actions: "keepStartTimeout" },
        // The previous attempt's agent was given up and answers after all, before anybody else began: work saved.
        AttemptCompleted: { target: "completed", actions: ["keepOutput", "countUsage"] },
        AttemptFailed: { actions: "ignoreOfGivenUpAttempt" },
        AttemptCancelled: { actions: "ignoreOfGivenUpAttempt" },
        Accepted: { actions: "ignoreOfGivenUpAttempt" },
        Progressed: { actions: "ignoreOfGivenUpAttempt" },
        Released: { actions: "ignoreOfGivenUpAttempt" },
        CloseTimedOut: { target: "timed_out", actions: "keepCloseTimeout" },
        CancelRequested: { target: "cancelled", actions: "keepCancellation" },
      },
    },
    /** Sent to an agent that has not answered yet. */
    assigned: {
      on: {
        Accepted: { target: "running", actions: "clearAnswerBy" },
        Progressed: { target: "running", actions: "keepProgress" },
        AttemptCompleted: { target: "completed", actions: ["keepOutput", "countUsage"] },
        AttemptFailed: [
          { guard: "mayRetry", target: "backoff", actions: ["scheduleRetry", "countUsage"] },
          { target: "failed", actions: ["keepFailure", "countUsage"] },
        ],
        Released: [
          { guard: "handedBackWithDelay", target: "backoff", actions: "uncountAttemptForNow" },
          { target: "queued", actions: "uncountAttempt" },
        ],
        Undeliverable: [
          { guard: "neverDelivered", target: "queued", actions: "uncountAttempt" },
          { guard: "mayRetryUnaccepted", target: "queued", actions: "retryUnacceptedAtOnce" },
          { target: "failed", actions: "keepUnaccepted" },
        ],
        LeaderChanged: { actions: ["countResend", { type: "emit", params: dispatch }] },
        AnswerOverdue: [
          { guard: "mayResend", actions: ["countResend", { type: "emit", params: dispatch }] },
          { guard: "mayRetryUnaccepted", target: "queued", actions: "retryUnacceptedAtOnce" },
          { target: "failed", actions: "keepUnaccepted" },
        ],
        AttemptTimedOut: [
          {
            guard: "mayRetryAfterTimeout",
            target: "backoff",
            actions: ["scheduleRetryAfterTimeout", { type: "emit", params: stop }],
          },
          { target: "timed_out", actions: ["keepAttemptTimeout", { type: "emit", params: stop }] },
        ],
        HeartbeatTimedOut: [
          {
            guard: "mayRetryAfterSilence",
            target: "backoff",
            actions: ["scheduleRetryAfterSilence", { type: "emit", params: stop }],
          },
          { target: "timed_out", actions: ["keepHeartbeatTimeout", { type: "emit", params: stop }] },
        ],
        CloseTimedOut: { target: "timed_out", actions: ["keepCloseTimeout", { type: "emit", params: stop }] },
        AgentLost: [
          { guard: "survivesLoss", target: "backoff", actions: "scheduleRetryAfterLoss" },
          { target: "failed", actions: "keepPoison" },
        ],
        AgentReplaced: [
          { guard: "survivesReplacement", target: "queued", actions: "retryAtOnce" },
          { target: "failed", actions: "keepPoison" },
        ],
        CancelRequested: { target: "cancelling", actions: ["startCancelGrace", { type: "emit", params: stop }] },
      },
    },
    /** Accepted by its agent. */
    running: {
      on: {
        Accepted: { actions: "ignoreRepeatedAcceptance" },
        Progressed: { actions: "keepProgress" },
        AttemptCompleted: { target: "completed", actions: ["keepOutput", "countUsage"] },
        AttemptFailed: [
          { guard: "mayRetry", target: "backoff", actions: ["scheduleRetry", "countUsage"] },
          { target: "failed", actions: ["keepFailure", "countUsage"] },
        ],
        Released: [
          { guard: "handedBackWithDelay", target: "backoff", actions: "uncountAttemptForNow" },
          { target: "queued", actions: "uncountAttempt" },
        ],
        // A resend that found nobody: whether the agent is gone is for its heartbeats to tell.
        Undeliverable: { actions: "ignoreUndeliveredResend" },
        AttemptTimedOut: [
          {
            guard: "mayRetryAfterTimeout",
            target: "backoff",
            actions: ["scheduleRetryAfterTimeout", { type: "emit", params: stop }],
          },
          { target: "timed_out", actions: ["keepAttemptTimeout", { type: "emit", params: stop }] },
        ],
        HeartbeatTimedOut: [
          {
            guard: "mayRetryAfterSilence",
            target: "backoff",
            actions: ["scheduleRetryAfterSilence", { type: "emit", params: stop }],
          },
          { target: "timed_out", actions: ["keepHeartbeatTimeout", { type: "emit", params: stop }] },
        ],
        CloseTimedOut: { target: "timed_out", actions: ["keepCloseTimeout", { type: "emit", params: stop }] },
        AgentLost: [
          { guard: "survivesLoss", target: "backoff", actions: "scheduleRetryAfterLoss" },
          { target: "failed", actions: "keepPoison" },
        ],
        AgentReplaced: [
          { guard: "survivesReplacement", target: "queued", actions: "retryAtOnce" },
          { target: "failed", actions: "keepPoison" },
        ],
        CancelRequested: { target: "cancelling", actions: ["startCancelGrace", { type: "emit", params: stop }] },
      },
    },
    /** Its agent was told to stop; clients see `running`. */
    cancelling: {
      on: {
        // Finished before it heard of the cancellation: the work is done and counts.
        AttemptCompleted: { target: "completed", actions: ["keepOutput", "countUsage"] },
        AttemptFailed: { target: "cancelled", actions: ["keepCancellation", "countUsage"] },
        AttemptCancelled: { target: "cancelled", actions: ["keepCancellation", "countUsage"] },
        Released: { target: "cancelled", actions: "keepCancellation" },
        Undeliverable: { target: "cancelled", actions: "keepCancellation" },
        AnswerOverdue: { target: "cancelled", actions: "keepCancellation" },
        AgentLost: { target: "cancelled", actions: "keepCancellation" },
        AgentReplaced: { target: "cancelled", actions: "keepCancellation" },
        CloseTimedOut: { target: "cancelled", actions: "keepCancellation" },
        Accepted: { actions: "ignoreWhileCancelling" },
        Progressed: { actions: "ignoreWhileCancelling" },
        CancelRequested: { actions: "ignoreRepeatedCancellation" },
        LeaderChanged: { actions: { type: "emit", params: stop } },
      },
    },
    /** Between two attempts. */
    backoff: {
      on: {
        RetryDue: { target: "queued", actions: "clearRetryAt" },
        AttemptCompleted: { target: "completed", actions: ["keepOutput", "countUsage"] },
        AttemptFailed: { actions: "ignoreOfGivenUpAttempt" },
        AttemptCancelled: { actions: "ignoreOfGivenUpAttempt" },
        Accepted: { actions: "ignoreOfGivenUpAttempt" },
        Progressed: { actions: "ignoreOfGivenUpAttempt" },
        Released: { actions: "ignoreOfGivenUpAttempt" },
        CloseTimedOut: { target: "timed_out", actions: "keepCloseTimeout" },
        CancelRequested: { target: "cancelled", actions: "keepCancellation" },
      },
    },
    /** A workflow with a run under way, which says how it ends. */
    open: {
      on: {
        RunCompleted: { target: "completed", actions: ["keepOutput", "countUsage", "noteLastRun"] },
        RunFailed: { target: "failed", actions: ["keepFailure", "countUsage", "noteLastRun"] },
        RunCancelled: { target: "cancelled", actions: ["keepCancellation", "countUsage", "noteLastRun"] },
        RunTerminated: { target: "terminated", actions: ["keepFailure", "countUsage", "noteLastRun"] },
        RunTimedOut: { target: "timed_out", actions: ["keepFailure", "countUsage", "noteLastRun"] },
      },
    },
    completed: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" },
    timed_out: { type: "final" },
    terminated: { type: "final" },
  },
});

/** Effect of an assignment or of its repetition; params see what the actions before them assigned. */
function dispatch({ context }: { context: TaskRecord }): Effect {
  if (context.token === null) throw new Error(`task ${context.spec.taskId} is to be dispatched without a token`);
  return { kind: "dispatchTask", taskId: context.spec.taskId, token: context.token };
}

/** Effect of giving up an attempt whose agent may still be at it. */
function stop({ context }: { context: TaskRecord }): Effect {
  if (context.agentId === null || context.token === null) {
    throw new Error(`task ${context.spec.taskId} has an attempt to stop but no agent or token`);
  }
  return {
    kind: "cancelAttempt",
    taskId: context.spec.taskId,
    agentId: context.agentId,
    attempt: context.attempt,
    token: context.token,
  };
}
