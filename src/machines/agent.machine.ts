/**
 * The life of an agent, as the orchestrator sees it.
 *
 * Who sends what: registrations, statuses and heartbeats come from the agent; `Silent` and `LostThresholdPassed` from
 * the agent monitor, which measures on the leader's monotonic clock and only while the leader itself was well;
 * `Undeliverable` from a dispatch that found nobody. The context is the stored record (bucket of agents, key agentId).
 * Diagram: docs/machines/agent.md, drawn from this file.
 */
import { assign, setup } from "xstate";
import type { AgentRegistration } from "../protocol/agent-message.js";
import type { AgentRecord } from "../protocol/agent-record.js";
import type { Effect } from "./effect.js";

/** Every event carries `at`: the orchestrator's wall clock, epoch milliseconds. */
export type AgentEvent = { readonly at: number } /** The process that is known already says again what it is. */ & (
  | { readonly type: "RegisteredAgain"; readonly registration: AgentRegistration }
  /** Another process under this id: the next incarnation. Older takeovers than `flappingWindowMs` count no more. */
  | {
      readonly type: "Replaced";
      readonly registration: AgentRegistration;
      readonly instanceId: string;
      readonly flappingWindowMs: number;
    }
  | { readonly type: "Heard" }
  | { readonly type: "Silent"; readonly reason: string }
  | { readonly type: "Undeliverable"; readonly reason: string }
  | { readonly type: "LostThresholdPassed"; readonly reason: string }
  /** Nobody took the id for a while. */
  | { readonly type: "FlappingEnded" }
  | { readonly type: "DrainStarted" }
  /** Drained and without work: it said goodbye. */
  | { readonly type: "Departed" }
);

/**
 * One process may replace another; so many within the window are two that take the id from each other, or one that
 * starts and dies. Work that was given to it would be lost with each.
 */
const TAKEOVERS_MAX = 3;

/** Whether the id goes from hand to hand: no process that has it gets work. */
export const isFlapping = ({ takeovers = [] }: Pick<AgentRecord, "takeovers">): boolean =>
  takeovers.length > TAKEOVERS_MAX;

/** What flaps goes on flapping with each takeover, until it was left alone for the window. */
const takeoversWith = (record: AgentRecord, event: Extract<AgentEvent, { type: "Replaced" }>): number[] => {
  const { takeovers = [] } = record;
  const counted = isFlapping(record)
    ? takeovers.slice(-TAKEOVERS_MAX)
    : takeovers.filter((takenAt) => event.at - takenAt < event.flappingWindowMs);
  return [...counted, event.at];
};

/** What a registration says, as it is stored. */
const described = (registration: AgentRegistration) => ({
  capabilities: registration.capabilities,
  maxConcurrentTasks: registration.maxConcurrentTasks,
  metadata: registration.metadata ?? null,
});

