/**
 * Applies one event to one stored record: the only place where the machines run. They are never interpreted as actors;
 * a step gives back the fields that changed and the effects that were asked for, and nothing is executed.
 */
import type { AnyStateMachine } from "xstate";
import type { AgentChange, AgentRecord } from "../protocol/agent-record.js";
import type { RunChange, RunRecord } from "../protocol/run-record.js";
import type { TaskChange, TaskRecord } from "../protocol/task-record.js";
import { type AgentEvent, agentMachine } from "./agent.machine.js";
import type { Effect } from "./effect.js";
import { flatMachine } from "./flat-machine.js";
import { type TaskEvent, taskMachine } from "./task.machine.js";
import { type RunEvent, workflowRunMachine } from "./workflow-run.machine.js";

export type Step<Change> =
  | { readonly accepted: true; readonly change: Change; readonly effects: readonly Effect[] }
  /** The state has no use for the event; nothing changed. */
  | { readonly accepted: false };

const REJECTED = { accepted: false } as const;

/** Steps one kind of record through its machine. */
function stepper<Stored extends { readonly state: string }, Event extends { readonly type: string }>(
  machine: AnyStateMachine,
): (record: Stored, event: Event) => Step<Partial<Stored>> {
  const flat = flatMachine(machine);
  return (record, event) => {
    const step = flat.step(record.state, record, event);
    if (step === null) return REJECTED;
    const { change, target, emitted } = step;
    if (target !== null && target !== record.state) change["state"] = target;
    // The machines' types say that what they assign are fields of the record and what they emit are effects.
    return { accepted: true, change: change as Partial<Stored>, effects: emitted as readonly Effect[] };
  };
}

/** What one event does to a task. */
export const stepTask: (record: TaskRecord, event: TaskEvent) => Step<TaskChange> = stepper<TaskRecord, TaskEvent>(
  taskMachine,
);

/** What one event does to an agent. */
export const stepAgent: (record: AgentRecord, event: AgentEvent) => Step<AgentChange> = stepper<
  AgentRecord,
  AgentEvent
>(agentMachine);

/** What one event does to the run of a workflow. */
export const stepRun: (record: RunRecord, event: RunEvent) => Step<RunChange> = stepper<RunRecord, RunEvent>(
  workflowRunMachine,
);
