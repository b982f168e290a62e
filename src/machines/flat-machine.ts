/**
 * Reads the transition table of an xstate machine and takes one step in it.
 *
 * Our machines are flat: atomic states, no entry, exit or delayed transitions, no children. For such a machine a step is: the
 * first branch whose guard holds, its assignments in order, its target. xstate's own `transition` does this too, among
 * the much more that nested and parallel machines need, at ten times the cost; test/machines/conformance.test.ts
 * holds the two against each other on every row. A machine that is not flat is refused when it is read (ADR 0010).
 */
import type { AnyStateMachine } from "xstate";

/** What guards, assignments and the params of actions are given. */
interface Given {
  readonly context: object;
  readonly event: { readonly type: string };
}

type Assignment = (given: Given) => Readonly<Record<string, unknown>>;

type Action =
  | { readonly kind: "assign"; readonly assignment: Assignment }
  /** Asks for something by its params; the machine itself does nothing. */
  | { readonly kind: "emit"; readonly paramsOf: (given: Given) => unknown };

interface Branch {
  readonly guard: ((given: Given) => boolean) | null;
  readonly target: string | null;
  readonly actions: readonly Action[];
}

export interface FlatStep {
  /** Fields whose value is another one now. */
  readonly change: Record<string, unknown>;
  readonly target: string | null;
  /** The params of the actions named `emit`, in order. */
  readonly emitted: readonly unknown[];
}

export interface FlatMachine {
  readonly id: string;
  readonly states: readonly string[];
  /** Null where the state has no branch for the event, or none whose guard holds. */
  step(state: string, context: object, event: { readonly type: string }): FlatStep | null;
}

export function flatMachine(machine: AnyStateMachine): FlatMachine {
  const table = new Map<string, ReadonlyMap<string, readonly Branch[]>>();
  for (const [state, node] of Object.entries(machine.states)) {
    const { type, entry, exit, always, invoke, after } = node;
    if (
      (type !== "atomic" && type !== "final") ||
      [entry, exit, invoke, after].some((part) => part.length > 0) ||
      always
    ) {
      throw new Error(`state ${state} of machine ${machine.id} is more than a flat state`);
    }
    const branches = [...node.transitions].map(([event, transitions]) => {
      return [event, transitions.map((transition) => branchOf(machine, transition))] as const;
    });
    table.set(state, new Map(branches));
  }
  return {
    id: machine.id,
    states: [...table.keys()],
    step: (state, context, event) => {
      const branches = table.get(state);
      if (branches === undefined) throw new Error(`machine ${machine.id} has no state ${state}`);
      const given = { context, event };
      const branch = branches.get(event.type)?.find(({ guard }) => guard === null || guard(given));
      return branch === undefined ? null : take(branch, context, event);
    },
  };
}

function take({ actions, target }: Branch, context: object, event: { readonly type: string }): FlatStep {
  const change: Record<string, unknown> = {};
  const emitted: unknown[] = [];
  // Later actions see what earlier ones assigned; the stored record itself is not touched.
  let current = context;
  for (const [index, action] of actions.entries()) {
    const given = { context: current, event };
    if (action.kind === "emit") {
      emitted.push(action.paramsOf(given));
      continue;
    }
    const assigned = action.assignment(given);
    for (const field in assigned) {
      const value = assigned[field];
      if (value !== Reflect.get(context, field)) change[field] = value;
      else delete change[field];
    }
    if (index + 1 < actions.length) current = { ...context, ...change };
  }
  return { change, target, emitted };
}

type Transition = NonNullable<ReturnType<AnyStateMachine["states"][string]["transitions"]["get"]>>[number];

function branchOf(machine: AnyStateMachine, { guard, target, actions }: Transition): Branch {
  const { guards } = machine.implementations;
  const predicate = guard === undefined ? null : typeof guard === "string" ? guards[guard] : undefined;
  if (predicate === undefined) throw new Error(`machine ${machine.id} has a guard that is not one of its named ones`);
  return {
    guard: predicate as Branch["guard"],
    target: target?.[0]?.key ?? null,
    actions: actions.flatMap((action) => actionOf(machine, action)),
  };
}

/** Actions that do nothing, the named reasons why an event is ignored, are left out. */
function actionOf(machine: AnyStateMachine, action: unknown): readonly Action[] {
  if (
    typeof action === "object" &&
    action !== null &&
    "type" in action &&
    action.type === "emit" &&
    "params" in action
  ) {
    return [{ kind: "emit", paramsOf: action.params as (given: Given) => unknown }];
  }
  const implementation: unknown = typeof action === "string" ? machine.implementations.actions[action] : undefined;
  if (typeof implementation !== "function") {
    throw new Error(`machine ${machine.id} has an action that is neither named nor an emission`);
  }
  if (!("assignment" in implementation)) return [];
  const { assignment } = implementation;
  if (typeof assignment === "function") return [{ kind: "assign", assignment: assignment as Assignment }];
  if (Object.values(assignment as object).some((value) => typeof value === "function")) {
    throw new Error(`action ${String(action)} of machine ${machine.id} assigns by functions of single fields`);
  }
  return [{ kind: "assign", assignment: () => assignment as Record<string, unknown> }];
}