export const agentMachine = setup({
  types: {
    context: {} as AgentRecord,
    input: {} as AgentRecord,
    events: {} as AgentEvent,
  },
  guards: {
    startsFlapping: ({ context, event }) =>
      event.type === "Replaced" && isFlapping({ takeovers: takeoversWith(context, event) }),
    flaps: ({ context }) => isFlapping(context),
  },
  actions: {
    refresh: assign(({ event }) => (event.type === "RegisteredAgain" ? described(event.registration) : {})),
    startIncarnation: assign(({ context, event }) =>
      event.type === "Replaced"
        ? {
            ...described(event.registration),
            instanceId: event.instanceId,
            incarnation: context.incarnation + 1,
            registeredAt: event.at,
            reason: null,
            endedAt: null,
          }
        : {},
    ),
    countTakeover: assign(({ context, event }) =>
      event.type === "Replaced" ? { takeovers: takeoversWith(context, event) } : {},
    ),
    forgetTakeovers: assign({ takeovers: [] }),
    noteFlapping: assign({
      reason: `AGENT_ID_FLAPPING: more than ${TAKEOVERS_MAX} processes took this id from each other in a short time; it gets no work until that ends`,
    }),
    clearReason: assign({ reason: null }),
    keepReason: assign(({ event }) => ("reason" in event ? { reason: event.reason } : {})),
    keepLoss: assign(({ event }) => ({ reason: "reason" in event ? event.reason : null, endedAt: event.at })),
    noteDrain: assign({ reason: "drains: finishes what it has and takes no new work" }),
    keepDeparture: assign(({ event }) => ({ reason: "said goodbye", endedAt: event.at })),

    /** Effects: names with plain data; step.ts collects them. */
    emit: (_, _effect: Effect) => undefined,

    /** Nothing to recover from. */
    ignoreSignOfLife: () => undefined,
    /** Each of the processes that take the id from each other gives signs of life. */
    ignoreWhileFlapping: () => undefined,
    /** It is known already; the stricter limit decides what follows. */
    ignoreRepeatedSilence: () => undefined,
    /** It takes no new work either way. */
    ignoreWhileDraining: () => undefined,
    /** Only a registration starts a new incarnation; a lost or departed one is never revived. */
    ignoreOfEndedIncarnation: () => undefined,
  },
}).createMachine({
  id: "agent",
  context: ({ input }) => input,
  initial: "healthy",
  states: {
    /** Heard of in time; takes work. */
    healthy: {
      on: {
        RegisteredAgain: { actions: "refresh" },
        Replaced: [
          {
            guard: "startsFlapping",
            target: "unhealthy",
            actions: [{ type: "emit", params: supersede }, "startIncarnation", "countTakeover", "noteFlapping"],
          },
          { actions: [{ type: "emit", params: supersede }, "startIncarnation", "countTakeover"] },
        ],
        Heard: { actions: "ignoreSignOfLife" },
        Silent: { target: "unhealthy", actions: "keepReason" },
        Undeliverable: { target: "unhealthy", actions: "keepReason" },
        LostThresholdPassed: { target: "lost", actions: "keepLoss" },
        DrainStarted: { target: "draining", actions: "noteDrain" },
        Departed: { target: "gone", actions: "keepDeparture" },
      },
    },
    /**
     * Silent for a while, not listening, or an id that goes from hand to hand: no new work, and nothing taken away. One
     * sign of life brings it back, but not while it flaps.
     */
    unhealthy: {
      on: {
        RegisteredAgain: [
          { guard: "flaps", actions: "refresh" },
          { target: "healthy", actions: ["refresh", "clearReason"] },
        ],
        Replaced: [
          {
            guard: "startsFlapping",
            actions: [{ type: "emit", params: supersede }, "startIncarnation", "countTakeover", "noteFlapping"],
          },
          { target: "healthy", actions: [{ type: "emit", params: supersede }, "startIncarnation", "countTakeover"] },
        ],
        Heard: [
          { guard: "flaps", actions: "ignoreWhileFlapping" },
          { target: "healthy", actions: "clearReason" },
        ],
        FlappingEnded: { target: "healthy", actions: ["forgetTakeovers", "clearReason"] },
        Silent: { actions: "ignoreRepeatedSilence" },
        Undeliverable: { actions: "ignoreRepeatedSilence" },
        LostThresholdPassed: { target: "lost", actions: "keepLoss" },
        DrainStarted: { target: "draining", actions: "noteDrain" },
        Departed: { target: "gone", actions: "keepDeparture" },
      },
    },
    /** Finishes what it has. */
    draining: {
      on: {
        RegisteredAgain: { actions: "refresh" },
        Replaced: [
          {
            guard: "startsFlapping",
            target: "unhealthy",
            actions: [{ type: "emit", params: supersede }, "startIncarnation", "countTakeover", "noteFlapping"],
          },
          { target: "healthy", actions: [{ type: "emit", params: supersede }, "startIncarnation", "countTakeover"] },
        ],
        Heard: { actions: "ignoreSignOfLife" },
        Silent: { actions: "ignoreWhileDraining" },
        Undeliverable: { actions: "ignoreWhileDraining" },
        DrainStarted: { actions: "ignoreWhileDraining" },
        LostThresholdPassed: { target: "lost", actions: "keepLoss" },
        Departed: { target: "gone", actions: "keepDeparture" },
      },
    },
    /** Silent past the lost threshold: its work was given to others. */
    lost: {
      on: {
        Replaced: { target: "healthy", actions: ["startIncarnation", "forgetTakeovers"] },
        Heard: { actions: "ignoreOfEndedIncarnation" },
        DrainStarted: { actions: "ignoreOfEndedIncarnation" },
        Departed: { target: "gone", actions: "keepDeparture" },
      },
    },
    /** Said goodbye. The record is kept for a while so that its incarnations never start again at 1. */
    gone: {
      on: {
        Replaced: { target: "healthy", actions: ["startIncarnation", "forgetTakeovers"] },
        Heard: { actions: "ignoreOfEndedIncarnation" },
        DrainStarted: { actions: "ignoreOfEndedIncarnation" },
        Departed: { actions: "ignoreOfEndedIncarnation" },
      },
    },
  },
});

/** Tells the process that had the id until now that it was replaced; emitted before the incarnation is counted up. */
function supersede({ context }: { context: AgentRecord }): Effect {
  return { kind: "orderAgent", agentId: context.agentId, state: "superseded", incarnation: context.incarnation };
}
