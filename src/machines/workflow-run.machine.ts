/**
 * The life of one run of a workflow, from its start to its close. What happens inside is its history; this is whether
 * it goes on.
 *
 * Who sends what: the core, when a worker's answer was taken or its activation failed, and with the event that closes
 * the run. The context is the stored record itself (bucket of runs, key workflowId). Diagram: docs/machines/workflow-run.md.
 */
import { assign, setup } from "xstate";
import type { Failure } from "../protocol/failure.js";
import type { RunRecord } from "../protocol/run-record.js";

/** Every event carries `at`: the orchestrator's wall clock, epoch milliseconds. */
export type RunEvent = { readonly at: number } & (
  | { readonly type: "ActivationAnswered" }
  /** The code could not go on: it differs from the history, is not there, or threw what no code should. */
  | { readonly type: "ActivationFailed"; readonly failure: Failure }
  | { readonly type: "Completed" }
  | { readonly type: "Failed" }
  | { readonly type: "Cancelled" }
  | { readonly type: "Terminated" }
  | { readonly type: "TimedOut" }
  | { readonly type: "ContinuedAsNew" }
);

/** Temporal's pace: once more at once, then every ten seconds, growing to ten minutes. */
const RETRY_MS_FIRST = 10_000;
const RETRY_MS_MAX = 600_000;

export function stuckRetryDelayMs(failures: number): number {
  return failures === 1 ? 0 : Math.min(RETRY_MS_FIRST * 2 ** (failures - 2), RETRY_MS_MAX);
}

export const workflowRunMachine = setup({
  types: {
    context: {} as RunRecord,
    input: {} as RunRecord,
    events: {} as RunEvent,
  },
  actions: {
    noteStuck: assign(({ context, event }) => {
      if (event.type !== "ActivationFailed") return {};
      const failures = (context.stuck?.failures ?? 0) + 1;
      const stuck = {
        failure: event.failure,
        since: context.stuck?.since ?? event.at,
        failures,
        retryAt: event.at + stuckRetryDelayMs(failures),
      };
      return { stuck };
    }),
    clearStuck: assign({ stuck: null }),
    ignoreAnswerInGoodOrder: () => undefined,
  },
}).createMachine({
  id: "workflow-run",
  context: ({ input }) => input,
  initial: "running",
  states: {
    running: {
      on: {
        ActivationAnswered: { actions: "ignoreAnswerInGoodOrder" },
        ActivationFailed: { target: "stuck", actions: "noteStuck" },
        Completed: { target: "completed" },
        Failed: { target: "failed" },
        Cancelled: { target: "cancelled" },
        Terminated: { target: "terminated" },
        TimedOut: { target: "timed_out" },
        ContinuedAsNew: { target: "continued_as_new" },
      },
    },
    /** What came in is kept and seen later; a deployment heals it, or somebody cancels or terminates it. */
    stuck: {
      on: {
        ActivationAnswered: { target: "running", actions: "clearStuck" },
        ActivationFailed: { target: "stuck", actions: "noteStuck" },
        Completed: { target: "completed", actions: "clearStuck" },
        Failed: { target: "failed", actions: "clearStuck" },
        Cancelled: { target: "cancelled", actions: "clearStuck" },
        Terminated: { target: "terminated", actions: "clearStuck" },
        TimedOut: { target: "timed_out", actions: "clearStuck" },
        ContinuedAsNew: { target: "continued_as_new", actions: "clearStuck" },
      },
    },
    completed: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" },
    terminated: { type: "final" },
    timed_out: { type: "final" },
    continued_as_new: { type: "final" },
  },
});
