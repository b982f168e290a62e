/**
 * The life of one orchestrator process: who may decide, and when.
 *
 * Only in `leading` does it answer requests and let effects go. The lease makes hand-over fast; the journal's fence is
 * what makes it safe, and being fenced sends the process back to `standby` with everything it knew forgotten.
 * Run by orchestrator/orchestrator.ts. Diagram: docs/machines/orchestrator.md, drawn from this file.
 */
import { setup } from "xstate";

export type OrchestratorEvent =
  /** Connected, streams and buckets in place. */
  | { readonly type: "Provisioned" }
  | { readonly type: "LeaseAcquired" }
  /** Records loaded, journal replayed, outstanding effects derived. */
  | { readonly type: "Recovered" }
  /** The lease could not be renewed in time. */
  | { readonly type: "LeaseLost" }
  /** Somebody else wrote to the journal. */
  | { readonly type: "Fenced" }
  /** Nothing of the old leadership is left running. */
  | { readonly type: "SteppedDown" }
  | { readonly type: "StopRequested" }
  /** What was accepted is on disk and materialised. */
  | { readonly type: "Drained" };

export const orchestratorMachine = setup({
  types: {
    context: {} as Record<never, never>,
    events: {} as OrchestratorEvent,
  },
  actions: {
    /** The lease of a process that is on its way down anyway. */
    ignoreOnTheWayDown: () => undefined,
  },
}).createMachine({
  id: "orchestrator",
  context: {},
  initial: "starting",
  states: {
    starting: {
      on: { Provisioned: { target: "standby" }, StopRequested: { target: "stopped" } },
    },
    standby: {
      on: { LeaseAcquired: { target: "recovering" }, StopRequested: { target: "stopped" } },
    },
    recovering: {
      on: {
        Recovered: { target: "leading" },
        LeaseLost: { target: "stepping_down" },
        Fenced: { target: "stepping_down" },
        StopRequested: { target: "draining" },
      },
    },
    leading: {
      on: {
        LeaseLost: { target: "stepping_down" },
        Fenced: { target: "stepping_down" },
        StopRequested: { target: "draining" },
      },
    },
    stepping_down: {
      on: {
        SteppedDown: { target: "standby" },
        LeaseLost: { actions: "ignoreOnTheWayDown" },
        Fenced: { actions: "ignoreOnTheWayDown" },
        StopRequested: { target: "draining" },
      },
    },
    draining: {
      on: {
        Drained: { target: "stopped" },
        LeaseLost: { actions: "ignoreOnTheWayDown" },
        Fenced: { actions: "ignoreOnTheWayDown" },
        StopRequested: { actions: "ignoreOnTheWayDown" },
        SteppedDown: { actions: "ignoreOnTheWayDown" },
      },
    },
    stopped: { type: "final" },
  },
});
