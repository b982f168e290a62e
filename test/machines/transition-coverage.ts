/** What a machine declares, read from its own configuration, and which of it a table of cases went through. */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";

/** One way out of a state: the event, and which of its guarded branches. */
export type Branch = string;

const branchOf = (state: string, event: string, index: number, guard: unknown): Branch =>
  `${state} on ${event}${guard === undefined ? (index === 0 ? "" : " otherwise") : ` if ${String(guard)}`}`;

export function declaredBranches(machine: AnyStateMachine): Branch[] {
  return Object.entries(machine.states).flatMap(([state, node]) =>
    Object.entries(node.on).flatMap(([event, transitions]) =>
      transitions.map((transition, index) => branchOf(state, event, index, transition.guard)),
    ),
  );
}

/** Every event that some state declares. */
export function declaredEvents(machine: AnyStateMachine): string[] {
  return [...new Set(Object.values(machine.states).flatMap((node) => Object.keys(node.on)))];
}

export function undeclaredPairs(machine: AnyStateMachine): { state: string; event: string }[] {
  return Object.entries(machine.states).flatMap(([state, node]) =>
    declaredEvents(machine)
      .filter((event) => !Object.hasOwn(node.on, event))
      .map((event) => ({ state, event })),
  );
}

/** The branch that this event takes, by the machine's own guards. */
export function branchTaken(
  machine: AnyStateMachine,
  state: string,
  context: unknown,
  event: { readonly type: string },
): Branch {
  const snapshot = { ...machine.resolveState({ value: state, context: {} }), context } as AnyMachineSnapshot;
  const [enabled] = machine.getTransitionData(snapshot, event);
  const transitions = machine.states[state]?.on[event.type] ?? [];
  const index = enabled === undefined ? -1 : transitions.indexOf(enabled);
  if (index === -1) throw new Error(`${state} has no branch for ${event.type}`);
  return branchOf(state, event.type, index, transitions[index]?.guard);
}

export interface Coverage {
  readonly percent: number;
  readonly missing: readonly Branch[];
}

export function coverageOf(machine: AnyStateMachine, taken: Iterable<Branch>): Coverage {
  const declared = declaredBranches(machine);
  const covered = new Set(taken);
  const missing = declared.filter((branch) => !covered.has(branch));
  return { percent: (100 * (declared.length - missing.length)) / declared.length, missing };
}
