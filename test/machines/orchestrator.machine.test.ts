import { expect, it } from "vitest";
import { transition } from "xstate";
import { type OrchestratorEvent, orchestratorMachine } from "../../src/machines/orchestrator.machine.js";
import { type OrchestratorState, orchestratorStates } from "../../src/protocol/system-message.js";
import { branchTaken, coverageOf, declaredBranches, undeclaredPairs } from "./transition-coverage.js";

type EventType = OrchestratorEvent["type"];

/** xstate's own pure transition: state and event in, state and actions out. */
function step(state: OrchestratorState, type: EventType) {
  const before = orchestratorMachine.resolveState({ value: state, context: {} });
  const [after, actions] = transition(orchestratorMachine, before, { type });
  return { taken: before.can({ type }), state: after.value, actions: actions.map((action) => action.type) };
}

const rows: readonly (readonly [state: OrchestratorState, event: EventType, to: OrchestratorState])[] = [
  ["starting", "Provisioned", "standby"],
  ["starting", "StopRequested", "stopped"],
  ["standby", "LeaseAcquired", "recovering"],
  ["standby", "StopRequested", "stopped"],
  ["recovering", "Recovered", "leading"],
  ["recovering", "LeaseLost", "stepping_down"],
  ["recovering", "Fenced", "stepping_down"],
  ["recovering", "StopRequested", "draining"],
  ["leading", "LeaseLost", "stepping_down"],
  ["leading", "Fenced", "stepping_down"],
  ["leading", "StopRequested", "draining"],
  ["stepping_down", "SteppedDown", "standby"],
  ["stepping_down", "StopRequested", "draining"],
  ["draining", "Drained", "stopped"],
];

it.each(rows)("%s: %s leads to %s", (state, event, to) => {
  expect(step(state, event)).toEqual({ taken: true, state: to, actions: [] });
});

const ignored: readonly (readonly [state: OrchestratorState, event: EventType])[] = [
  ["stepping_down", "LeaseLost"],
  ["stepping_down", "Fenced"],
  ["draining", "LeaseLost"],
  ["draining", "Fenced"],
  ["draining", "StopRequested"],
  ["draining", "SteppedDown"],
];

it.each(ignored)("%s: %s comes too late to matter", (state, event) => {
  expect(step(state, event)).toEqual({ taken: true, state, actions: ["ignoreOnTheWayDown"] });
});

it.each(undeclaredPairs(orchestratorMachine))("$state: has no use for $event", ({ state, event }) => {
  expect(step(state as OrchestratorState, event as EventType)).toEqual({ taken: false, state, actions: [] });
});

const coverage = coverageOf(
  orchestratorMachine,
  [...rows, ...ignored].map(([state, type]) => branchTaken(orchestratorMachine, state, {}, { type })),
);

it(`has a row for ${coverage.percent} % of the orchestrator machine's ${declaredBranches(orchestratorMachine).length} transitions`, () => {
  expect(coverage).toEqual({ percent: 100, missing: [] });
});

it("has exactly the states that clients are told of", () => {
  expect(Object.keys(orchestratorMachine.states).sort()).toEqual([...orchestratorStates].sort());
});
