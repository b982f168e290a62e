/**
 * Applies one event to one stored record: the only place where the machines run.
 *
 * The machines are never interpreted as actors. xstate's `machine.transition` is called with one inert scope shared by
 * all (ADR 0003), a snapshot is made from the stored record and the machine's own template for its state, and what
 * comes back is split into the fields that changed and the effects that were asked for. Nothing is executed.
 */
import type { AnyActorScope, AnyMachineSnapshot, AnyStateMachine } from "xstate";
import type { AgentChange, AgentRecord } from "../protocol/agent-record.js";
import type { TaskChange, TaskRecord } from "../protocol/task-record.js";
import { type AgentEvent, agentMachine } from "./agent.machine.js";
import type { Effect } from "./effect.js";
import { type TaskEvent, taskMachine } from "./task.machine.js";

export type Step<Change> =
  | { readonly accepted: true; readonly change: Change; readonly effects: readonly Effect[] }
  /** The state has no use for the event; nothing changed. */
  | { readonly accepted: false };

const REJECTED = { accepted: false } as const;

/** Steps one kind of record through its machine. */
function stepper<Rec extends { readonly state: string }, Event extends { readonly type: string }>(
  machine: AnyStateMachine,
): (record: Rec, event: Event) => Step<Partial<Rec>> {
  const templates = new Map<string, AnyMachineSnapshot>();
  for (const state of Object.keys(machine.states)) {
    templates.set(state, machine.resolveState({ value: state, context: {} }) as AnyMachineSnapshot);
  }
  let collected: Effect[] = [];
  const scope = {
    // Only what a machine without children, delays or emitted events touches.
    self: { id: machine.id, _parent: undefined },
    id: machine.id,
    sessionId: machine.id,
    logger: () => {},
    defer: () => {},
    emit: () => {},
    stopChild: () => {},
    system: { _sendInspectionEvent: () => {}, _snapshot: {}, _clock: undefined },
    actionExecutor: (action: { type: string; params: unknown }) => {
      if (action.type === "emit") collected.push(action.params as Effect);
    },
  } as unknown as AnyActorScope;

  return (record, event) => {
    const template = templates.get(record.state);
    if (template === undefined) throw new Error(`a stored ${machine.id} is in state ${record.state}, which the machine does not have`);
    const node = machine.states[record.state];
    // An event without a transition would come back as an unchanged snapshot and no error: refuse it here.
    if (node?.config.on === undefined || !Object.hasOwn(node.config.on, event.type)) return REJECTED;

    const before = { ...template, context: record } as AnyMachineSnapshot;
    collected = [];
    const after = machine.transition(before, event, scope) as AnyMachineSnapshot;
    const change: Record<string, unknown> = {};
    const context = after.context as Record<string, unknown>;
    if (context !== record) {
      for (const field of Object.keys(context)) {
        const value = context[field];
        if (value !== (record as Record<string, unknown>)[field]) change[field] = value;
      }
    }
    if (after.value !== record.state) change["state"] = after.value;
    return { accepted: true, change: change as Partial<Rec>, effects: collected };
  };
}

/** What one event does to a task. */
export const stepTask: (record: TaskRecord, event: TaskEvent) => Step<TaskChange> = stepper<TaskRecord, TaskEvent>(taskMachine);

/** What one event does to an agent. */
export const stepAgent: (record: AgentRecord, event: AgentEvent) => Step<AgentChange> = stepper<AgentRecord, AgentEvent>(agentMachine);
