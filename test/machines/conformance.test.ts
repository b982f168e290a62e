/**
 * The engine steps its machines by a reader of its own (flat-machine.ts). Here every pair of state and event, with
 * random records and events, is taken by xstate too: both must say the same.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type AnyMachineSnapshot, type AnyStateMachine, createMachine, transition } from "xstate";
import { agentMachine } from "../../src/machines/agent.machine.js";
import { flatMachine } from "../../src/machines/flat-machine.js";
import { orchestratorMachine } from "../../src/machines/orchestrator.machine.js";
import { taskMachine } from "../../src/machines/task.machine.js";
import { workflowRunMachine } from "../../src/machines/workflow-run.machine.js";
import { declaredEvents } from "./transition-coverage.js";

const instant = fc.integer({ min: 0, max: 100_000 });
const failure = fc.record({
  type: fc.constantFrom("Error", "FATAL"),
  message: fc.string(),
  nonRetryable: fc.boolean(),
});

/** A field of any event that some action or guard reads. */
const payload = fc.record({
  at: instant,
  failure,
  agentId: fc.constantFrom("a-1", "a-2"),
  incarnation: fc.integer({ min: 1, max: 5 }),
  token: fc.string(),
  answerBy: instant,
  progress: fc.jsonValue(),
  output: fc.jsonValue(),
  usage: fc.constant(null),
  delayMs: fc.constantFrom(0, 500),
  jitterMs: fc.integer({ min: 0, max: 100 }),
  reason: fc.string(),
  instanceId: fc.string(),
  flappingWindowMs: instant,
  registration: fc.record({
    agentId: fc.constant("a-1"),
    capabilities: fc.array(fc.string()),
    maxConcurrentTasks: fc.nat(),
  }),
});

const taskContext = fc.record({
  spec: fc.record({
    taskId: fc.constant("t-1"),
    timeoutMs: fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined }),
    scheduleToCloseMs: fc.constant(undefined),
    heartbeatTimeoutMs: fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined }),
    role: fc.constantFrom(undefined, { kind: "workflow", workflowId: "t-1" }),
    retry: fc.record({
      maximumAttempts: fc.integer({ min: 0, max: 3 }),
      initialIntervalMs: fc.constant(10),
      backoffCoefficient: fc.constant(2),
      maximumIntervalMs: fc.constant(1_000),
      nonRetryableErrorTypes: fc.constantFrom([], ["FATAL"], ["TASK_TIMED_OUT"]),
    }),
  }),
  attempt: fc.integer({ min: 1, max: 3 }),
  agentId: fc.constant("a-1"),
  incarnation: fc.constant(1),
  token: fc.constant("token"),
  sends: fc.integer({ min: 1, max: 2 }),
  answerBy: fc.option(instant),
  attemptDeadlineAt: fc.option(instant),
  heartbeatDeadlineAt: fc.option(instant),
  closeDeadlineAt: fc.option(instant),
  retryAt: fc.option(instant),
  lostIncarnations: fc.integer({ min: 0, max: 3 }),
  progress: fc.constant(null),
  output: fc.constant(null),
  failure: fc.option(failure),
  usage: fc.constant(null),
  endedAt: fc.constant(null),
});

const agentContext = fc.record({
  agentId: fc.constant("a-1"),
  instanceId: fc.string(),
  incarnation: fc.integer({ min: 1, max: 9 }),
  reason: fc.option(fc.string()),
  endedAt: fc.option(instant),
  takeovers: fc.option(fc.array(instant, { maxLength: 6 }), { nil: undefined }),
});

const runContext = fc.record({
  stuck: fc.option(
    fc.record({ failure, since: instant, failures: fc.integer({ min: 1, max: 12 }), retryAt: fc.option(instant) }),
  ),
});

const cases: readonly (readonly [string, AnyStateMachine, fc.Arbitrary<object>])[] = [
  ["task", taskMachine, taskContext],
  ["agent", agentMachine, agentContext],
  ["workflow-run", workflowRunMachine, runContext],
  ["orchestrator", orchestratorMachine, fc.constant({})],
];

test.each(cases)("the %s machine takes the steps that xstate takes", (_, machine, contexts) => {
  const flat = flatMachine(machine);
  const states = fc.constantFrom(...flat.states);
  const events = fc.constantFrom(...declaredEvents(machine));
  fc.assert(
    fc.property(states, events, contexts, payload, (state, type, context, fields) => {
      const event = { ...fields, type };
      const snapshot = { ...machine.resolveState({ value: state, context: {} }), context } as AnyMachineSnapshot;
      const step = flat.step(state, context, event);
      expect(step !== null).toBe(snapshot.can(event));
      if (step === null) return;
      const [next, actions] = transition(machine, snapshot, event);
      expect(step.target ?? state).toBe(next.value);
      expect({ ...context, ...step.change }).toEqual(next.context);
      const asked = actions as readonly { readonly type: string; readonly params?: unknown }[];
      expect(step.emitted).toEqual(asked.filter(({ type: name }) => name === "emit").map(({ params }) => params));
    }),
    { numRuns: 3_000 },
  );
});

test("a machine that is not flat is refused", () => {
  const nested = createMachine({ id: "nested", initial: "a", states: { a: { initial: "b", states: { b: {} } } } });
  expect(() => flatMachine(nested)).toThrow("state a of machine nested is more than a flat state");
  const entering = createMachine({ id: "entering", initial: "a", states: { a: { entry: () => undefined } } });
  expect(() => flatMachine(entering)).toThrow("more than a flat state");
});
